"""The policy of steps as people change it: by a command, checked, on record, and back to the guide's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select

from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo
from getpro.incidents.escalation import GUIDES, Step
from getpro.incidents.models import escalation_steps
from getpro.incidents.states import Level, Reach
from getpro.incidents.team import Actor, require
from getpro.incidents.words import span
from getpro.platform import audit
from getpro.platform.database import Session

MOST_STEPS: Final = 10
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=1)
_ACTION: Final = "escalation.steps"


@dataclass(frozen=True, slots=True)
class Change:
    """Who has changed a level's steps last."""

    who: str
    at: datetime
    reason: str


async def set_steps(
    session: Session, deps: Deps, level: Level, steps: Sequence[Step], *, by: Actor, reason: str
) -> None:
    """Call by these steps from now on, open incidents too; a step. Raises NotAllowed, CannotDo.

    What an incident waits for already it waits out.
    """
    await require(session, deps, by)
    if not 0 < len(steps) <= MOST_STEPS:
        raise CannotDo(f"шагов на уровне может быть от 1 до {MOST_STEPS}")
    for step in steps:
        if not SHORTEST <= step.wait <= LONGEST:
            raise CannotDo(f"ждать на шаге можно от {span(SHORTEST)} до {span(LONGEST)}")
    await session.execute(delete(escalation_steps).where(escalation_steps.c.level == level))
    rows = [
        {
            "level": level,
            "position": position,
            "role": step.role,
            "reach": step.reach,
            "wait_seconds": int(step.wait.total_seconds()),
        }
        for position, step in enumerate(steps, 1)
    ]
    await session.execute(insert(escalation_steps).values(rows))
    await audit.note(
        session,
        actor=by.name,
        action=_ACTION,
        subject=level,
        reason=reason,
        outcome="guide" if is_guides(level, steps) else " ".join(map(_plain, steps)),
        now=deps.clock(),
    )


def is_guides(level: Level, steps: Sequence[Step]) -> bool:
    """Whether they are as the guide has them."""
    return tuple(steps) == tuple(GUIDES[level])


async def last_change(session: Session, level: Level) -> Change | None:
    """None where nobody has ever changed it."""
    log = audit.audit_log
    found = await session.execute(
        select(log)
        .where(log.c.action == _ACTION, log.c.subject == level)
        .order_by(log.c.audit_id.desc())
        .limit(1)
    )
    row = found.one_or_none()
    return None if row is None else Change(row.actor, row.at, row.reason)


def _plain(step: Step) -> str:
    """As the command takes it."""
    minutes = round(step.wait.total_seconds() / 60)
    return f"{step.role}:{minutes}m{':all' if step.reach is Reach.ALL else ''}"
