"""The shop's money: is it coming as it usually does, and is anybody waiting for what they have paid for?"""

import math
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text

from getpro.checks.check import Finding, Line
from getpro.kit.clock import midnight
from getpro.operations.figures import rows_of
from getpro.operations.looks.asking import asks_database
from getpro.operations.words import change, roubles
from getpro.platform.database import Database

HOUR: Final = Line("money.hour", "Платежи за час")
WAITING: Final = Line("money.waiting", "Оплачено, но не выдано")
STUCK: Final = Line("money.stuck", "Деньги, которые ждут вас")
DAY: Final = Line("money.day", "Итоги дня")
DAY_CHANGE: Final = Line("money.day.change", "Выручка к этому часу неделей раньше")
DAY_PERIODS: Final = Line("money.day.periods", "Сроки за день")
WEEK: Final = Line("money.week", "Неделя")
CHANGE: Final = Line("money.week.change", "Выручка к прошлой неделе")
_LEAST_EXPECTED: Final = 9
"""Of fewer, none at all is within what chance does."""
_LONG_SECONDS: Final = 300
_A_WEEK: Final = timedelta(days=7)
_FALLEN: Final = Decimal("0.7")
"""Of the revenue of the week before: less is worth a look."""
_EXPECTED: Final = (
    "SELECT found.provider, count(*) / greatest(1, least(4, floor(extract(epoch FROM"
    " :now - (SELECT min(paid_at) FROM payments WHERE paid_at IS NOT NULL)) / 604800)))"
    " FROM generate_series(1, 4) AS weeks(ago), LATERAL (SELECT provider FROM payments"
    " WHERE paid_at > :now - weeks.ago * interval '7 days' - interval '1 hour'"
    " AND paid_at <= :now - weeks.ago * interval '7 days') AS found GROUP BY found.provider"
)
"""As ``getpro_paid_expected_hour``, by provider: one that fails must not hide behind the others."""
_PAID: Final = (
    "SELECT count(*) AS payments, count(DISTINCT user_id) AS payers, coalesce(sum(amount), 0) AS revenue"
    " FROM payments WHERE paid_at > :since AND paid_at <= :until"
)
_NEW: Final = "SELECT count(*) FROM users WHERE registration_date > :since AND registration_date <= :until"
_BACK: Final = (
    "SELECT coalesce(sum(amount), 0) FROM refunds"
    " WHERE status = 'succeeded' AND finished_at > :since AND finished_at <= :until"
)
_PERIODS: Final = (
    "SELECT (SELECT count(*) FROM subscription_changes WHERE cause = 'trial'"
    " AND changed_at > :since AND changed_at <= :until) AS trials,"
    " (SELECT count(*) FROM subscriptions"
    " WHERE first_paid_at > :since AND first_paid_at <= :until) AS first_paid,"
    " (SELECT count(*) FROM subscription_changes WHERE payment_id IS NOT NULL AND refund_id IS NULL"
    " AND changed_at > :since AND changed_at <= :until) AS granted"
)


@asks_database(HOUR)
async def look_at_hour(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    """By provider, and against the same hour of past weeks."""
    async with db.read("look: hour") as session:
        paid = dict(await rows_of(session, "getpro_paid_last_hour", now=now))
        rows = await session.execute(text(_EXPECTED), {"now": now})
        usual = {provider: float(expected) for provider, expected in rows}
    total, expected = sum(paid.values()), sum(usual.values())
    by = ", ".join(f"{provider} {count}" for provider, count in sorted(paid.items()))
    seen = f"{total}" + (f" ({by})" if by else "") + f", обычно {expected:.0f}"
    short = [
        f"{provider} {paid.get(provider, 0)} из {often:.0f}"
        for provider, often in sorted(usual.items())
        if _is_short(paid.get(provider, 0), often)
    ]
    if short or _is_short(total, expected):
        where = f" у {', '.join(short)}" if short else ""
        yield HOUR.wrong(f"{seen}: слишком мало{where}", "Купите сами по каждому провайдеру; 2getpro doctor.")
    else:
        yield HOUR.ok(seen)


def _is_short(count: int, usual: float) -> bool:
    """Fewer than chance alone makes of what is usual."""
    return usual >= _LEAST_EXPECTED and usual - count > 3 * math.sqrt(usual)


@asks_database(WAITING)
async def look_at_waiting(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    """Whoever has paid and whom the panel does not have yet."""
    async with db.read("look: waiting") as session:
        counted = dict(await rows_of(session, "getpro_undelivered", now=now))
        oldest = dict(await rows_of(session, "getpro_undelivered_oldest_seconds", now=now))
    paid, longest = counted.get("paid", 0), float(oldest.get("paid", 0))
    if not paid:
        yield WAITING.ok("никто не ждёт")
        return
    seen = f"ждут {paid}, дольше всех {longest / 60:.0f} мин"
    remedy = "Проверьте панель: 2getpro doctor; потом 2getpro payments stuck."
    yield WAITING.wrong(seen, remedy) if longest > _LONG_SECONDS else WAITING.attention(seen, remedy)


@asks_database(STUCK)
async def look_at_stuck(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    """Money that a person must decide about."""
    async with db.read("look: stuck") as session:
        kinds = await rows_of(session, "getpro_stuck_payments", now=now)
    if count := sum(row[1] for row in kinds):
        yield STUCK.wrong(f"записей: {count}", "2getpro payments stuck")
    else:
        yield STUCK.ok("нет")


@asks_database(DAY)
async def look_at_day(db: Database, *, now: datetime, zone: ZoneInfo) -> AsyncIterator[Finding]:
    """The operator's day so far, and as much of the same day a week ago."""
    begun = midnight(now.astimezone(zone).date(), zone)
    figures, before = await _figures(db, begun, now), await _figures(db, begun - _A_WEEK, now - _A_WEEK)
    yield DAY.ok(_in_words(figures))
    yield DAY_CHANGE.ok(change(figures["revenue"], before["revenue"]))
    yield DAY_PERIODS.ok(await _periods(db, begun, now))


@asks_database(WEEK)
async def look_at_week(db: Database, *, now: datetime, zone: ZoneInfo) -> AsyncIterator[Finding]:
    """The last seven whole days of the operator and the seven before them, as in the picture."""
    today = now.astimezone(zone).date()
    ends = [midnight(today - timedelta(days=ago), zone) for ago in (0, 7, 14)]
    this, before = await _figures(db, ends[1], ends[0]), await _figures(db, ends[2], ends[1])
    async with db.read("look: week") as session:
        active = await session.scalar(text("SELECT count(*) FROM subscriptions WHERE is_active"))
    yield WEEK.ok(_in_words(this))
    yield Line("money.week.before", "Неделя до неё").ok(_in_words(before))
    fallen = change(this["revenue"], before["revenue"])
    if before["payments"] >= _LEAST_EXPECTED and this["revenue"] < _FALLEN * before["revenue"]:
        remedy = "Посмотрите, у какого провайдера: 2getpro query payments-by-provider."
        yield CHANGE.attention(fallen, remedy)
    else:
        yield CHANGE.ok(fallen)
    average = this["revenue"] / this["payments"] if this["payments"] else Decimal(0)
    yield Line("money.week.average", "Средний платёж").ok(roubles(average))
    periods = await _periods(db, ends[1], ends[0])
    yield Line("money.week.periods", "Сроки за неделю").ok(periods)
    yield Line("money.week.periods.before", "Сроки неделей раньше").ok(await _periods(db, ends[2], ends[1]))
    yield Line("money.active", "Действующих подписок").ok(f"{active}")


async def _periods(db: Database, since: datetime, until: datetime) -> str:
    """What customers have begun."""
    async with db.read("look: periods") as session:
        found = (await session.execute(text(_PERIODS), {"since": since, "until": until})).one()
    renewed = found.granted - found.first_paid
    return f"пробных {found.trials}, впервые оплачено {found.first_paid}, продлений {renewed}"


async def _figures(db: Database, since: datetime, until: datetime) -> dict[str, Any]:
    span = {"since": since, "until": until}
    async with db.read("look: figures") as session:
        paid = (await session.execute(text(_PAID), span)).mappings().one()
        return {
            **paid,
            "new": await session.scalar(text(_NEW), span),
            "back": await session.scalar(text(_BACK), span),
        }


def _in_words(figures: dict[str, Any]) -> str:
    told = (
        f"новых {figures['new']}, покупателей {figures['payers']}, платежей {figures['payments']},"
        f" выручка {roubles(figures['revenue'])}"
    )
    return told + (f", возвращено {roubles(figures['back'])}" if figures["back"] else "")
