"""Decisions about periods; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an end: later by what ``payment_id`` has bought, earlier by what was taken back of that."""

    payment_id: int | None
    days: int
    end_before: datetime | None
    end_after: datetime


@dataclass(slots=True)
class _Period:
    payment_id: int | None
    start: datetime
    end: datetime


def extended_end(current_end: datetime | None, days: int, *, now: datetime) -> datetime:
    """The end after ``days`` more: from the present end if it lies ahead, else from now.

    Whole seconds, because the panel keeps no more than milliseconds and both must agree. Days are
    24 hours in UTC, so that two purchases give the same end in either order.
    """
    start = current_end if current_end is not None and current_end > now else now.replace(microsecond=0)
    return start + timedelta(days=days)


def unused(changes: Iterable[Change], payment_id: int, *, now: datetime) -> timedelta:
    """What lies ahead of the period that ``payment_id`` has bought, in whole seconds; zero once it is over.

    Periods lie one behind the other in the order of ``changes``; one that was shortened moves those behind
    it. Source: docs/decisions/0010-refunds.md.
    """
    periods: list[_Period] = []
    for change in changes:
        if change.end_before is None or change.end_after > change.end_before:
            start = change.end_after - timedelta(days=change.days)
            periods.append(_Period(change.payment_id, start, change.end_after))
        elif change.end_after < change.end_before:
            _shorten(periods, change.payment_id, change.end_before - change.end_after)
    whole = now.replace(microsecond=0)
    mine = [period for period in periods if period.payment_id == payment_id]
    return sum((max(period.end - max(whole, period.start), timedelta()) for period in mine), timedelta())


def _shorten(periods: list[_Period], payment_id: int | None, by: timedelta) -> None:
    is_behind = False
    for period in periods:
        if is_behind:
            period.start -= by
            period.end -= by
        elif period.payment_id == payment_id:
            period.end -= by
            is_behind = True
