"""Findings that people have accepted as they were seen: why, and until when; then they count again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from getpro.checks.check import Finding, Level
from getpro.incidents import team
from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo
from getpro.incidents.team import Actor
from getpro.operations.models import accepted_findings
from getpro.operations.runs import history
from getpro.platform import audit
from getpro.platform.database import Session

LONGEST: Final = timedelta(days=366)
WANTING: Final = (Level.ATTENTION, Level.UNKNOWN, Level.WRONG)


@dataclass(frozen=True, slots=True)
class Accepted:
    """One, as it was seen: what has changed since is another."""

    finding: str
    seen: str
    until: datetime
    reason: str
    by: str
    at: datetime


async def accept(
    session: Session, deps: Deps, finding: str, *, until: datetime, reason: str, by: Actor
) -> int:
    """Let what the last audit says under this name colour nothing until then; a step.

    Return how many lines that are. Raises NotAllowed, CannotDo. Accepted again, it has the new day.
    """
    await team.require(session, deps, by)
    now = deps.clock()
    if not now < until <= now + LONGEST:
        raise CannotDo("принять находку можно на время от завтрашнего дня до года")
    known = await _all(session)
    seen = {one.seen for one in known if one.finding == finding} | await _in_last_audit(session, finding)
    if not seen:
        raise CannotDo(f"в последнем аудите находки {finding} нет")
    values = {"until": until, "reason": reason, "accepted_by": by.name, "accepted_at": now}
    for each in sorted(seen):
        await session.execute(
            insert(accepted_findings)
            .values(finding=finding, seen=each, **values)
            .on_conflict_do_update(index_elements=["finding", "seen"], set_=values)
        )
    await audit.note(
        session,
        actor=by.name,
        action="audit.accept",
        subject=finding,
        reason=reason,
        outcome=f"until {until:%Y-%m-%d}",
        now=now,
    )
    return len(seen)


async def withdraw(session: Session, deps: Deps, finding: str, *, reason: str, by: Actor) -> None:
    """Have it count again; a step. Raises NotAllowed, CannotDo."""
    await team.require(session, deps, by)
    dropped = await session.execute(delete(accepted_findings).where(accepted_findings.c.finding == finding))
    if not dropped.rowcount:
        raise CannotDo(f"находку {finding} никто не принимал")
    await audit.note(
        session,
        actor=by.name,
        action="audit.withdraw",
        subject=finding,
        reason=reason,
        outcome="counts again",
        now=deps.clock(),
    )


async def in_force(session: Session, *, now: datetime) -> list[Accepted]:
    """Those whose day has not come."""
    return [one for one in await _all(session) if one.until > now]


def settled(findings: Sequence[Finding], accepted: Sequence[Accepted], zone: ZoneInfo) -> list[Finding]:
    """The same, those that are accepted without a colour; pure."""
    known = {(one.finding, one.seen): one for one in accepted}

    def one(finding: Finding) -> Finding:
        found = known.get((finding.name, finding.seen))
        if found is None or finding.level not in WANTING:
            return finding
        words = f"принято до {found.until.astimezone(zone):%d.%m.%Y} ({found.by}: {found.reason}): "
        return replace(finding, level=Level.ABSENT, seen=words + finding.seen, remedy="")

    return [one(finding) for finding in findings]


async def _in_last_audit(session: Session, finding: str) -> set[str]:
    last = await history(session, routine="audit", most=1)
    return {one.seen for run in last for one in run.findings if one.name == finding and one.level in WANTING}


async def _all(session: Session) -> list[Accepted]:
    rows = await session.execute(select(accepted_findings).order_by(accepted_findings.c.accepted_at))
    return [_of(row) for row in rows]


def _of(row: Any) -> Accepted:
    return Accepted(row.finding, row.seen, row.until, row.reason, row.accepted_by, row.accepted_at)
