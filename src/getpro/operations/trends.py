"""Figures against their own past: what is usual, how fast they change. Pure; without enough past, None."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import combinations
from statistics import median
from typing import Final

Sample = tuple[datetime, float]
LEAST_DAYS: Final = 7
"""Of fewer, a week's rhythm cannot be told from growth."""
_TOLERANCE: Final = timedelta(days=2)
"""How much older than asked for a sample may be, to stand for that day."""


def daily(samples: Sequence[Sample]) -> dict[date, float]:
    """The median of each day, in UTC."""
    days: dict[date, list[float]] = {}
    for at, value in samples:
        days.setdefault(at.date(), []).append(value)
    return {day: median(values) for day, values in sorted(days.items())}


def per_day(days: Mapping[date, float]) -> float | None:
    """How much it changes a day: the median of the slopes between all pairs of days (Theil and Sen).

    A clean-up or one large file in fewer than a quarter of the days does not move it. None of fewer than
    :data:`LEAST_DAYS` days.
    """
    if len(days) < LEAST_DAYS:
        return None
    points = [(day.toordinal(), value) for day, value in sorted(days.items())]
    return median((w - v) / (d - c) for (c, v), (d, w) in combinations(points, 2))


def days_until_gone(free: float, days: Mapping[date, float]) -> float | None:
    """How long ``free`` lasts if it goes on to shrink as it has; infinity if it does not; None: too early."""
    change = per_day(days)
    if change is None:
        return None
    return free / -change if change < 0 else float("inf")


def growth(samples: Sequence[Sample], value: float, *, now: datetime, days: int) -> float | None:
    """``value`` less what it was ``days`` ago; None where nothing was kept of about then."""
    then = now - timedelta(days=days)
    known = [(at, past) for at, past in samples if then - _TOLERANCE <= at <= then]
    return value - max(known)[1] if known else None


def is_far_off(value: float, past: Sequence[float], *, least: float) -> bool:
    """Whether ``value`` is further from the past's median than five times what is usual, and than ``least``.

    What is usual is the median distance from the median: a few wild hours do not widen it.
    """
    usual = median(past)
    spread = median(abs(one - usual) for one in past)
    return abs(value - usual) > max(5 * spread, least)
