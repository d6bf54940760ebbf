"""Who is on call: a rota with its hand-over hour, holidays, and overrides; pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Rota:
    """``people`` take turns of ``turn_days`` whole days; ``since`` is the first hand-over, and its hour."""

    people: tuple[int, ...]
    since: datetime
    turn_days: int


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody stands in, for a holiday or an evening."""

    person_id: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """Who is on call, until when."""

    person_id: int
    until: datetime


def turn_at(
    rota: Rota | None,
    overrides: Sequence[Override],
    moment: datetime,
    zone: ZoneInfo,
    holidays: Collection[date] = (),
) -> Turn | None:
    """Whose turn it is; the last of several overrides counts. None before the first hand-over.

    A turn is a number of the calendar's days in ``zone``, so that the hour of the hand-over stays what the
    clock on the wall says. A hand-over that falls on a holiday waits for the first day that is none; the
    later ones stay where they are, and a turn of holidays alone is nobody's.
    """
    for override in reversed(overrides):
        if override.since <= moment < override.until:
            return Turn(override.person_id, override.until)
    if rota is None or moment < rota.since:
        return None
    first = rota.since.astimezone(zone)
    turn = (moment.astimezone(zone).date() - first.date()).days // rota.turn_days
    while turn > 0 and moment < _hand_over(first, turn * rota.turn_days, holidays):
        turn -= 1
    until = _hand_over(first, (turn + 1) * rota.turn_days, holidays).astimezone(moment.tzinfo)
    ends = min([until, *(one.since for one in overrides if moment < one.since < until)])
    return Turn(rota.people[turn % len(rota.people)], ends)


def _hand_over(first: datetime, days: int, holidays: Collection[date]) -> datetime:
    """The same hour on the wall, so many days later; the first one was named, and stays."""
    day = first.date() + timedelta(days=days)
    while days and day in holidays:
        day += timedelta(days=1)
    return datetime.combine(day, first.timetz())
