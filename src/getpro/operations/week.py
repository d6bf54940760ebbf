"""The week's picture: revenue and new customers by the operator's day, against the week before."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text

from getpro.kit.clock import midnight
from getpro.operations.deps import Deps
from getpro.operations.pictures import Bars, week_against_week
from getpro.platform.typesetting import draw

_REVENUE: Final = (
    "SELECT (paid_at AT TIME ZONE :zone)::date, sum(amount) FROM payments"
    " WHERE paid_at >= :since AND paid_at < :until GROUP BY 1"
)
_NEW: Final = (
    "SELECT (registration_date AT TIME ZONE :zone)::date, count(*) FROM users"
    " WHERE registration_date >= :since AND registration_date < :until GROUP BY 1"
)
_DAYS: Final = 14


async def picture(deps: Deps, now: datetime) -> bytes:
    """A PNG of the last seven whole days and the seven before; raises NotDrawn and the database's errors."""
    end = now.astimezone(deps.zone).date()
    days = [end - timedelta(days=ago) for ago in range(_DAYS, 0, -1)]
    span = {"since": midnight(days[0], deps.zone), "until": midnight(end, deps.zone), "zone": deps.zone.key}
    async with deps.db.read("week") as session:
        revenue = {day: float(sum_) for day, sum_ in await session.execute(text(_REVENUE), span)}
        new = {day: float(count) for day, count in await session.execute(text(_NEW), span)}
    charts = [
        Bars(title, [by_day.get(day, 0) for day in days[7:]], [by_day.get(day, 0) for day in days[:7]])
        for title, by_day in (("Выручка, ₽", revenue), ("Новые клиенты", new))
    ]
    return await draw(week_against_week(charts, days[7], days[-1]))
