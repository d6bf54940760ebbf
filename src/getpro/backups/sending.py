"""Copies off this machine: sent, and let go.

What the catalogue says of them it says in this order: where some of a copy may lie, before its first byte
does; that all of it lies there, after the last was looked at. Letting go is the same backwards. So a kill at
any moment leaves work for the next, and no claim that is not true.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from getpro.backups import store
from getpro.backups.bucket import Bucket, OnTransfer
from getpro.backups.deps import Deps
from getpro.backups.errors import BackupError, OffsiteAway, OffsiteError
from getpro.backups.folder import MANIFEST, SETTINGS, archive_of, held
from getpro.backups.interruption import go_on, leavable
from getpro.backups.progress import OnStep, silent
from getpro.backups.states import BackupKind, BackupState
from getpro.backups.store import Backup
from getpro.kit.trouble import system_words

log = structlog.get_logger(__name__)

PREFIX: Final = "copies/"
"""How the keys of copies begin: other things lie beside them."""
_LOCK: Final = ".sending"
"""Not the folder's own: a copy is made while another is on its way."""
_MOST_REFUSALS: Final = 3
_MIB: Final = 2**20

Late = Callable[[Iterable[Backup]], list[Backup]]
"""Of copies those that no count keeps."""


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


async def send(deps: Deps, *, on_progress: OnStep = silent) -> Sent:
    """Send every copy that is in the folder and not off this machine, newest first; a flow.

    One that cannot be sent stops no other, unless nobody answers at all. Raises Busy.
    """
    bucket = required(deps.bucket)
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
    bucket = required(deps.bucket)
    async with deps.db.read("backup: to send") as session:
        there = await store.newest_first(session, BackupState.MADE)
    return [
        one
        for one in there
        if one.manifest is not None
        and (one.offsite_at is None or one.offsite_place != place_of(bucket, one.name))
    ]


async def forget(deps: Deps, late: Late) -> list[Backup]:
    """Delete off this machine what is deleted here, and what is lost here and out of its time; a flow.

    Oldest first. What may not be deleted stays there, the catalogue tells why, the next tries again; after
    a few refusals it is the key's, or what is younger is locked still longer. Raises Busy.
    """
    bucket, gone, refused = required(deps.bucket), [], 0
    with held(deps.folder, lock=_LOCK):  # what is on its way now would arrive afterwards
        for copy in await _to_forget(deps, bucket, late):
            async with deps.db.begin("backup: leaves off-site") as session:
                await store.deleted(session, copy.backup_id)
                await store.leaving(session, copy.backup_id)
            try:
                await leavable(_delete, bucket, copy)
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


async def _send(deps: Deps, bucket: Bucket, copy: Backup, on_progress: OnStep) -> None:
    place = place_of(bucket, copy.name)
    async with deps.db.begin("backup: sending") as session:
        await store.sending(session, copy.backup_id, place)
    await leavable(_put, bucket, deps.folder, copy, telling(copy.name, on_progress))
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
        strays = await leavable(bucket.abort_unfinished, PREFIX, keep=keys)
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


def telling(name: str, tell: OnStep) -> OnTransfer:
    """Tells how far the transfer of a copy is, and ends it once nobody waits for it."""

    def on_bytes(over: int, total: int) -> None:
        go_on()
        tell(f"{name}: {over // _MIB} из {total // _MIB} МБ")

    return on_bytes


def _put(bucket: Bucket, folder: Path, copy: Backup, on_bytes: OnTransfer) -> None:
    """The manifest last: what has one is whole."""
    assert copy.manifest is not None
    archive = archive_of(folder, copy.name, copy.kind)
    bucket.put(archive, key_of(copy.name, copy.kind), sha256=copy.manifest.sha256, on_bytes=on_bytes)
    settings = folder / f"{copy.name}{SETTINGS}"
    if copy.manifest.settings is not None and settings.exists():  # one that is gone holds up no copy
        bucket.put(settings, f"{PREFIX}{settings.name}", sha256=copy.manifest.settings.sha256)
    bucket.put(folder / f"{copy.name}{MANIFEST}", f"{PREFIX}{copy.name}{MANIFEST}")


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


def required(bucket: Bucket | None) -> Bucket:
    """Raises OffsiteError where none is set."""
    if bucket is None:
        raise OffsiteError(
            "некуда: бакет не задан", "Задайте BACKUP_S3_BUCKET и ключ к нему: docs/operations/backup.md."
        )
    return bucket
