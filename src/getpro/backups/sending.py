"""Copies off this machine: sent, brought back, let go.

What the catalogue says of them it says in this order: where some of a copy may lie, before its first byte
does; that all of it lies there, after the last was looked at. Letting go is the same backwards. So a kill at
any moment leaves work for the next, and no claim that is not true.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import structlog

from getpro.backups import store
from getpro.backups.bucket import Bucket
from getpro.backups.deps import Deps
from getpro.backups.errors import BackupError, Damaged, NotThere, OffsiteAway, OffsiteError
from getpro.backups.folder import ARCHIVE, MANIFEST, SETTINGS, UNFINISHED, archive_of, hash_of, held
from getpro.backups.manifest import File, Manifest
from getpro.backups.mirror import bring_log
from getpro.backups.progress import OnStep, silent
from getpro.backups.states import BackupKind, BackupState
from getpro.backups.store import Backup
from getpro.backups.wal import Log, position
from getpro.kit.trouble import system_words

log = structlog.get_logger(__name__)

PREFIX: Final = "copies/"
"""How the keys of copies begin: other things lie beside them."""
_FETCHED: Final = "fetch"
"""Who has asked for a copy that the catalogue did not know."""
_LOCK: Final = ".sending"
"""Not the folder's own: a copy is made while another is on its way."""
_MOST_REFUSALS: Final = 3
_MIB: Final = 2**20

Late = Callable[[Iterable[Backup]], list[Backup]]
"""Of copies those that no count keeps."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Unsent:
    """A copy that stays behind, and why."""

    copy: Backup
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Sent:
    """How a round of sending went."""

    copies: list[Backup]
    failed: list[Unsent]


class _Stopped(Exception):
    """Nobody waits for the transfer any more; its next part is not begun."""


async def send(deps: Deps, *, on_progress: OnStep = silent) -> Sent:
    """Send every copy that is in the folder and not off this machine, newest first; a flow.

    One that cannot be sent stops no other, unless nobody answers at all. Raises Busy.
    """
    bucket = bucket_of(deps)
    done = Sent([], [])
    with held(deps.folder, lock=_LOCK):
        waiting = await to_send(deps)
        await _give_up_strays(bucket, waiting)
        for copy in waiting:
            try:
                await _send(deps, bucket, copy, on_progress)
            except (BackupError, OSError) as error:
                done.failed.append(await _not_sent(deps, copy, error))
                if isinstance(error, OffsiteAway):
                    break
            else:
                done.copies.append(copy)
    return done


async def to_send(deps: Deps) -> list[Backup]:
    """Those in the folder that are not, or not any more, where copies go now; newest first."""
    bucket = bucket_of(deps)
    async with deps.db.read("backup: to send") as session:
        there = await store.newest_first(session, BackupState.MADE)
    return [one for one in there if one.offsite_at is None or one.offsite_place != place_of(bucket, one.name)]


async def fetch(deps: Deps, name: str | None = None, *, on_progress: OnStep = silent) -> Manifest:
    """Bring a copy back into the folder, the newest dump without a name; a flow.

    One that builds on others comes with those of them that are not in the folder, and with the log after it.

    It need not be in the catalogue, for the catalogue is what may have been lost. Raises NotThere, Damaged,
    OffsiteError, Busy; then the folder is as it was.
    """
    bucket = bucket_of(deps)
    with held(deps.folder):
        chosen = await asyncio.to_thread(_newest, bucket) if name is None else name
        manifest = await _fetch(deps, bucket, chosen, on_progress)
        behind = manifest
        while behind.physical is not None and (parent := behind.physical.parent) is not None:
            behind = _here(deps.folder, parent) or await _fetch(deps, bucket, parent, on_progress)
        if manifest.physical is not None:
            on_progress("Журнал")
            log_here = Log(deps.folder, manifest.physical.system, manifest.physical.segment_bytes)
            await asyncio.to_thread(bring_log, bucket, log_here, position(manifest.physical.start))
    return manifest


async def forget(deps: Deps, late: Late) -> list[Backup]:
    """Delete off this machine what is deleted here, and what is lost here and out of its time; a flow.

    Oldest first. What may not be deleted stays there, the catalogue tells why, the next tries again; after
    a few refusals it is the key's, or what is younger is locked still longer. Raises Busy.
    """
    bucket, gone, refused = bucket_of(deps), [], 0
    with held(deps.folder, lock=_LOCK):  # what is on its way now would arrive afterwards
        for copy in await _to_forget(deps, bucket, late):
            async with deps.db.begin("backup: leaves off-site") as session:
                await store.deleted(session, copy.backup_id)
                await store.leaving(session, copy.backup_id)
            try:
                await asyncio.to_thread(_delete, bucket, copy)
            except OffsiteError as error:
                async with deps.db.begin("backup: stays off-site") as session:
                    await store.offsite_trouble(session, copy.backup_id, str(error))
                log.warning("backup.not_deleted_offsite", backup=copy.name, error=str(error))
                refused += 1
                if isinstance(error, OffsiteAway) or refused == _MOST_REFUSALS:
                    break
            else:
                async with deps.db.begin("backup: left off-site") as session:
                    await store.left(session, copy.backup_id)
                log.info("backup.deleted_offsite", backup=copy.name)
                gone.append(copy)
    return gone


async def _fetch(deps: Deps, bucket: Bucket, name: str, on_progress: OnStep) -> Manifest:
    async with deps.db.read("backup: to fetch") as session:
        known = next((one for one in await store.newest_first(session) if one.name == name), None)
    manifest = await _transferred(
        lambda stop: _bring(bucket, deps.folder, name, known, _Progress(name, stop, on_progress))
    )
    async with deps.db.begin("backup: fetched") as session:
        number = (
            await store.begin(session, name, manifest.kind, asked_by=_FETCHED, now=manifest.moment)
            if known is None
            else known.backup_id
        )
        await store.made(session, number, manifest, now=deps.clock())
    log.info("backup.fetched", backup=name)
    return manifest


async def _send(deps: Deps, bucket: Bucket, copy: Backup, on_progress: OnStep) -> None:
    place = place_of(bucket, copy.name)
    async with deps.db.begin("backup: sending") as session:
        await store.sending(session, copy.backup_id, place)
    await _transferred(lambda stop: _put(bucket, deps.folder, copy, _Progress(copy.name, stop, on_progress)))
    async with deps.db.begin("backup: sent") as session:
        is_wanted = await store.sent(session, copy.backup_id, place, now=deps.clock())
    log.info("backup.sent", backup=copy.name, is_wanted=is_wanted)


async def _not_sent(deps: Deps, copy: Backup, error: BackupError | OSError) -> Unsent:
    why = system_words(error) if isinstance(error, OSError) else str(error)
    async with deps.db.begin("backup: not sent") as session:
        await store.offsite_trouble(session, copy.backup_id, why)
    log.error("backup.not_sent", backup=copy.name, error=why)
    remedy = error.remedy if isinstance(error, OffsiteError) else "Проверьте копии: 2getpro backup list."
    return Unsent(copy, why, remedy)


async def _give_up_strays(bucket: Bucket, waiting: list[Backup]) -> None:
    """Uploads that nobody will finish: of copies that are not to be sent any more."""
    keys = {key_of(copy.name, copy.kind) for copy in waiting}
    try:
        strays = await asyncio.to_thread(bucket.abort_unfinished, PREFIX, keep=keys)
    except OffsiteError:  # the same is told of the copies
        return
    if strays:
        log.warning("backup.uploads_given_up", uploads=strays)


async def _to_forget(deps: Deps, bucket: Bucket, late: Late) -> list[Backup]:
    async with deps.db.read("backup: to forget") as session:
        everything = await store.newest_first(session)
    somewhere = [one for one in everything if one.state is BackupState.MADE or _is_only_there(one)]
    out_of_time = {copy.name for copy in late(somewhere)}
    return [
        one
        for one in reversed(everything)
        if one.offsite_place == place_of(bucket, one.name)
        and (one.state is BackupState.DELETED or (_is_only_there(one) and one.name in out_of_time))
    ]


def _is_only_there(copy: Backup) -> bool:
    return copy.state is BackupState.LOST and copy.offsite_at is not None


@dataclass(frozen=True, slots=True)
class _Progress:
    """Tells how far a transfer is, and ends it once nobody waits for it."""

    name: str
    stop: threading.Event
    tell: OnStep

    def __call__(self, over: int, total: int) -> None:
        if self.stop.is_set():
            raise _Stopped
        self.tell(f"{self.name}: {over // _MIB} из {total // _MIB} МБ")


async def _transferred(transfer: Callable[[threading.Event], Result]) -> Result:
    """What it returns, from a thread; a shop that stops does not wait for more than a part of a file."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(transfer, stop)
    finally:
        stop.set()


def _put(bucket: Bucket, folder: Path, copy: Backup, on_bytes: _Progress) -> None:
    """The manifest last: what has one is whole."""
    assert copy.manifest is not None
    archive = archive_of(folder, copy.name, copy.kind)
    bucket.put(archive, key_of(copy.name, copy.kind), sha256=copy.manifest.sha256, on_bytes=on_bytes)
    settings = folder / f"{copy.name}{SETTINGS}"
    if copy.manifest.settings is not None and settings.exists():  # one that is gone holds up no copy
        bucket.put(settings, f"{PREFIX}{settings.name}", sha256=copy.manifest.settings.sha256)
    bucket.put(folder / f"{copy.name}{MANIFEST}", f"{PREFIX}{copy.name}{MANIFEST}")


def _bring(bucket: Bucket, folder: Path, name: str, known: Backup | None, on_bytes: _Progress) -> Manifest:
    """What the catalogue knows of it is believed before what lies there."""
    fresh = folder / f"{UNFINISHED}{name}"
    beside = folder / f"{UNFINISHED}{name}{MANIFEST}"
    try:
        bucket.get(f"{PREFIX}{name}{MANIFEST}", beside)
        manifest = known.manifest if known and known.manifest else _read(beside, name)
        key = key_of(name, manifest.kind)
        bucket.get(key, fresh, on_bytes=on_bytes)
        if hash_of(fresh) != manifest.sha256:
            raise Damaged(f"{bucket.address(key)}: не те байты, что были записаны")
        if manifest.settings is not None:
            _bring_settings(bucket, folder, name, manifest.settings)
        fresh.rename(archive_of(folder, name, manifest.kind))
        beside.rename(folder / f"{name}{MANIFEST}")
    except OSError as error:
        raise BackupError(f"{folder}: {system_words(error)}") from error
    finally:
        fresh.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
    return manifest


def _bring_settings(bucket: Bucket, folder: Path, name: str, wanted: File) -> None:
    """A copy without them is still a copy."""
    fresh = folder / f"{UNFINISHED}{name}{SETTINGS}"
    try:
        bucket.get(f"{PREFIX}{name}{SETTINGS}", fresh)
        if hash_of(fresh) != wanted.sha256:
            raise Damaged(f"{bucket.address(f'{PREFIX}{name}{SETTINGS}')}: не те байты, что были записаны")
        fresh.rename(folder / f"{name}{SETTINGS}")
    except NotThere:
        log.warning("backup.settings_not_there", backup=name)
    finally:
        fresh.unlink(missing_ok=True)


def _here(folder: Path, name: str) -> Manifest | None:
    manifest = Manifest.beside(folder, name)
    return manifest if manifest and archive_of(folder, name, manifest.kind).exists() else None


def _read(path: Path, name: str) -> Manifest:
    manifest = Manifest.at(path)
    if manifest is None or manifest.name != name:
        raise Damaged(f"{name}: описание копии испорчено")
    return manifest


def _newest(bucket: Bucket) -> str:
    """Of the dumps, by their names, which go on with the time; whole is what has a manifest."""
    keys = {one.key.removeprefix(PREFIX) for one in bucket.listing(PREFIX)}
    dumps = {key.removesuffix(ARCHIVE) for key in keys if key.endswith(ARCHIVE)}
    whole = {name for name in dumps if f"{name}{MANIFEST}" in keys}
    if not whole:
        raise NotThere(f"{bucket.address(PREFIX)}: нет ни одной копии")
    return max(whole)


def _delete(bucket: Bucket, copy: Backup) -> None:
    """The manifest first: without one, what is left of a copy is taken for none."""
    bucket.delete(f"{PREFIX}{copy.name}{MANIFEST}")
    bucket.delete(key_of(copy.name, copy.kind))
    if copy.manifest is not None and copy.manifest.settings is not None:
        bucket.delete(f"{PREFIX}{copy.name}{SETTINGS}")


def key_of(name: str, kind: BackupKind) -> str:
    return PREFIX + archive_of(Path(), name, kind).name


def place_of(bucket: Bucket, name: str) -> str:
    return bucket.address(f"{PREFIX}{name}")


def bucket_of(deps: Deps) -> Bucket:
    if deps.bucket is None:
        raise OffsiteError(
            "некуда: бакет не задан", "Задайте BACKUP_S3_BUCKET и ключ к нему: docs/operations/backup.md."
        )
    return deps.bucket
