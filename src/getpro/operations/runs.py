"""What the routines found, kept: one row a run."""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from getpro.checks.check import Finding, Level
from getpro.operations.models import check_runs
from getpro.platform.database import Session

KEPT: Final = timedelta(days=750)
"""As long as the samples: a month is compared with the same one of the year before."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a routine found."""

    run_id: int
    routine: str
    asked_by: str
    started_at: datetime
    finished_at: datetime
    level: Level
    findings: list[Finding]
    picture: bytes | None = field(default=None, compare=False, repr=False)
    """Of a run that has just been made; it is not kept."""


class AlreadyRun(Exception):
    """It has been carried out, for this time that it was due."""


async def keep(session: Session, done: Run, *, due_at: datetime | None) -> int:
    """Keep a run and return its number; a step. Raises AlreadyRun."""
    run_id = await session.scalar(
        insert(check_runs)
        .values(
            routine=done.routine,
            asked_by=done.asked_by,
            started_at=done.started_at,
            finished_at=done.finished_at,
            level=done.level,
            findings=[asdict(finding) for finding in done.findings],
            due_at=due_at,
        )
        .on_conflict_do_nothing()
        .returning(check_runs.c.run_id)
    )
    if run_id is None:
        raise AlreadyRun
    assert isinstance(run_id, int)
    return run_id


async def history(session: Session, *, routine: str | None = None, most: int = 20) -> list[Run]:
    """The last runs, newest first."""
    wanted = select(check_runs).order_by(check_runs.c.started_at.desc(), check_runs.c.run_id.desc())
    if routine is not None:
        wanted = wanted.where(check_runs.c.routine == routine)
    return [run_of(row) for row in await session.execute(wanted.limit(most))]


def run_of(row: Any) -> Run:
    """Of a row of ``check_runs``."""
    findings = [Finding(**(found | {"level": Level(found["level"])})) for found in row.findings]
    return Run(
        row.run_id,
        row.routine,
        row.asked_by,
        row.started_at,
        row.finished_at,
        Level(row.level),
        findings,
    )


async def forget_old(session: Session, *, now: datetime) -> None:
    await session.execute(delete(check_runs).where(check_runs.c.started_at < now - KEPT))
