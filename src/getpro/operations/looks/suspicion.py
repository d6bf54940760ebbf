"""Suspicious activity of a month: refused notices of money, farmed trials, sudden refunds, floods."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date, datetime, timedelta
from math import sqrt
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from getpro.checks.check import Finding, Line
from getpro.customers.models import users
from getpro.messaging.models import message_logs
from getpro.operations.looks.asking import asks_database
from getpro.operations.models import refusals
from getpro.payments.models import payments, refunds
from getpro.payments.states import PaymentStatus, RefundOrigin
from getpro.platform.database import Database, Session

NOTICES: Final = Line("suspicious.notices", "Отвергнутые уведомления")
TRIALS: Final = Line("suspicious.trials", "Пробные сроки")
REFUNDS: Final = Line("suspicious.refunds", "Возвраты")
FLOODS: Final = Line("suspicious.floods", "Наплыв сообщений")
PROMO: Final = Line("suspicious.promo", "Подбор промокодов")
REFERRALS: Final = Line("suspicious.referrals", "Накрутка приглашений")
_PAGE: Final = "docs/operations/audit.md#"
_NOTICES: Final = 10
"""So many refusals of one source in the time that is looked at are no slip."""
_FORGED: Final = frozenset({"signature", "secret", "address"})
_TRIALS_AN_HOUR: Final = 10
_TIMES_USUAL: Final = 5
_TRIALS_OF_A_LINK: Final = 10
_REFUNDS: Final = 5
_WEEKS: Final = 8
_WEEK: Final = timedelta(days=7)
_FLOOD: Final = 600
"""Of one person in an hour: a finger is not as fast."""
_SHOWN: Final = 5


@asks_database(NOTICES)
async def look_at_notices(db: Database, *, now: datetime, span: timedelta) -> AsyncIterator[Finding]:
    """What the shop's doors have refused, by where it came from."""
    async with db.read("look: refusals") as session:
        rows = (
            await session.execute(
                select(
                    refusals.c.source,
                    refusals.c.door,
                    refusals.c.reason,
                    func.sum(refusals.c.times).label("times"),
                )
                .where(refusals.c.day >= (now - span).date())
                .group_by(refusals.c.source, refusals.c.door, refusals.c.reason)
                .order_by(func.sum(refusals.c.times).desc(), refusals.c.source)
            )
        ).all()
    by_source: dict[str, list[Any]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row)
    many = {source: those for source, those in by_source.items() if sum(r.times for r in those) >= _NOTICES}
    for source, those in list(many.items())[:_SHOWN]:
        line = Line(f"{NOTICES.name}.{source}", f"Отвергнуто от {source}")
        said = ", ".join(f"{row.door} ({row.reason}) {row.times}" for row in those)
        if any(row.reason in _FORGED for row in those):
            yield line.wrong(said, "Подделывают? docs/operations/runbooks/forged-webhooks.md")
        else:
            yield line.attention(said, "Чей это адрес? docs/operations/runbooks/forged-webhooks.md")
    if not many:
        yield NOTICES.ok(f"всего {sum(row.times for row in rows)}, от кого-то одного немного")


@asks_database(TRIALS)
async def look_at_trials(
    db: Database, *, now: datetime, span: timedelta, zone: ZoneInfo
) -> AsyncIterator[Finding]:
    """Trials taken in bursts, or by one link that brings trials and never a payment."""
    since = now - span
    async with db.read("look: trials") as session:
        began = users.c.trial_started_at
        hours = await _hours(session, since=since, now=now)
        paid = (
            select(payments.c.payment_id)
            .where(payments.c.user_id == users.c.user_id, payments.c.status == PaymentStatus.SUCCEEDED)
            .exists()
        )
        links = (
            await session.execute(
                select(users.c.start_parameter.label("link"), func.count().label("trials"))
                .where(began.between(since, now), users.c.start_parameter.is_not(None))
                .group_by(users.c.start_parameter)
                .having(func.count() >= _TRIALS_OF_A_LINK, ~func.bool_or(paid))
                .order_by(func.count().desc())
            )
        ).all()
    wanting = [*_bursts(hours, since=since, now=now, zone=zone), *_fruitless(links)]
    for finding in wanting:
        yield finding
    if not wanting:
        yield TRIALS.ok(f"взято {sum(hours.values())}, всплесков нет")


async def _hours(session: Session, *, since: datetime, now: datetime) -> Counter[datetime]:
    hour = func.date_trunc("hour", users.c.trial_started_at).label("hour")
    rows = await session.execute(
        select(hour, func.count().label("times"))
        .where(users.c.trial_started_at.between(since, now))
        .group_by(hour)
    )
    return Counter({row.hour: row.times for row in rows})


def _bursts(hours: Counter[datetime], *, since: datetime, now: datetime, zone: ZoneInfo) -> Iterator[Finding]:
    """Hours with many more than the others have on the average: the quiet ones count, too."""
    span = max(1.0, (now - since) / timedelta(hours=1))
    for hour, times in sorted(hours.items()):
        usual = (hours.total() - times) / span
        if times >= max(_TRIALS_AN_HOUR, _TIMES_USUAL * usual):
            at = f"{hour.astimezone(zone):%d.%m.%Y %H:00}"
            line = Line(f"{TRIALS.name}.{hour:%Y-%m-%dT%H}", f"Всплеск пробных сроков {at}")
            yield line.attention(f"за час {times}", f"{_PAGE}пробные-сроки")


def _fruitless(links: Sequence[Any]) -> Iterator[Finding]:
    for row in links[:_SHOWN]:
        line = Line(f"{TRIALS.name}.{row.link}", f"Пробные сроки по ссылке {row.link}")
        yield line.attention(f"взято {row.trials}, не купил никто", f"{_PAGE}пробные-сроки")


@asks_database(REFUNDS)
async def look_at_refunds(
    db: Database, *, now: datetime, span: timedelta, zone: ZoneInfo
) -> AsyncIterator[Finding]:
    """Weeks with many more refunds than those before, and refunds that were made past the shop."""
    async with db.read("look: refunds") as session:
        made_at = refunds.c.created_at
        rows = (
            await session.execute(
                select(made_at, refunds.c.origin).where(
                    made_at.between(now - span - (_WEEKS + 1) * _WEEK, now)
                )
            )
        ).all()
    recent = [row for row in rows if row.created_at >= now - span]
    weeks = Counter(_monday(row.created_at, zone) for row in rows)
    wanting = list(_weeks(weeks, since=_monday(now - span, zone) + _WEEK))
    if past := sum(row.origin == RefundOrigin.CABINET for row in recent):
        line = Line(f"{REFUNDS.name}.cabinet", "Возвраты мимо магазина")
        wanting.append(line.attention(f"сделано в кабинете: {past}", f"Это ваши? {_PAGE}возвраты"))
    for finding in wanting:
        yield finding
    if not wanting:
        yield REFUNDS.ok(f"за {span.days} дн. {len(recent)}, как обычно")


def _monday(moment: datetime, zone: ZoneInfo) -> date:
    day = moment.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


def _weeks(weeks: Counter[date], *, since: date) -> Iterator[Finding]:
    """Those that no chance explains: of what is rare and by chance, the spread is the root of the mean."""
    for monday, times in sorted(weeks.items()):
        usual = sum(weeks[monday - ago * _WEEK] for ago in range(1, _WEEKS + 1)) / _WEEKS
        if monday >= since and times >= _REFUNDS and times > usual + 3 * sqrt(usual):
            line = Line(f"{REFUNDS.name}.{monday}", f"Много возвратов за неделю с {monday:%d.%m.%Y}")
            seen = f"{times}, обычно {usual:.1f}".replace(".", ",")
            yield line.attention(seen, f"{_PAGE}возвраты")


@asks_database(FLOODS)
async def look_at_floods(
    db: Database, *, now: datetime, span: timedelta, zone: ZoneInfo
) -> AsyncIterator[Finding]:
    """People who press faster than people do."""
    own = message_logs.c
    hour = func.date_trunc("hour", own.timestamp).label("hour")
    async with db.read("look: floods") as session:
        hours = (
            select(own.user_id, hour, func.count().label("times"))
            .where(own.timestamp.between(now - span, now))
            .group_by(own.user_id, hour)
            .having(func.count() >= _FLOOD)
            .subquery()
        )
        rows = (
            await session.execute(
                select(
                    hours.c.user_id,
                    func.max(hours.c.times).label("times"),
                    func.max(hours.c.hour).label("last"),
                )
                .group_by(hours.c.user_id)
                .order_by(func.max(hours.c.times).desc())
            )
        ).all()
    for row in rows[:_SHOWN]:
        line = Line(f"{FLOODS.name}.{row.user_id}", f"Наплыв от клиента {row.user_id}")
        seen = f"до {row.times} за час, в последний раз {row.last.astimezone(zone):%d.%m.%Y %H:00}"
        yield line.attention(seen, f"{_PAGE}наплыв")
    if not rows:
        yield FLOODS.ok("ни от кого")
