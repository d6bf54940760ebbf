"""Who is on call: a rota with its hand-over hour, and overrides; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    rota: Rota | None, overrides: Sequence[Override], moment: datetime, zone: ZoneInfo
) -> Turn | None:
    """Whose turn it is; the last of several overrides counts. None before the first hand-over.

    A turn is a number of the calendar's days in ``zone``, so that the hour of the hand-over stays what the
    clock on the wall says.
    """
    for override in reversed(overrides):
        if override.since <= moment < override.until:
            return Turn(override.person_id, override.until)
    if rota is None or moment < rota.since:
        return None
    first = rota.since.astimezone(zone)
    days = (moment.astimezone(zone).date() - first.date()).days
    if moment < _days_after(first, days):
        days -= 1
    turn = days // rota.turn_days
    until = _days_after(first, (turn + 1) * rota.turn_days).astimezone(moment.tzinfo)
    ends = min([until, *(one.since for one in overrides if moment < one.since < until)])
    return Turn(rota.people[turn % len(rota.people)], ends)


def _days_after(first: datetime, days: int) -> datetime:
    """The same hour on the wall, so many days later."""
    return datetime.combine(first.date() + timedelta(days=days), first.timetz())
