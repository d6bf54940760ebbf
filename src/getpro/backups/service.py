"""Copies: made, looked after, tried, let go."""

import asyncio
import contextlib
import itertools
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from getpro.backups import base, dump, places, store
from getpro.backups.deps import Deps
from getpro.backups.errors import BackupError, Busy, DumpFailed, NotThere, OffsiteError
from getpro.backups.folder import FILES, NAMED, PASSED_THROUGH, archive_of, held, names, remove, sweep
from getpro.backups.interruption import interruptible
from getpro.backups.manifest import Manifest
from getpro.backups.mirror import forget_log
from getpro.backups.progress import OnStep, silent
from getpro.backups.proof import note
from getpro.backups.recovery import down_to_full
from getpro.backups.retention import Kept, KeptBase, borne_out, outdated, outdated_bases
from getpro.backups.sending import forget
from getpro.backups.signature import Seal
from getpro.backups.states import BackupKind, BackupState
from getpro.backups.store import Backup
from getpro.backups.trial import SCRATCH, Trial, clear, prove
from getpro.backups.wal import Log, Way, position, systems
from getpro.platform.database import DATABASE_AWAY, Session

log = structlog.get_logger(__name__)

_FULL_EVERY: Final = timedelta(days=7)
_NIGHT: Final = 3
"""From this hour on of the operator's day."""
_FLOWS: Final = timedelta(minutes=5)
"""The log flows if all was safe so long ago."""
_NOT_HERE: Final = (BackupState.LOST, BackupState.FAILED)
FROM_FOLDER: Final = "folder"
"""Who asked for a copy that was found there and does not say."""


async def create(deps: Deps, *, asked_by: str, on_progress: OnStep = silent) -> Backup:
    """Make a copy while the shop sells; a flow. Raises BackupError; then nothing new lies in the folder."""
    with held(deps.folder):
        await _tidy(deps)
        started_at = deps.clock()
        name = await _free_name(deps, started_at)
        write = _dump(deps, name, asked_by=asked_by, now=started_at, on_progress=on_progress)
        return await _kept(deps, name, BackupKind.DUMP, write, asked_by=asked_by, now=started_at)


async def create_base(deps: Deps, kind: BackupKind, *, asked_by: str, on_progress: OnStep = silent) -> Backup:
    """Make a base backup while the shop sells: a full one, or of what has changed since the newest; a flow.

    Where the server cannot say what has changed, it is full all the same. Raises BackupError; then nothing
    new lies in the folder.
    """
    with held(deps.folder):
        await _tidy(deps)
        parent = await _parent(deps) if kind is BackupKind.INCREMENTAL else None
        if parent is not None:
            with contextlib.suppress(DumpFailed):  # its account of changes has a gap; why is in the catalogue
                return await _create_base(deps, parent, asked_by=asked_by, on_progress=on_progress)
        return await _create_base(deps, None, asked_by=asked_by, on_progress=on_progress)


async def _create_base(deps: Deps, parent: Manifest | None, *, asked_by: str, on_progress: OnStep) -> Backup:
    started_at = deps.clock()
    kind = BackupKind.FULL if parent is None else BackupKind.INCREMENTAL
    name = await _free_name(deps, started_at, f"-{kind}")
    write = partial(
        base.make,
        deps.database_url,
        deps.tools,
        deps.folder,
        name,
        parent=parent,
        clock=deps.clock,
        asked_by=asked_by,
        keys=deps.keys,
        on_progress=on_progress,
    )
    return await _kept(deps, name, kind, write, asked_by=asked_by, now=started_at)


async def create_unlisted(deps: Deps, *, asked_by: str, on_progress: OnStep = silent) -> Manifest:
    """Make a copy of a database whose catalogue may be of another version, or not there yet; a flow.

    It is adopted from the folder once the catalogue is ours. Raises BackupError, as :func:`create`.
    """
    with held(deps.folder):
        sweep(deps.folder)
        started_at = deps.clock()
        name = next(name for name in _names(started_at) if name not in names(deps.folder))
        try:
            return await interruptible(
                _dump(deps, name, asked_by=asked_by, now=started_at, on_progress=on_progress)
            )
        except BaseException:
            remove(deps.folder, name)
            raise


def _dump(
    deps: Deps, name: str, *, asked_by: str, now: datetime, on_progress: OnStep
) -> Callable[[], Manifest]:
    return partial(
        dump.make,
        deps.database_url,
        deps.tools,
        deps.folder,
        name,
        now=now,
        asked_by=asked_by,
        keys=deps.keys,
        settings=deps.environment,
        on_progress=on_progress,
    )


def _names(moment: datetime, ending: str = "") -> Iterator[str]:
    """By its second; by one of those after it where another has that."""
    for seconds in itertools.count():
        yield f"2getpro-{moment + timedelta(seconds=seconds):%Y%m%d-%H%M%S}{ending}"


async def _free_name(deps: Deps, moment: datetime, ending: str = "") -> str:
    async with deps.db.read("backup: names") as session:
        taken = {copy.name for copy in await store.newest_first(session)} | set(names(deps.folder))
    return next(name for name in _names(moment, ending) if name not in taken)


async def _kept(
    deps: Deps, name: str, kind: BackupKind, write: Callable[[], Manifest], *, asked_by: str, now: datetime
) -> Backup:
    """What ``write`` has written, in the catalogue; raises BackupError."""
    async with deps.db.begin("backup: begun") as session:
        backup_id = await store.begin(session, name, kind, asked_by=asked_by, now=now)
    try:
        manifest = await interruptible(write)
    except BackupError as error:
        remove(deps.folder, name)
        with contextlib.suppress(*DATABASE_AWAY):  # then the next one says so, which finds it unfinished
            async with deps.db.begin("backup: failed") as session:
                await store.failed(session, backup_id, str(error), now=deps.clock())
        log.error("backup.failed", backup=name, error=str(error))
        raise
    except asyncio.CancelledError:
        log.warning("backup.interrupted", backup=name)
        await _tidy(deps)
        raise
    async with deps.db.begin("backup: made") as session:
        await store.made(session, backup_id, manifest, now=deps.clock())
        made = await store.by_id(session, backup_id)
    log.info("backup.made", backup=name, bytes=manifest.file_bytes)
    return made


async def base_due(deps: Deps) -> BackupKind | None:
    """Which base backup is wanted now; None while none is, or while the log that it needs does not flow.

    A full one every week, and whenever the newest leads nowhere: it, or one that it builds on, is not there;
    the log after it has a gap, is another cluster's, or of a timeline that was left. Between them every night
    what has changed, where the server keeps account of it.
    """
    now = deps.clock()
    async with deps.db.read("backup: bases") as session:
        flowing = await store.flowing(session, since=now - _FLOWS)
        bases = await store.newest_bases(session, now=now)
        timeline = await store.timeline(session)
    if flowing is None:
        return None
    if _leading(deps, bases, flowing, timeline) is None:
        return BackupKind.FULL
    fulls = [one.started_at for one in bases if one.kind is BackupKind.FULL]
    if not fulls or now - fulls[0] >= _FULL_EVERY:
        return BackupKind.FULL
    local = now.astimezone(deps.zone)
    is_todays = bases[0].started_at.astimezone(deps.zone).date() == local.date()
    is_due = not is_todays and local.hour >= _NIGHT and await _parent(deps) is not None
    return BackupKind.INCREMENTAL if is_due else None


async def untried_base(deps: Deps) -> str | None:
    """The newest base backup, if its trial was cut off."""
    async with deps.db.read("backup: bases") as session:
        bases = await store.newest_bases(session, now=deps.clock())
    return bases[0].name if bases and bases[0].verified_at is None else None


async def _parent(deps: Deps) -> Manifest | None:
    """What a base backup of changes builds on: the newest, if it leads to now and its list is here.

    None as well where the server keeps no account of what changes.
    """
    async with deps.db.read("backup: parent") as session:
        stream = await store.newest_stream(session)
        bases = await store.newest_bases(session, now=deps.clock())
        summarizes = await store.summarizes(session)
        timeline = await store.timeline(session)
    if stream is None or not summarizes:
        return None
    newest = _leading(deps, bases, stream.system_id, timeline)
    has_list = newest is not None and (deps.folder / f"{newest.name}{FILES}").exists()
    return newest if has_list else None


def _leading(deps: Deps, bases: Sequence[Backup], system: str, timeline: int) -> Manifest | None:
    """The newest, if the log leads on from it to now.

    It and what it builds on lie here, are of this cluster and its timeline, and the log after it has no gap.
    """
    lying = _lying(deps)
    newest = lying.get(bases[0].name) if bases else None
    if newest is None or (physical := newest.physical) is None or down_to_full(newest, lying) is None:
        return None
    if (physical.system, physical.timeline) != (system, timeline):
        return None
    log_after = Log(deps.folder, system, physical.segment_bytes)
    is_unbroken = log_after.is_unbroken(position(physical.start), Way.only(timeline))
    return newest if is_unbroken else None


async def verify(deps: Deps, name: str | None = None, *, on_progress: OnStep = silent) -> Backup:
    """Restore a copy for trial, the newest dump without a name, and keep how it went; a flow.

    Raises NotThere where there is none to try, and Busy.
    """
    with held(deps.trials, mode=PASSED_THROUGH):
        async with deps.db.read("backup: to try") as session:
            there = await store.newest_first(session, BackupState.MADE, BackupState.LOST)
        wanted = (one for one in there if one.name == name or (name is None and one.kind is BackupKind.DUMP))
        chosen = next(wanted, None)
        if chosen is None or chosen.manifest is None:
            raise NotThere("нет ни одной копии" if name is None else f"копии {name} нет")
        trial: Trial = await interruptible(
            prove,
            deps.folder,
            _chain(chosen.manifest, there),
            deps.keys.identity,
            scratch=deps.trials / SCRATCH,
            use=deps.use,
            on_progress=on_progress,
        )
        if not trial.says_nothing:
            await asyncio.to_thread(
                note, deps.folder, chosen.manifest, trial.trouble, deps.keys.identity, now=deps.clock()
            )
        async with deps.db.begin("backup: tried") as session:
            await store.tried(session, chosen.backup_id, trial, now=deps.clock())
    say = log.info if trial.is_good else log.error
    seconds = sum(seconds for _, seconds in trial.steps)
    say("backup.tried", backup=chosen.name, is_good=trial.is_good, trouble=trial.trouble, seconds=seconds)
    async with deps.db.read("backup: tried") as session:
        return await store.by_id(session, chosen.backup_id)


def _chain(manifest: Manifest, there: Iterable[Backup]) -> list[Manifest]:
    """The copy, after those that it builds on; raises NotThere."""
    if manifest.physical is None:
        return [manifest]
    chain = down_to_full(manifest, {one.name: one.manifest for one in there if one.manifest is not None})
    if chain is None:
        raise NotThere(f"копии, на которой стоит {manifest.name}, нет")
    return chain


async def to_prune(deps: Deps) -> list[Backup]:
    """What the counts let go now, oldest first; base backups by how far back any moment must be had."""
    async with deps.db.read("backup: to prune") as session:
        return _late(deps, await store.newest_first(session, BackupState.MADE))


def _late(deps: Deps, copies: Iterable[Backup]) -> list[Backup]:
    """Of these what no count keeps, oldest first.

    Whoever writes to the shop's database writes to the catalogue. It is believed of what is off this machine
    alone; of the others it is the file that counts, and what has none drives none out.
    """
    there = {one.name: one for one in copies}
    said = {one.name: one.manifest for one in there.values() if one.state is BackupState.LOST} | _lying(deps)
    whole = [(one, manifest) for one in there.values() if (manifest := said.get(one.name)) is not None]
    dumps = [
        Kept(one.name, manifest.moment, bool(one.is_good))
        for one, manifest in whole
        if manifest.physical is None
    ]
    bases = [
        KeptBase(
            one.name,
            manifest.physical.parent,
            (manifest.physical.system, manifest.physical.timeline),
            manifest.moment,
            bool(one.is_good),
        )
        for one, manifest in whole
        if manifest.physical is not None
    ]
    since = borne_out((manifest.moment for _, manifest in whole), now=deps.clock()) - deps.window
    # By a clock that was put back the newest copy looks older than others.
    by_number = sorted((there[dump.name] for dump in dumps), key=lambda copy: copy.backup_id)
    last = {copy.name for copy in by_number[-1:]}
    gone = [copy.name for copy in outdated(dumps, deps.keep, zone=deps.zone) if copy.name not in last]
    gone += [copy.name for copy in outdated_bases(bases, since=since)]
    return sorted((there[name] for name in gone), key=lambda copy: copy.started_at)


async def prune(deps: Deps) -> list[Backup]:
    """Delete what the counts let go, and return it; a flow. The catalogue says so before the file is gone.

    Off-site too, where that may be: what may not, the catalogue tells.
    """
    with held(deps.folder):
        await _tidy(deps)
        gone = await to_prune(deps)
        for copy in gone:
            async with deps.db.begin("backup: deleted") as session:
                await store.deleted(session, copy.backup_id)
            remove(deps.folder, copy.name)
            log.info("backup.deleted", backup=copy.name)
        await _forget_log(deps)
    if deps.bucket is not None:
        with contextlib.suppress(Busy):  # what is being sent goes with the next
            await forget(deps, partial(_late, deps))
    return gone


async def _forget_log(deps: Deps) -> None:
    """Delete what of the log lies before the oldest base backup of its cluster, here or off this machine.

    All of it where there is none, unless it is of the cluster on which the shop lives.
    """
    async with deps.db.read("backup: log to forget") as session:
        flows = await store.newest_stream(session)
        lost = await store.newest_first(session, BackupState.LOST)
    away = [one.manifest for one in lost if one.manifest is not None and one.offsite_at is not None]
    bases = [one.physical for one in [*_lying(deps).values(), *away] if one.physical is not None]
    bases.sort(key=lambda physical: position(physical.start), reverse=True)
    oldest = {physical.system: physical for physical in bases}  # the last one wins
    for system in systems(deps.folder):
        if (needs := oldest.get(system)) is not None:
            written = Log(deps.folder, system, needs.segment_bytes)
            gone = written.before(position(needs.start))
            await asyncio.to_thread(written.forget, gone)
            with contextlib.suppress(OffsiteError):  # what is left there costs little
                await _forget_offsite(deps, system, gone)
        elif flows is not None and flows.system_id != system:
            left = Log(deps.folder, system, segment_bytes=0)  # nothing in it is looked for
            with contextlib.suppress(OffsiteError):  # another night: once it is gone here nobody looks there
                await _forget_offsite(deps, system, gone := left.names())
                await asyncio.to_thread(left.forget, gone)


async def _forget_offsite(deps: Deps, system: str, names: Sequence[str]) -> None:
    """Raises OffsiteError."""
    if names:
        log.info("backup.log_deleted", files=len(names))
    if deps.bucket is not None:
        await asyncio.to_thread(forget_log, deps.bucket, system, names)


async def tidy(deps: Deps) -> None:
    """Bring the folder and the catalogue together; a flow."""
    with held(deps.folder):
        await _tidy(deps)


async def _tidy(deps: Deps) -> None:
    """What a kill has left is thrown away; what the catalogue has and the folder has not is lost.

    And the other way round: after a restore the catalogue is older than the folder.
    """
    for name in sweep(deps.folder):
        log.warning("backup.left_unfinished", file=name)
    with contextlib.suppress(Busy), held(deps.trials, mode=PASSED_THROUGH):
        await asyncio.to_thread(clear, deps.trials / SCRATCH)
    await asyncio.to_thread(places.sweep, deps.trials.parent / places.RESTORED)
    async with deps.db.begin("backup: tidy") as session:
        # A name that is none of ours would lead to other files.
        known = [copy for copy in await store.newest_first(session) if NAMED.fullmatch(copy.name)]
        there, lying = set(names(deps.folder)), _lying(deps)
        await _adopt(session, deps, {copy.name for copy in known})
        late = {copy.name for copy in _late(deps, (copy for copy in known if copy.name in lying))}
        for copy in known:
            path = archive_of(deps.folder, copy.name, copy.kind)
            if copy.state is BackupState.MAKING:  # we hold the folder: nobody is at it
                await _end(session, deps, copy, path)
            elif copy.state is BackupState.MADE and not path.exists():
                await store.lost(session, copy.backup_id, f"{path}: файла нет")
            elif copy.state is BackupState.LOST and copy.manifest and _has(path, copy.bytes):
                await store.found_again(session, copy.backup_id)
            elif copy.state in _NOT_HERE and (manifest := lying.get(copy.name)) is not None:
                await store.made(session, copy.backup_id, manifest, now=deps.clock())
            elif copy.state is BackupState.DELETED and copy.name in there:
                if copy.name in lying and copy.name not in late:  # not we have said so
                    await store.found_again(session, copy.backup_id)
                else:
                    remove(deps.folder, copy.name)


async def _adopt(session: Session, deps: Deps, known: set[str]) -> None:
    """Copies that lie there whole; a file that is still on its way will be whole another time."""
    for name in set(names(deps.folder)) - known:
        beside = Manifest.beside(deps.folder, name)
        if beside is not None and beside.seal(deps.keys.identity) is Seal.BROKEN:
            log.error("backup.not_as_signed", backup=name)
    for name, manifest in _lying(deps).items():
        if name not in known:
            await store.adopt(session, manifest, asked_by=manifest.asked_by or FROM_FOLDER, now=deps.clock())
            log.info("backup.adopted", backup=name)


def _lying(deps: Deps) -> dict[str, Manifest]:
    """What lies in the folder whole, by name, as the files beside say it; no word of whoever changed them."""
    found = {name: Manifest.beside(deps.folder, name) for name in names(deps.folder)}
    return {
        name: manifest
        for name, manifest in found.items()
        if manifest is not None
        and manifest.name == name
        and manifest.seal(deps.keys.identity) is not Seal.BROKEN
        and _has(archive_of(deps.folder, name, manifest.kind), manifest.file_bytes)
    }


def seal_of(deps: Deps, copy: Backup) -> Seal | None:
    """Whether what lies beside the copy is surely ours; None where nothing readable does."""
    manifest = Manifest.beside(deps.folder, copy.name)
    return None if manifest is None else manifest.seal(deps.keys.identity)


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
    """Whether a plain file of that size lies there."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size
