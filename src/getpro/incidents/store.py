"""Incidents and their time lines: conditional updates, so that of two who press one wins."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from getpro.incidents.errors import NoSuchIncident
from getpro.incidents.escalation import Policy, Step
from getpro.incidents.models import escalation_steps, incident_events, incident_signals, incidents
from getpro.incidents.states import MOVES, EventKind, IncidentState, Level, Reach, Role
from getpro.kit.states import sources_of
from getpro.platform import changes
from getpro.platform.changes import ChangeKind
from getpro.platform.database import Session

SHOP = changes.SHOP
"""Who, on the time line, where nobody did it by hand."""
BEFORE: Final = timedelta(hours=1)
"""What was done to the shop so shortly before may be the cause."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_LIKELY: Final = {ChangeKind.DEPLOYED, ChangeKind.SETTINGS}


NOT_CLOSING: Final[Mapping[str, Any]] = {
    "asked": None,
    "is_asked_why": False,
    "closing_by": None,
    "closing_at": None,
    "cause": None,
    "fix": None,
}
"""Nobody is asked how it ended, and what was said of it does not hold any more."""


def called_anew(now: datetime) -> dict[str, Any]:
    """The columns of one that nobody holds: its level is called from its first step, at once."""
    return {
        "taken_by": None,
        "step": 0,
        "called_at": None,
        "next_step_at": now,
        "snoozed_until": None,
        **NOT_CLOSING,
    }


@dataclass(frozen=True, slots=True)
class Incident:
    incident_id: int
    level: Level
    state: IncidentState
    title: str
    opened_by: str | None
    """None: signals alone."""
    opened_at: datetime
    taken_by: str | None
    taken_at: datetime | None
    step: int
    turn: int
    called_at: datetime | None
    next_step_at: datetime | None
    snoozed_until: datetime | None
    quiet_since: datetime | None
    asked: int | None
    restored_to: datetime | None
    """It came back with a database that was brought back to that moment."""
    is_asked_why: bool
    closing_by: str | None
    """Who has said cause and fix; it closes when it is quiet."""
    closing_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str | None
    cause: str | None
    fix: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the time line."""

    at: datetime
    who: str
    kind: EventKind
    words: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignalSeen:
    """What a source has said, of an incident's."""

    title: str
    level: Level
    runbook: str | None
    source: str
    began_at: datetime
    """By its source."""
    first_seen_at: datetime
    over_at: datetime | None
    times: int
    is_firing: bool


async def add(
    session: Session,
    *,
    level: Level,
    title: str,
    by: str | None,
    now: datetime,
    first_step_at: datetime,
) -> int:
    """Write an open incident and return its number."""
    statement = insert(incidents).values(
        level=level,
        state=IncidentState.OPEN,
        title=title,
        opened_by=by,
        opened_at=now,
        next_step_at=first_step_at,
    )
    made: int = (await session.execute(statement.returning(incidents.c.incident_id))).scalar_one()
    return made


async def locked(session: Session, incident_id: int) -> Incident:
    """The incident, held until the transaction ends; raises NoSuchIncident."""
    return await _one(session, incident_id, lock=True)


async def incident(session: Session, incident_id: int) -> Incident:
    """Raises NoSuchIncident."""
    return await _one(session, incident_id, lock=False)


async def _one(session: Session, incident_id: int, *, lock: bool) -> Incident:
    query = select(incidents).where(incidents.c.incident_id == incident_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NoSuchIncident(incident_id)
    return incident_of(row)


async def newest(session: Session, *, most: int, is_unresolved: bool = False) -> list[Incident]:
    """The newest first."""
    query = select(incidents).order_by(incidents.c.incident_id.desc()).limit(most)
    if is_unresolved:
        query = query.where(incidents.c.state != IncidentState.RESOLVED)
    return [incident_of(row) for row in await session.execute(query)]


async def due(session: Session, *, now: datetime, most: int) -> list[int]:
    """Those whose next step has come, the longest due first; of what is quiet nobody is called."""
    found = await session.scalars(
        select(incidents.c.incident_id)
        .where(
            incidents.c.next_step_at <= now,
            or_(incidents.c.quiet_since.is_(None), incidents.c.opened_by.is_not(None)),
        )
        .order_by(incidents.c.next_step_at)
        .limit(most)
    )
    return list(found)


async def quiet(session: Session, *, now: datetime, quiet_time: timedelta) -> list[int]:
    """Those that signals alone opened, nobody holds, and no signal speaks of any more."""
    found = await session.scalars(
        select(incidents.c.incident_id).where(
            incidents.c.state == IncidentState.OPEN,
            incidents.c.opened_by.is_(None),
            incidents.c.quiet_since <= now - quiet_time,
        )
    )
    return list(found)


async def closing(session: Session) -> list[int]:
    """Those that close when they are quiet."""
    found = await session.scalars(
        select(incidents.c.incident_id).where(
            incidents.c.state != IncidentState.RESOLVED, incidents.c.closing_by.is_not(None)
        )
    )
    return list(found)


async def move(session: Session, incident_id: int, to: IncidentState, **values: Any) -> bool:
    """Move it by the table, with what changes beside; False where it is not where it could be moved from."""
    moved = await session.execute(
        update(incidents)
        .where(incidents.c.incident_id == incident_id, incidents.c.state.in_(sources_of(to, MOVES)))
        .values(state=to, **values)
    )
    return moved.rowcount == 1


async def change(session: Session, incident_id: int, **values: Any) -> None:
    """What is no move."""
    await session.execute(update(incidents).where(incidents.c.incident_id == incident_id).values(**values))


async def note(
    session: Session,
    incident_id: int,
    kind: EventKind,
    words: str,
    *,
    now: datetime,
    who: str = SHOP,
    key: str | None = None,
    **data: Any,
) -> bool:
    """Add a line to the time line; False where one with this key stands there."""
    statement = upsert(incident_events).values(
        incident_id=incident_id, at=now, who=who, kind=kind, words=words.replace("\0", ""), data=data, key=key
    )
    added = await session.execute(statement.on_conflict_do_nothing(index_elements=["key"]))
    return added.rowcount == 1


async def heard_of_holder(session: Session, found: Incident) -> tuple[datetime, datetime | None]:
    """When whoever has taken it last did or said something of it; and when they were asked since, if ever."""
    assert found.taken_at is not None
    line = incident_events.c
    last = await session.scalar(
        select(func.max(line.at)).where(line.incident_id == found.incident_id, line.who == found.taken_by)
    )
    heard_at = max(found.taken_at, last or found.taken_at)
    asked_at: datetime | None = await session.scalar(
        select(func.max(line.at)).where(
            line.incident_id == found.incident_id, line.kind == EventKind.ASKED, line.at > heard_at
        )
    )
    return heard_at, asked_at


async def is_asked_still(session: Session, found: Incident) -> bool:
    """Whether it is waited for a sign of whoever has taken it."""
    if found.state is not IncidentState.TAKEN:
        return False
    return (await heard_of_holder(session, found))[1] is not None


async def is_forced(session: Session, incident_id: int) -> bool:
    """Whether it was closed although it was not quiet."""
    found = select(incident_events.c.event_id).where(
        incident_events.c.incident_id == incident_id, incident_events.c.kind == EventKind.FORCED
    )
    return await session.scalar(found.limit(1)) is not None


async def is_noted(session: Session, key: str) -> bool:
    found = select(incident_events.c.event_id).where(incident_events.c.key == key)
    return await session.scalar(found) is not None


async def opened_by(session: Session, key: str) -> int | None:
    """The incident that was opened by what has this key."""
    found: int | None = await session.scalar(
        select(incident_events.c.incident_id).where(incident_events.c.key == key)
    )
    return found


async def time_line(session: Session, incident_id: int) -> list[Event]:
    """With what was done to the shop from shortly before it began until it ended."""
    found, own = await incident(session, incident_id), await _own_line(session, incident_id)
    done = await changes.between(session, found.opened_at - BEFORE, found.resolved_at or _NEVER)
    others = [Event(one.at, one.who, EventKind.CHANGE, one.words) for one in done]
    # Each in its own order, also where a clock was set back.
    return list(heapq.merge(others, own, key=lambda one: one.at))


async def shortly_before(session: Session, opened_at: datetime) -> changes.Change | None:
    """The last deployment, or change of settings, before it began; where there was none, the last command."""
    done = await changes.between(session, opened_at - BEFORE, opened_at)
    found = [one for one in done if one.kind is not ChangeKind.FIRST]  # nothing was otherwise before
    graver = [one for one in found if one.kind in _LIKELY]
    return next(reversed(graver or found), None)


async def _own_line(session: Session, incident_id: int) -> list[Event]:
    rows = await session.execute(
        select(incident_events)
        .where(incident_events.c.incident_id == incident_id)
        .order_by(incident_events.c.event_id)
    )
    return [Event(row.at, row.who, EventKind(row.kind), row.words, row.data) for row in rows]


async def signals_of(session: Session, incident_id: int) -> list[SignalSeen]:
    """The gravest first, of those what fires first, then the oldest."""
    rows = await session.execute(
        select(incident_signals)
        .where(incident_signals.c.incident_id == incident_id)
        .order_by(
            incident_signals.c.is_firing.desc(), incident_signals.c.level.desc(), incident_signals.c.signal_id
        )
    )
    return [
        SignalSeen(
            title=row.title,
            level=Level(row.level),
            runbook=row.runbook,
            source=row.source,
            began_at=row.began_at,
            first_seen_at=row.first_seen_at,
            over_at=row.over_at,
            times=row.times,
            is_firing=row.is_firing,
        )
        for row in rows
    ]


async def retire_signals(session: Session, incident_id: int) -> None:
    """What comes from now on is another incident's."""
    await session.execute(
        update(incident_signals)
        .where(incident_signals.c.incident_id == incident_id, incident_signals.c.is_current)
        .values(is_current=False)
    )


async def policy(session: Session) -> Policy:
    """As the database has it."""
    rows = await session.execute(
        select(escalation_steps).order_by(escalation_steps.c.level, escalation_steps.c.position)
    )
    steps: dict[Level, list[Step]] = {}
    for row in rows:
        step = Step(Role(row.role), Reach(row.reach), timedelta(seconds=row.wait_seconds))
        steps.setdefault(Level(row.level), []).append(step)
    return steps


async def count_unresolved(session: Session) -> int:
    query = select(func.count()).where(incidents.c.state != IncidentState.RESOLVED)
    return await session.scalar(query) or 0


def incident_of(row: Any) -> Incident:
    """Of a row of the table."""
    return Incident(
        incident_id=row.incident_id,
        level=Level(row.level),
        state=IncidentState(row.state),
        title=row.title,
        opened_by=row.opened_by,
        opened_at=row.opened_at,
        taken_by=row.taken_by,
        taken_at=row.taken_at,
        step=row.step,
        turn=row.turn,
        called_at=row.called_at,
        next_step_at=row.next_step_at,
        snoozed_until=row.snoozed_until,
        quiet_since=row.quiet_since,
        asked=row.asked,
        restored_to=row.restored_to,
        is_asked_why=row.is_asked_why,
        closing_by=row.closing_by,
        closing_at=row.closing_at,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        cause=row.cause,
        fix=row.fix,
    )
