"""Copies: made, looked after, tried, let go."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import structlog

from getpro.backups import dump, store
from getpro.backups.deps import Deps
from getpro.backups.errors import BackupError, Busy, NotThere
from getpro.backups.folder import ARCHIVE, held, remove, sweep
from getpro.backups.manifest import Manifest
from getpro.backups.retention import Kept, outdated
from getpro.backups.states import BackupState
from getpro.backups.store import Backup
from getpro.backups.trial import SCRATCH, Trial, clear, prove
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

OnProgress = Callable[[str], object]
_TRIALS_MODE = 0o711
"""A server that may not run as root passes through."""


async def create(deps: Deps, *, asked_by: str, on_progress: OnProgress = lambda _: None) -> Backup:
    """Make a copy while the shop sells; a flow. Raises BackupError; then nothing new lies in the folder."""
    with held(deps.folder):
        await _tidy(deps)
        started_at = deps.clock()
        name = f"2getpro-{started_at:%Y%m%d-%H%M%S}"
        async with deps.db.begin("backup: begun") as session:
            backup_id = await store.begin(session, name, asked_by=asked_by, now=started_at)
        try:
            manifest = await asyncio.to_thread(
                dump.make,
                deps.database_url,
                deps.tools,
                deps.folder,
                name,
                now=started_at,
                recipients=deps.keys.recipients,
                on_progress=on_progress,
            )
        except BackupError as error:
            remove(deps.folder, name)
            async with deps.db.begin("backup: failed") as session:
                await store.failed(session, backup_id, str(error), now=deps.clock())
            log.error("backup.failed", backup=name, error=str(error))
            raise
        async with deps.db.begin("backup: made") as session:
            await store.made(session, backup_id, manifest, now=deps.clock())
            [made] = await store.newest_first(session, BackupState.MADE, most=1)
    log.info("backup.made", backup=name, bytes=manifest.file_bytes)
    return made


async def verify(deps: Deps, name: str | None = None, *, on_progress: OnProgress = lambda _: None) -> Backup:
    """Restore a copy for trial, the newest without a name, and keep how it went; a flow.

    Raises NotThere where there is none to try, and Busy.
    """
    with held(deps.trials, mode=_TRIALS_MODE):
        async with deps.db.read("backup: to try") as session:
            there = await store.newest_first(session, BackupState.MADE, BackupState.LOST)
        chosen = next((one for one in there if name in {None, one.name}), None)
        if chosen is None or chosen.manifest is None:
            raise NotThere("нет ни одной копии" if name is None else f"копии {name} нет")
        manifest = chosen.manifest
        trial: Trial = await asyncio.to_thread(
            prove,
            deps.folder,
            manifest,
            deps.keys.identity,
            scratch=deps.trials / SCRATCH,
            use=deps.use,
            on_progress=on_progress,
        )
        async with deps.db.begin("backup: tried") as session:
            await store.tried(session, chosen.backup_id, trial, now=deps.clock())
    say = log.info if trial.is_good else log.error
    seconds = sum(seconds for _, seconds in trial.steps)
    say("backup.tried", backup=chosen.name, is_good=trial.is_good, trouble=trial.trouble, seconds=seconds)
    async with deps.db.read("backup: tried") as session:
        return next(one for one in await store.newest_first(session) if one.backup_id == chosen.backup_id)


async def to_prune(deps: Deps) -> list[Backup]:
    """What the counts let go now, oldest first."""
    async with deps.db.read("backup: to prune") as session:
        there = {one.name: one for one in await store.newest_first(session, BackupState.MADE)}
    kept = [Kept(one.name, one.manifest.moment, bool(one.is_good)) for one in there.values() if one.manifest]
    return [there[copy.name] for copy in outdated(kept, deps.keep, zone=deps.zone)]


async def prune(deps: Deps) -> list[Backup]:
    """Delete what the counts let go, and return it; a flow. The catalogue says so before the file is gone."""
    with held(deps.folder):
        await _tidy(deps)
        gone = await to_prune(deps)
        for copy in gone:
            async with deps.db.begin("backup: deleted") as session:
                await store.deleted(session, copy.backup_id)
            remove(deps.folder, copy.name)
            log.info("backup.deleted", backup=copy.name)
    return gone


async def tidy(deps: Deps) -> None:
    """Bring the folder and the catalogue together; a flow."""
    with held(deps.folder):
        await _tidy(deps)


async def _tidy(deps: Deps) -> None:
    """What a kill has left is thrown away; what the catalogue has and the folder has not is lost."""
    for name in sweep(deps.folder):
        log.warning("backup.left_unfinished", file=name)
    with contextlib.suppress(Busy), held(deps.trials, mode=_TRIALS_MODE):
        await asyncio.to_thread(clear, deps.trials / SCRATCH)
    async with deps.db.begin("backup: tidy") as session:
        for copy in await store.newest_first(session):
            path = deps.folder / f"{copy.name}{ARCHIVE}"
            if copy.state is BackupState.MAKING:  # we hold the folder: nobody is at it
                await _end(session, deps, copy, path)
            elif copy.state is BackupState.MADE and not path.exists():
                await store.lost(session, copy.backup_id, f"{path}: файла нет")
            elif copy.state is BackupState.LOST and _has(path, copy.bytes):
                await store.found_again(session, copy.backup_id)
            elif copy.state is BackupState.DELETED:
                remove(deps.folder, copy.name)


async def _end(session: Session, deps: Deps, copy: Backup, path: Path) -> None:
    """Of a copy that nobody is making any more: it is whole, or none.

    In a database that was restored from it, it stands so for ever: it was copied before it was finished.
    """
    manifest = Manifest.beside(deps.folder, copy.name)
    if manifest is not None and _has(path, manifest.file_bytes):
        await store.made(session, copy.backup_id, manifest, now=deps.clock())
    else:
        remove(deps.folder, copy.name)
        await store.failed(session, copy.backup_id, "прервано", now=deps.clock())


def _has(path: Path, size: int | None) -> bool:
    return path.exists() and path.stat().st_size == size
