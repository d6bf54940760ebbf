"""A month of incidents in figures: how many, how fast taken and resolved, how many limits were kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import select

from getpro.incidents.deps import Deps
from getpro.incidents.models import incident_events, incidents
from getpro.incidents.response import Response, response
from getpro.incidents.states import EventKind, Level
from getpro.incidents.store import Event, policy
from getpro.platform.database import Session


@dataclass(frozen=True, slots=True)
class Case:
    """An incident, as far as figures need it."""

    level: Level
    """The gravest that it has had."""
    opened_at: datetime
    resolved_at: datetime | None
    response: Response


@dataclass(frozen=True, slots=True)
class Times:
    """Of a number of durations; the median of an even number lies between the two in the middle."""

    median: timedelta
    worst: timedelta


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one level, or of all (``level`` None)."""

    level: Level | None
    count: int
    open: int
    to_take: Times | None
    """From the first call to the first answer; None where nobody was called and answered."""
    to_resolve: Times | None
    """From when it was known."""
    kept: int
    judged: int
    """In how many somebody had to answer and the time is over or they have; ``kept`` of them in time."""


def figures(cases: Sequence[Case]) -> list[Figures]:
    """Each level's, the least grave first, then of all together; pure."""
    by_level = [_figures(level, [one for one in cases if one.level is level]) for level in Level]
    return [*by_level, _figures(None, cases)]


def _figures(level: Level | None, cases: Sequence[Case]) -> Figures:
    judged = [one.response.is_kept for one in cases if one.response.is_kept is not None]
    return Figures(
        level=level,
        count=len(cases),
        open=sum(one.resolved_at is None for one in cases),
        to_take=_times(
            one.response.answered_at - one.response.called_at
            for one in cases
            if one.response.answered_at is not None and one.response.called_at is not None
        ),
        to_resolve=_times(one.resolved_at - one.opened_at for one in cases if one.resolved_at is not None),
        kept=sum(judged),
        judged=len(judged),
    )


def _times(lengths: Iterable[timedelta]) -> Times | None:
    seconds = [length.total_seconds() for length in lengths]
    if not seconds:
        return None
    return Times(timedelta(seconds=median(seconds)), timedelta(seconds=max(seconds)))


async def cases(session: Session, deps: Deps, *, since: datetime, until: datetime) -> list[Case]:
    """Of the incidents that became known in that time, oldest first; a step."""
    those = select(incidents).where(incidents.c.opened_at >= since, incidents.c.opened_at < until)
    rows = (await session.execute(those.order_by(incidents.c.incident_id))).all()
    told = await session.execute(
        select(incident_events)
        .where(
            incident_events.c.incident_id.in_([row.incident_id for row in rows]),
            incident_events.c.kind.in_(_TELLING),
        )
        .order_by(incident_events.c.event_id)
    )
    lines: dict[int, list[Event]] = {}
    for one in told:
        event = Event(one.at, one.who, EventKind(one.kind), one.words, one.data)
        lines.setdefault(one.incident_id, []).append(event)
    rules = await policy(session)
    return [
        Case(
            max(Level(row.level), *_called(lines.get(row.incident_id, []))),
            row.opened_at,
            row.resolved_at,
            response(lines.get(row.incident_id, []), rules, deps.night),
        )
        for row in rows
    ]


def _called(line: Iterable[Event]) -> list[Level]:
    """The levels that were called: a person may have lowered it since."""
    return [Level.L1, *(Level(one.data["level"]) for one in line if one.kind is EventKind.PAGED)]


_TELLING = (EventKind.PAGED, EventKind.TAKEN, EventKind.CLOSING, EventKind.FORCED, EventKind.RESOLVED)
