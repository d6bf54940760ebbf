"""The routines raise the alarm: what they find red is a signal, and green again it is over."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import select

from getpro.checks.check import Finding, Level, worst
from getpro.incidents.deps import Deps as IncidentsDeps
from getpro.incidents.signals import Signal, raise_signal, signal_over
from getpro.incidents.states import Level as Gravity
from getpro.incidents.states import Source
from getpro.operations.models import check_runs
from getpro.platform.database import Session
from getpro.platform.schedules import schedules

_RED: Final = (Level.UNKNOWN, Level.WRONG)
_GRAVER: Final = ("money.", "backups.", "synthetic.")
"""Wrong there is a matter of an hour; everything else, and what could not be checked, of four."""
_MISSED: Final = "missed:"
_RUNBOOK: Final = "docs/operations/runbooks/routine-missed.md"
_PATIENCE: Final = timedelta(minutes=30)


class Planned(Protocol):
    """A routine, as far as it matters here."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def schedule(self) -> str: ...
    @property
    def seconds(self) -> float: ...


async def of_run(
    session: Session,
    deps: IncidentsDeps,
    routine: str,
    findings: Sequence[Finding],
    *,
    raises: bool,
    before: Collection[str] = (),
) -> None:
    """Raise what is red, end what is not any more; a step of the transaction that keeps the run.

    The same check may stand in several routines: the last to look is right. ``raises``: not where somebody
    looks by hand, who sees it anyway. ``before``: the names of the run before; what has a name of its own,
    as a certificate has its host's, has no line any more when it is over.
    """
    by_name: dict[str, list[Finding]] = {}
    for finding in findings:
        by_name.setdefault(finding.name, []).append(finding)
    for name, those in by_name.items():
        if worst(those) not in _RED:
            await signal_over(session, deps, Source.ROUTINE, name)
        elif raises:
            await raise_signal(session, deps, _signal(name, those, now=deps.clock()))
    for name in sorted(set(before) - by_name.keys()):
        await signal_over(session, deps, Source.ROUTINE, name)
    await signal_over(session, deps, Source.ROUTINE, f"{_MISSED}{routine}")


def _signal(name: str, those: Sequence[Finding], *, now: datetime) -> Signal:
    order = list(Level)
    gravest = max(those, key=lambda one: order.index(one.level))
    is_graver = gravest.level is Level.WRONG and name.startswith(_GRAVER)
    unknown = "не проверено: " if gravest.level is Level.UNKNOWN else ""
    return Signal(
        source=Source.ROUTINE,
        fingerprint=name,
        level=Gravity.L2 if is_graver else Gravity.L1,
        title=f"{gravest.title}: {unknown}{gravest.seen}",
        began_at=now,
        about=f"check:{name}",
        runbook=gravest.remedy or None,
    )


def patience(routine: Planned) -> timedelta:
    """How long after its hour a routine may have left no run: it is kept when it is over.

    The rule RoutineMissed waits as long.
    """
    return max(_PATIENCE, timedelta(seconds=2 * routine.seconds))


async def of_missed(session: Session, deps: IncidentsDeps, routines: Sequence[Planned]) -> None:
    """Raise the alarm about each routine whose time has come long ago without a run; a step."""
    now = deps.clock()
    rows = await session.execute(select(schedules.c.name, schedules.c.last_run_at, schedules.c.next_run_at))
    planned = {row.name: row for row in rows}
    for routine in routines:
        row = planned.get(routine.schedule)
        if row is None:
            continue
        due_at = row.next_run_at
        if row.last_run_at is not None and not await _was_run(session, routine.name, since=row.last_run_at):
            due_at = row.last_run_at
        if now - due_at <= patience(routine):
            continue
        missed = Signal(
            source=Source.ROUTINE,
            fingerprint=f"{_MISSED}{routine.name}",
            level=Gravity.L1,
            title=f"{routine.title}: не состоялась",
            began_at=due_at,
            about=f"routine:{routine.name}",
            runbook=_RUNBOOK,
        )
        await raise_signal(session, deps, missed)


async def _was_run(session: Session, name: str, *, since: datetime) -> bool:
    found = select(check_runs.c.run_id).where(check_runs.c.routine == name, check_runs.c.started_at >= since)
    return await session.scalar(found.limit(1)) is not None
