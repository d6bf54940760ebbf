"""The catalogue's rows: begun, moved, tried."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

import structlog
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from getpro.backups.manifest import Manifest
from getpro.backups.models import backups, wal_streams
from getpro.backups.states import BASES, MOVES, BackupKind, BackupState
from getpro.backups.trial import Trial
from getpro.backups.wal import timeline_of
from getpro.kit.states import sources_of
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

_ROW = backups.c


@dataclass(frozen=True, slots=True)
class Backup:
    """A row of the catalogue."""

    backup_id: int
    name: str
    kind: BackupKind
    state: BackupState
    asked_by: str
    started_at: datetime
    finished_at: datetime | None
    bytes: int | None
    manifest: Manifest | None
    trouble: str | None
    verified_at: datetime | None
    is_good: bool | None
    verification: dict[str, Any] | None
    offsite_place: str | None
    offsite_at: datetime | None
    offsite_trouble: str | None

    @classmethod
    def of(cls, row: Any) -> Self:
        found = row._asdict() | {"kind": BackupKind(row.kind), "state": BackupState(row.state)}
        return cls(**found | {"manifest": _manifest(row)})


def _manifest(row: Any) -> Manifest | None:
    """One that cannot be read, of a later program or another's hand, may not keep the others from use."""
    try:
        return None if row.manifest is None else Manifest.of(row.manifest)
    except ValueError as error:
        log.warning("backup.row_not_read", backup=row.name, error=str(error).partition("\n")[0])
        return None


async def begin(session: Session, name: str, kind: BackupKind, *, asked_by: str, now: datetime) -> int:
    """Write down that a copy is being made, before anything of it is; a step."""
    number = await session.scalar(
        insert(backups)
        .values(name=name, kind=kind, state=BackupState.MAKING, asked_by=asked_by, started_at=now)
        .returning(_ROW.backup_id)
    )
    assert isinstance(number, int)
    return number


async def made(session: Session, backup_id: int, manifest: Manifest, *, now: datetime) -> bool:
    return await _move(
        session,
        backup_id,
        BackupState.MADE,
        finished_at=now,
        bytes=manifest.file_bytes,
        manifest=asdict(manifest),
        trouble=None,
    )


async def adopt(session: Session, manifest: Manifest, *, asked_by: str, now: datetime) -> bool:
    """Write down a copy that lies there whole; False where its name is known already; a step."""
    number = await session.scalar(
        upsert(backups)
        .values(
            name=manifest.name,
            kind=manifest.kind,
            state=BackupState.MADE,
            asked_by=asked_by,
            started_at=manifest.moment,
            finished_at=now,
            bytes=manifest.file_bytes,
            manifest=asdict(manifest),
        )
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(_ROW.backup_id)
    )
    return number is not None


async def failed(session: Session, backup_id: int, trouble: str, *, now: datetime) -> bool:
    return await _move(session, backup_id, BackupState.FAILED, finished_at=now, trouble=trouble)


async def lost(session: Session, backup_id: int, trouble: str) -> bool:
    return await _move(session, backup_id, BackupState.LOST, trouble=trouble)


async def found_again(session: Session, backup_id: int) -> bool:
    return await _move(session, backup_id, BackupState.MADE, trouble=None)


async def deleted(session: Session, backup_id: int) -> bool:
    return await _move(session, backup_id, BackupState.DELETED)


async def tried(session: Session, backup_id: int, trial: Trial, *, now: datetime) -> None:
    """Keep how the last trial went; a step."""
    kept = {"steps": trial.steps, "trouble": trial.trouble}
    await session.execute(
        update(backups)
        .where(_ROW.backup_id == backup_id)
        .values(verified_at=now, is_good=trial.is_good, verification=kept)
    )


async def sending(session: Session, backup_id: int, place: str) -> None:
    """Write down where some of it may lie, before the first byte does; a step."""
    await session.execute(
        update(backups)
        .where(_ROW.backup_id == backup_id)
        .values(offsite_place=place, offsite_at=None, offsite_trouble=None)
    )


async def sent(session: Session, backup_id: int, place: str, *, now: datetime) -> bool:
    """All of it was found at ``place``. False if it is to go from there by now; a step."""
    done = await session.execute(
        update(backups)
        .where(_ROW.backup_id == backup_id, _ROW.offsite_place == place, _ROW.state != BackupState.DELETED)
        .values(offsite_at=now, offsite_trouble=None)
    )
    return done.rowcount == 1


async def leaving(session: Session, backup_id: int) -> None:
    """It is not whole any more off this machine, though some may lie there; a step."""
    await session.execute(
        update(backups).where(_ROW.backup_id == backup_id).values(offsite_at=None, offsite_trouble=None)
    )


async def withdrawn(session: Session, copy: Backup, trouble: str) -> bool:
    """What was claimed of ``copy`` is not there any more. False if it was let go or sent since; a step."""
    done = await session.execute(
        update(backups)
        .where(_ROW.backup_id == copy.backup_id, _ROW.offsite_at == copy.offsite_at)
        .values(offsite_at=None, offsite_trouble=trouble)
    )
    return done.rowcount == 1


async def left(session: Session, backup_id: int) -> None:
    """Nothing of it lies off this machine; a step."""
    await session.execute(update(backups).where(_ROW.backup_id == backup_id).values(offsite_place=None))


async def offsite_trouble(session: Session, backup_id: int, trouble: str) -> None:
    """Why it is not there yet, or not gone yet; a step."""
    await session.execute(update(backups).where(_ROW.backup_id == backup_id).values(offsite_trouble=trouble))


async def newest_first(session: Session, *states: BackupState, most: int | None = None) -> list[Backup]:
    """Copies in these states; of all without any."""
    wanted = select(backups).order_by(_ROW.started_at.desc(), _ROW.backup_id.desc()).limit(most)
    if states:
        wanted = wanted.where(_ROW.state.in_(states))
    return [Backup.of(row) for row in await session.execute(wanted)]


async def by_id(session: Session, backup_id: int) -> Backup:
    return Backup.of((await session.execute(select(backups).where(_ROW.backup_id == backup_id))).one())


async def newest_bases(session: Session, *, now: datetime) -> list[Backup]:
    """Base backups that are there, newest first; without those of a clock that was ahead."""
    there = await newest_first(session, BackupState.MADE)
    return [one for one in there if one.kind in BASES and one.started_at <= now]


async def note_stream(
    session: Session,
    system: str,
    *,
    safe_until: datetime | None,
    has_offsite: bool = False,
    trouble: str | None,
    now: datetime,
) -> None:
    """Keep how the log flows; what was safe stays so where nothing new is said. A step.

    ``has_offsite``: it goes off this machine, too; then that counts from now on, also before the first of it
    is there.
    """
    row = {"system_id": system, "safe_until": safe_until, "trouble": trouble, "noted_at": now}
    begun = now if has_offsite else None
    wanted = upsert(wal_streams).values(row | {"offsite_until": begun})
    old = wal_streams.c
    await session.execute(
        wanted.on_conflict_do_update(
            index_elements=[old.system_id],
            set_=row
            | {
                "safe_until": func.coalesce(wanted.excluded.safe_until, old.safe_until),
                "offsite_until": func.coalesce(old.offsite_until, begun) if has_offsite else None,
            },
        )
    )


async def note_offsite(session: Session, system: str, until: datetime) -> None:
    """Keep up to when the log lies off this machine; a step."""
    streams = wal_streams.c
    await session.execute(update(wal_streams).where(streams.system_id == system).values(offsite_until=until))


class Stream(NamedTuple):
    """How the log of a cluster flows."""

    system_id: str
    safe_until: datetime | None
    """All that was committed before lies in the folder."""
    offsite_until: datetime | None
    """The same off this machine; None where it does not go there."""
    trouble: str | None
    noted_at: datetime


async def newest_stream(session: Session) -> Stream | None:
    """Of the cluster that we were at last; None before the first."""
    found = await session.execute(select(wal_streams).order_by(wal_streams.c.noted_at.desc()).limit(1))
    row = found.one_or_none()
    return None if row is None else Stream(**row._asdict())


async def flowing(session: Session, *, since: datetime) -> str | None:
    """The cluster whose log lies in the folder up to ``since`` or later; None where none does."""
    stream = await newest_stream(session)
    if stream is None or stream.trouble or stream.safe_until is None or stream.safe_until < since:
        return None
    return stream.system_id


async def summarizes(session: Session) -> bool:
    """Whether the server keeps account of what changes: without it no base backup can build on another."""
    return bool(await session.scalar(text("SELECT current_setting('summarize_wal', true) = 'on'")))


async def timeline(session: Session) -> int:
    """Which one of the log the server writes."""
    return timeline_of(str(await session.scalar(text("SELECT pg_walfile_name(pg_current_wal_lsn())"))))


async def _move(session: Session, backup_id: int, target: BackupState, **values: Any) -> bool:
    """True for whoever moved it; False if it is not where it could be moved from."""
    done = await session.execute(
        update(backups)
        .where(_ROW.backup_id == backup_id, _ROW.state.in_(sources_of(target, MOVES)))
        .values(state=target, **values)
    )
    return done.rowcount == 1
