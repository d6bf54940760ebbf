"""Where a daily figure is going, how sure that is, and when it reaches a limit. Pure.

The method; why it is this one, and how often it was right: ``docs/decisions/0030-forecasts.md``.

1. The last :data:`WINDOW_DAYS` days, a value each. Of fewer than :data:`LEAST_DAYS` nothing is foretold.
2. What belongs to the day of the week is taken out: the median distance from the week around.
3. A step many times larger than usual is a jump: a clean-up, a dropped partition, a bulk import. One that
   came once is no growth; those that come again and again are, as often as they came.
4. The slope of what is left is Theil's and Sen's: the median of the slopes between all pairs of days. Where
   weeks add more and more, or less and less (Mann's and Kendall's test), it is that of the last six weeks.
5. How far it may be off is told from how far the past strayed from that line in a day, a week, up to four:
   noise, which stays as it is, and wandering, which adds up.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations, pairwise
from statistics import fmean, median
from typing import Final, NamedTuple

from getpro.operations.trends import per_day

WINDOW_DAYS: Final = 126
"""Eighteen weeks: what comes monthly has come at least three times."""
LEAST_DAYS: Final = 28
"""Four of each weekday."""
HORIZON_DAYS: Final = 730
"""What is further off is not told."""
SURE: Final = 0.8
"""How often the truth is meant to lie between: in four cases of five."""
_NORMAL: Final = 1.2816
"""The normal distribution's bound of :data:`SURE`."""
_DAYS_OF_WEEK: Final = 7
_ASIDE: Final = 3
_LEAST_AROUND: Final = 5
"""Of the seven days around one: of fewer there is no week to hold it against."""
_LEAST_OF_WEEKDAY: Final = 2
_JUMP: Final = 6.0
"""So many times the usual step."""
_AGAIN: Final = 3
"""So often, over more than a third of the days, it is no accident."""
_LAGS: Final = (1, 7, 14, 21, 28, 42)
_RECENT_DAYS: Final = 42
_NO_CHANCE: Final = 1.96
"""Chance shows a change as clear as that once in twenty."""
_LEAST_WEEKS: Final = 8
_SHARES: Final = (0.2, 5.0)
"""What is further from the week's usual is no habit that one could count on."""
_OF_MONTH: Final = 31
_TO_DEVIATION: Final = 1.4826
_MEAN_TO_DEVIATION: Final = 1.2533
"""From the median and from the mean distance to a normal distribution's deviation."""

Days = Mapping[date, float]


class Range(NamedTuple):
    """What is expected, and between what it lies in four cases of five."""

    low: float
    expected: float
    high: float


class Reached(NamedTuple):
    """When a limit is reached; None: not within :data:`HORIZON_DAYS`."""

    earliest: date | None
    expected: date | None
    latest: date | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """``level`` is of the last day and, as ``per_day``, of a week's average day."""

    last_day: date
    level: float
    per_day: float
    of_weekday: tuple[float, ...]
    """Each as a share of an average day, Monday first."""
    jumps: tuple[date, ...]
    """When it jumped, and that was left out of the growth."""
    noise: float
    wander: float
    slope_error: float
    """Variances: of a day, added by each day, of ``per_day``."""
    sure: float
    """So many deviations hold :data:`SURE`."""

    def on(self, day: date) -> Range:
        """Of a day after the last; none of these figures can be below zero."""
        ahead = (day - self.last_day).days
        expected = (self.level + ahead * self.per_day) * self.of_weekday[day.weekday()]
        error = self.sure * math.sqrt(
            1.25 * self.noise + (ahead + 3) * self.wander + ahead**2 * self.slope_error
        )
        return Range(*(max(0.0, value) for value in (expected - error, expected, expected + error)))

    def reaches(self, limit: float) -> Reached:
        """When each of the three is first at ``limit`` or above."""
        found: list[date | None] = [None, None, None]
        for ahead in range(HORIZON_DAYS + 1):
            day = self.last_day + timedelta(days=ahead)
            for number, value in enumerate(reversed(self.on(day))):
                if found[number] is None and value >= limit:
                    found[number] = day
            if found[-1] is not None:
                break
        return Reached(*found)


def forecast(days: Days) -> Forecast | None:
    """None of fewer than :data:`LEAST_DAYS` days in the last :data:`WINDOW_DAYS`."""
    if not days:
        return None
    last_day = max(days)
    first_day = last_day - timedelta(days=WINDOW_DAYS - 1)
    known = {day: value for day, value in sorted(days.items()) if day >= first_day}
    if len(known) < LEAST_DAYS:
        return None
    of_weekday = _of_weekday(known)
    even = {day: value / of_weekday[day.weekday()] for day, value in known.items()}
    jumps = _jumps(even)
    span = (last_day - min(known)).days
    again = _again(jumps, span)
    smooth = _without(jumps, even)
    slope, change = _slope(smooth, last_day)
    slope += again or 0.0
    past = smooth if again is None else even
    noise, wander = _strays(past, slope - change, span)
    return Forecast(
        last_day=last_day,
        level=_level(past, slope, last_day, days=_DAYS_OF_WEEK if again is None else _OF_MONTH),
        per_day=slope,
        of_weekday=of_weekday,
        jumps=tuple(jumps) if again is None else (),
        noise=noise,
        wander=wander,
        # Of a line through independent points, and through a random walk; a change may go on.
        slope_error=12 * noise / (len(known) * span**2) + 1.2 * wander / span + (2 * change) ** 2,
        sure=_bound(max(2.0, span / (2 * _DAYS_OF_WEEK))),
    )


def _of_weekday(known: Days) -> tuple[float, ...]:
    """What each weekday has of the median of the seven days around it, as a share of the week's average."""
    off: list[list[float]] = [[] for _ in range(_DAYS_OF_WEEK)]
    slope = per_day(known) or 0.0  # or Friday would be above its week for being its last working day
    first, last = min(known), max(known)
    for day, value in known.items():
        if min((day - first).days, (last - day).days) < _ASIDE:
            continue
        around = ((apart, known.get(day + timedelta(days=apart))) for apart in range(-_ASIDE, _ASIDE + 1))
        values = [one - apart * slope for apart, one in around if one is not None]
        if len(values) >= _LEAST_AROUND and (usual := median(values)) > 0:
            off[day.weekday()].append(value / usual)
    least, most = _SHARES
    shares = [min(most, max(least, median(one))) if len(one) >= _LEAST_OF_WEEKDAY else 1.0 for one in off]
    return tuple(one / fmean(shares) for one in shares)


def _slope(smooth: Days, last_day: date) -> tuple[float, float]:
    """What a day adds, and by how much that is more than it was over all the days."""
    whole = per_day(smooth)
    assert whole is not None  # it asks for fewer days
    if not _is_changing(smooth, last_day):
        return whole, 0.0
    recent = per_day({day: one for day, one in smooth.items() if (last_day - day).days < _RECENT_DAYS})
    return (whole, 0.0) if recent is None else (recent, recent - whole)


def _is_changing(smooth: Days, last_day: date) -> bool:
    """Whether later weeks add clearly more than earlier ones, or less: by their order alone."""
    weeks: dict[int, list[float]] = {}
    for day, value in smooth.items():
        weeks.setdefault((last_day - day).days // _DAYS_OF_WEEK, []).append(value)
    usual = {ago: median(values) for ago, values in weeks.items()}
    added = [usual[ago] - usual[ago + 1] for ago in sorted(usual, reverse=True) if ago + 1 in usual]
    count = len(added)
    if count < _LEAST_WEEKS:
        return False
    order = sum((later > week) - (later < week) for week, later in combinations(added, 2))
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return abs(order) - 1 > _NO_CHANCE * deviation


def _jumps(even: Days) -> dict[date, float]:
    """Steps far from the usual one: the day each came, and by how much it was off."""
    days = list(even)
    steps = [((later - day).days, even[later] - even[day], later) for day, later in pairwise(days)]
    usual = median(step / gap for gap, step, _ in steps)
    off = {later: (step - gap * usual, math.sqrt(gap)) for gap, step, later in steps}
    distances = [abs(distance) / wide for distance, wide in off.values()]
    deviation = _TO_DEVIATION * median(distances) or _MEAN_TO_DEVIATION * fmean(distances)
    return {
        day: distance for day, (distance, wide) in off.items() if abs(distance) > _JUMP * deviation * wide
    }


def _again(jumps: Mapping[date, float], span: int) -> float | None:
    """What jumps that keep coming add a day; None where none does."""
    total, is_found = 0.0, False
    for sign in (1, -1):
        those = [(day, jump) for day, jump in jumps.items() if jump * sign > 0]
        if not those:
            continue
        often = len(those) / span
        between = (those[-1][0] - those[0][0]).days
        if len(those) >= _AGAIN and between > span / 3:
            # From the first to the last there is one fewer: the window's edges do not count.
            often, is_found = min(often, (len(those) - 1) / between), True
        total += often * fmean(jump for _, jump in those)
    return total if is_found else None


def _without(jumps: Mapping[date, float], even: Days) -> dict[date, float]:
    """The past as if it had always been where it is now."""
    smooth, later = {}, 0.0
    for day in reversed(list(even)):
        smooth[day] = even[day] + later
        later += jumps.get(day, 0.0)
    return dict(reversed(smooth.items()))


def _level(past: Days, slope: float, last_day: date, *, days: int) -> float:
    """Where the last ``days`` end."""
    ago = [((last_day - day).days, value) for day, value in past.items()]
    return median(value + slope * since for since, value in ago if since < days)


def _strays(past: Days, slope: float, span: int) -> tuple[float, float]:
    """Variances: of a day's noise, and what a day of wandering adds.

    After ``lag`` days two values differ by twice the one and ``lag`` times the other; what was seen is
    fitted by that, the long lags, of which there are fewer, counting less.
    """
    seen: list[tuple[int, float]] = []
    for lag in _LAGS:
        apart = timedelta(days=lag)
        off = [past[day + apart] - value - lag * slope for day, value in past.items() if day + apart in past]
        if off and lag <= span / 3:
            # The slope was fitted to the same days: they look less astray than they are.
            seen.append((lag, fmean(one**2 for one in off) / (1 - lag / span)))
    return _fitted(seen)


def _fitted(seen: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """``noise`` and ``wander``, neither negative, of ``2 noise + lag wander``."""
    if not seen:
        return 0.0, 0.0
    weight = sum(1 / lag for lag, _ in seen)
    lag_mean = len(seen) / weight
    seen_mean = sum(value / lag for lag, value in seen) / weight
    spread = sum((lag - lag_mean) ** 2 / lag for lag, _ in seen)
    wander = sum((lag - lag_mean) * value / lag for lag, value in seen) / spread if spread else 0.0
    noise = (seen_mean - wander * lag_mean) / 2
    if wander < 0:
        return seen_mean / 2, 0.0
    if noise < 0:
        return 0.0, sum(value for _, value in seen) / sum(lag for lag, _ in seen)
    return noise, wander


def _bound(freedom: float) -> float:
    """Student's bound of :data:`SURE`, by the first terms of its series (Abramowitz and Stegun, 26.7.5)."""
    z = _NORMAL
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2
