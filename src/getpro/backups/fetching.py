"""Copies brought back from where they lie off this machine.

By the place alone: on the day on which everything is lost there is neither a catalogue nor a shop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from getpro.backups import store
from getpro.backups.bucket import Bucket, OnTransfer
from getpro.backups.choice import AHEAD
from getpro.backups.errors import BackupError, Damaged, NotThere
from getpro.backups.folder import (
    ARCHIVE,
    BASE,
    MANIFEST,
    NAMED,
    SETTINGS,
    UNFINISHED,
    archive_of,
    hash_of,
    held,
    sweep,
)
from getpro.backups.interruption import leavable
from getpro.backups.manifest import File, Manifest
from getpro.backups.mirror import bring_log
from getpro.backups.progress import OnStep, silent
from getpro.backups.sending import PREFIX, key_of, telling
from getpro.backups.states import BackupKind
from getpro.backups.store import Backup
from getpro.backups.wal import FOLDER, Log, position
from getpro.kit.clock import Clock, utc_now
from getpro.kit.trouble import system_words
from getpro.platform.database import Database

log = structlog.get_logger(__name__)

_ENDINGS: Final = {ARCHIVE: BackupKind.DUMP, BASE: BackupKind.FULL}
_DATED: Final = len("2getpro-20260301-023000")
_FETCHED: Final = "fetch"
"""Who has asked for a copy that the catalogue did not know."""


@dataclass(frozen=True, slots=True)
class Lying:
    """A copy that lies there whole."""

    name: str
    kind: BackupKind
    bytes: int

    @property
    def moment(self) -> datetime:
        """As its name tells."""
        return datetime.strptime(self.name[:_DATED], "2getpro-%Y%m%d-%H%M%S").replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """What lies there: copies, the newest first, and so much of the log."""

    copies: list[Lying]
    log_files: int
    log_bytes: int


async def find(bucket: Bucket) -> Found:
    """Raises OffsiteError."""
    return await leavable(_found, bucket)


async def fetch(
    bucket: Bucket,
    folder: Path,
    name: str | None = None,
    *,
    catalogue: Database | None = None,
    clock: Clock = utc_now,
    on_progress: OnStep = silent,
) -> Manifest:
    """Bring a copy into the folder, the newest dump without a name; a flow.

    One that builds on others comes with those of them that are not in the folder, and with the log after it.
    The ``catalogue`` is believed before what lies there, and told what has come; without one, whoever has the
    folder adopts it. Raises NotThere, Damaged, OffsiteError, Busy; what has come whole by then stays.
    """
    with held(folder):
        sweep(folder)
        known = [] if catalogue is None else await _known(catalogue)
        chosen = await leavable(_newest, bucket, clock() + AHEAD) if name is None else name
        manifest = await _fetch(bucket, folder, chosen, known, on_progress)
        come, behind = [manifest], manifest
        while behind.physical is not None and (parent := behind.physical.parent) is not None:
            if (here := _here(folder, parent)) is None:
                here = await _fetch(bucket, folder, parent, known, on_progress)
                come.append(here)
            behind = here
        if catalogue is not None:
            await _note(catalogue, come, known, clock)
        if manifest.physical is not None:
            on_progress("Журнал")
            log_here = Log(folder, manifest.physical.system, manifest.physical.segment_bytes)
            await leavable(bring_log, bucket, log_here, position(manifest.physical.start))
    return manifest


async def _known(catalogue: Database) -> list[Backup]:
    async with catalogue.read("backup: to fetch") as session:
        return await store.newest_first(session)


async def _note(catalogue: Database, come: Sequence[Manifest], known: Sequence[Backup], clock: Clock) -> None:
    """Write down that these lie in the folder now."""
    numbers = {one.name: one.backup_id for one in known}
    async with catalogue.begin("backup: fetched") as session:
        for manifest in come:
            number = numbers.get(manifest.name)
            if number is None:
                number = await store.begin(
                    session, manifest.name, manifest.kind, asked_by=_FETCHED, now=manifest.moment
                )
            await store.made(session, number, manifest, now=clock())


async def _fetch(
    bucket: Bucket, folder: Path, name: str, known: Sequence[Backup], on_progress: OnStep
) -> Manifest:
    wanted = next((one.manifest for one in known if one.name == name), None)
    manifest = await leavable(_bring, bucket, folder, name, wanted, telling(name, on_progress))
    log.info("backup.fetched", backup=name)
    return manifest


def _bring(bucket: Bucket, folder: Path, name: str, known: Manifest | None, on_bytes: OnTransfer) -> Manifest:
    """What the catalogue knows of it is believed before what lies there, and is what is written beside."""
    fresh = folder / f"{UNFINISHED}{name}"
    beside = folder / f"{UNFINISHED}{name}{MANIFEST}"
    try:
        bucket.get(f"{PREFIX}{name}{MANIFEST}", beside)
        manifest = known or _read(beside, name)
        key = key_of(name, manifest.kind)
        bucket.get(key, fresh, on_bytes=on_bytes)
        if hash_of(fresh) != manifest.sha256:
            raise Damaged(f"{bucket.address(key)}: не те байты, что были записаны")
        if manifest.settings is not None:
            _bring_settings(bucket, folder, name, manifest.settings)
        fresh.rename(archive_of(folder, name, manifest.kind))
        manifest.write(folder)
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


def _newest(bucket: Bucket, latest: datetime) -> str:
    """Of the dumps up to ``latest``: what is called by a day to come is the newest of nothing."""
    dumps = (one for one in _found(bucket).copies if one.kind is BackupKind.DUMP)
    name = next((one.name for one in dumps if one.moment <= latest), None)
    if name is None:
        raise NotThere(f"{bucket.address(PREFIX)}: нет ни одной копии")
    return name


def _found(bucket: Bucket) -> Found:
    """By their names, which go on with the time; whole is what has a manifest."""
    there = {one.key.removeprefix(PREFIX): one.bytes for one in bucket.listing(PREFIX)}
    of_log = [one.bytes for one in bucket.listing(f"{FOLDER}/")]
    copies = [
        Lying(name, kind, size)
        for file, size in there.items()
        if (found := _named(file)) is not None
        for name, kind in [found]
        if f"{name}{MANIFEST}" in there
    ]
    return Found(sorted(copies, key=lambda one: one.name, reverse=True), len(of_log), sum(of_log))


def _is_dated(name: str) -> bool:
    """Whoever may write there may call one by a thirteenth month."""
    try:
        Lying(name, BackupKind.DUMP, 0).moment  # noqa: B018 -- raises ValueError
    except ValueError:
        return False
    return True


def _named(file: str) -> tuple[str, BackupKind] | None:
    """The copy whose archive it is."""
    for ending, kind in _ENDINGS.items():
        name = file.removesuffix(ending)
        if name != file and NAMED.fullmatch(name) and _is_dated(name):
            return name, BackupKind.INCREMENTAL if name.endswith(f"-{BackupKind.INCREMENTAL}") else kind
    return None
