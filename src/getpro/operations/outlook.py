"""The second week's picture: new customers by month, and where what matters most is going."""

from datetime import datetime, timedelta
from typing import Final

from getpro.operations import capacity
from getpro.operations.capacity import Growth
from getpro.operations.deps import Deps
from getpro.operations.pictures import MONTHS_SHORT, Ahead, Bar, Curve, growing
from getpro.platform.typesetting import draw

_PAST_DAYS: Final = 182
_AHEAD_DAYS: Final = 182
_STEP_DAYS: Final = 7
"""Whole weeks: the same weekday each time, and no saw of the week's days."""
_LEAST_POINTS: Final = 7
_DRAWN: Final = (capacity.USERS, capacity.DATABASE, capacity.PEAK)
_DISK: Final = "machine.growth.disk."
_DISKS_DRAWN: Final = 2
_TITLES: Final = {capacity.DATABASE: "База", capacity.PEAK: "Обновлений в секунду в пике"}
_BARS: Final = "Новые по месяцам; последний ещё идёт"
_KEY: Final = "Пунктир — прогноз, полоса — где будет в 4 случаях из 5"
_KEY_TOO_EARLY: Final = "Прогноз будет, когда накопится четыре недели замеров"


async def picture(deps: Deps, now: datetime) -> bytes:
    """A PNG; raises NotDrawn and the database's errors."""
    async with deps.db.read("capacity: picture") as session:
        months = await capacity.months(session, deps, now)
    bars = [
        Bar(MONTHS_SHORT[month.month - 1], new, is_good=True) for month, new in sorted(months.items())[-12:]
    ]
    found = [one for one in await capacity.everything(deps, now) if len(one.days) >= _LEAST_POINTS]
    fullest = sorted((one for one in found if one.line.name.startswith(_DISK)), key=_share, reverse=True)
    shown = [*(one for one in found if one.line in _DRAWN), *fullest[:_DISKS_DRAWN]]
    key = _KEY if any(one.ahead is not None for one in shown) else _KEY_TOO_EARLY
    return await draw(growing(_BARS, bars, [_curve_of(one) for one in shown], shades=key))


def _share(one: Growth) -> float:
    return (one.now or 0) / (one.limit or 1)


def _curve_of(one: Growth) -> Curve:
    last_day = max(one.days)
    past = [(day, value) for day, value in sorted(one.days.items()) if (last_day - day).days <= _PAST_DAYS]
    ahead = []
    if one.ahead is not None:
        coming = (last_day + timedelta(days=off) for off in range(0, _AHEAD_DAYS + 1, _STEP_DAYS))
        ahead = [Ahead(day, *one.ahead.on(day)) for day in coming]
    # A peak that is far below what the machine could do would be a line along the bottom.
    is_of_disk = one.line.name.startswith(_DISK)
    title = _TITLES.get(one.line, one.line.title)
    if is_of_disk and one.limit is not None:
        title = f"{title}: {one.unit.words(one.limit)}"
    return Curve(title, one.unit, past, ahead, one.limit if is_of_disk else None)
