"""The catalogue's rows: begun, moved, tried."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import insert, select, update

from getpro.backups.manifest import Manifest
from getpro.backups.models import backups
from getpro.backups.states import MOVES, BackupState
from getpro.backups.trial import Trial
from getpro.kit.states import sources_of
from getpro.platform.database import Session

_ROW = backups.c


@dataclass(frozen=True, slots=True)
class Backup:
    """A row of the catalogue."""

    backup_id: int
    name: str
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

    @classmethod
    def of(cls, row: Any) -> Self:
        found = row._asdict() | {"state": BackupState(row.state)}
        return cls(**found | {"manifest": None if row.manifest is None else Manifest.of(row.manifest)})


async def begin(session: Session, name: str, *, asked_by: str, now: datetime) -> int:
    """Write down that a copy is being made, before anything of it is; a step."""
    number = await session.scalar(
        insert(backups)
        .values(name=name, state=BackupState.MAKING, asked_by=asked_by, started_at=now)
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


async def newest_first(session: Session, *states: BackupState, most: int | None = None) -> list[Backup]:
    """Copies in these states; of all without any."""
    wanted = select(backups).order_by(_ROW.started_at.desc(), _ROW.backup_id.desc()).limit(most)
    if states:
        wanted = wanted.where(_ROW.state.in_(states))
    return [Backup.of(row) for row in await session.execute(wanted)]


async def _move(session: Session, backup_id: int, target: BackupState, **values: Any) -> bool:
    """True for whoever moved it; False if it is not where it could be moved from."""
    done = await session.execute(
        update(backups)
        .where(_ROW.backup_id == backup_id, _ROW.state.in_(sources_of(target, MOVES)))
        .values(state=target, **values)
    )
    return done.rowcount == 1
