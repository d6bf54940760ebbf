"""The month's report as the operators' chat gets it: the lines, the pictures, the papers."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.operations.deps import Deps
from getpro.operations.looks.asking import asks_database
from getpro.operations.month import charts, guide, paper, sheets
from getpro.operations.month import period as periods
from getpro.operations.month.books import Account
from getpro.operations.month.figures import Figures
from getpro.operations.month.period import Period
from getpro.operations.month.report import Seen, plain, see
from getpro.operations.month.tables import (
    NOT_USED,
    UNUSED,
    available,
    budget,
    drills,
    in_roubles,
    incidents,
    provider_title,
    restored,
    tables,
    verdict,
    waits,
)
from getpro.operations.words import change, share, whole
from getpro.platform.bot_api import Document
from getpro.platform.typesetting import draw
from getpro.platform.typesetting import paper as printed

MONTH: Final = Line("month", "Отчёт")
REVENUE: Final = Line("month.revenue", "Чистая выручка")
BUYERS: Final = Line("month.buyers", "Покупатели")
PEOPLE: Final = Line("month.people", "Новые клиенты")
SUBSCRIPTIONS: Final = Line("month.subscriptions", "Платные подписки")
VALUE: Final = Line("month.value", "MRR, ARPU, LTV")
BOOKS: Final = Line("month.books", "Сверка с провайдерами")
GRANTED: Final = Line("month.granted", "Оплачено, а срока нет")
KEPT: Final = Line("month.kept", "Сохранённый отчёт")
AVAILABLE: Final = Line("month.available", "Можно было купить")
WAITED: Final = Line("month.waited", "От оплаты до доступа")
INCIDENTS: Final = Line("month.incidents", "Инциденты")
COPIES: Final = Line("month.copies", "Копии и учения")
SHOP: Final = "2GETPRO"
_STUCK: Final = "2getpro payments stuck"


def due(deps: Deps, now: datetime) -> Period:
    return periods.due(_today(deps, now), deps.zone)


def asked(deps: Deps, month: date, now: datetime) -> Period:
    """Raises ValueError for a month that has not begun."""
    return periods.asked(month, _today(deps, now), deps.zone)


def _today(deps: Deps, now: datetime) -> date:
    return now.astimezone(deps.zone).date()


@asks_database(MONTH)
async def look(deps: Deps, period: Period) -> AsyncIterator[Finding]:
    """What a phone shows of it; the details are in the papers."""
    seen = await see(deps, period)
    for finding in told(seen):
        yield finding


def told(seen: Seen) -> list[Finding]:
    """The report in lines; pure."""
    report = seen.report
    now, before = report.this.figures, report.earlier.figures
    state = "" if report.is_closed else ", предварительно"
    average = "" if now.average is None else f", в среднем {in_roubles(now.average)}"
    return [
        MONTH.ok(f"{report.title}{state}; рядом {report.earlier_title.lower()}"),
        REVENUE.ok(
            f"{in_roubles(now.net)}, {_against(now.net, before.net)}; возвращено {in_roubles(now.back)}"
        ),
        BUYERS.ok(f"{whole(now.payers)}, оплат {whole(now.count)}{average}"),
        PEOPLE.ok(f"{whole(now.new_users)}; {_trials(now)}"),
        SUBSCRIPTIONS.ok(_subscriptions(now, before)),
        VALUE.ok(_value(now)),
        *_books(report.this.accounts),
        *_not_granted(now),
        *_kept(seen),
        AVAILABLE.ok(_availability(seen)),
        WAITED.ok(waits(now)),
        INCIDENTS.ok(incidents(report.this.service.incidents, "")),
        COPIES.ok(_copies(seen)),
        *(Line(f"month.unused.{number}", name).absent(NOT_USED) for number, name in enumerate(UNUSED)),
    ]


def _against(now: int, before: int) -> str:
    return change(Decimal(now), Decimal(before))


def _trials(now: Figures) -> str:
    if now.trial_share is None:
        return "пробных сроков не начинали"
    paid = f"{whole(now.trials_paid)} ({share(now.trial_share)})"
    return f"пробных {whole(now.trials)}, из них оплатили {paid}"


def _subscriptions(now: Figures, before: Figures) -> str:
    churn = "" if now.churn is None else f", отток {share(now.churn)}"
    grown = f"{whole(now.paid_at_end)} ({_against(now.paid_at_end, before.paid_at_end)})"
    moved = f"пришли {whole(now.new)}, вернулись {whole(now.returned)}, ушли {whole(now.lost)}{churn}"
    return f"{grown}: {moved}; продлений {whole(now.renewals)}"


def _value(now: Figures) -> str:
    each = (now.monthly, now.per_customer, now.lifetime)
    return ", ".join("—" if one is None else in_roubles(one) for one in each)


def _books(accounts: Sequence[Account]) -> list[Finding]:
    """A kopek that is missing is a line; so is what was not compared."""
    wanting = [
        f"{provider_title(one.provider)}, {one.currency}: {verdict(one)}"
        for one in accounts
        if not one.is_compared or (one.difference and not one.is_of_midnight)
    ]
    held = sum(bool(one.held) for one in accounts)
    if not wanting:
        more = "" if not held else f"; с учётом того, что ждёт решения ({_STUCK})"
        return [BOOKS.ok(f"до копейки{more}" if accounts else "оплат не было")]
    differs = any(one.is_compared and one.difference and not one.is_of_midnight for one in accounts)
    how = BOOKS.wrong if differs else BOOKS.attention
    return [how("; ".join(wanting), f"{_STUCK}; дни сверяются ночью, сами.")]


def _not_granted(now: Figures) -> list[Finding]:
    if not now.ungranted:
        return []
    seen = f"{now.ungranted} на {in_roubles(now.ungranted_amount)}"
    return [GRANTED.wrong(seen, f"{_STUCK}; дайте срок: 2getpro customers extend")]


def _kept(seen: Seen) -> list[Finding]:
    """Whether the database still says what it said when the month was closed."""
    if not seen.changed:
        return []
    return [
        KEPT.attention(
            f"база даёт теперь другое: {', '.join(seen.changed)}",
            "Показано сохранённое. Правили базу руками или вернули её в прошлое: 2getpro reconcile.",
        )
    ]


def _availability(seen: Seen) -> str:
    found = seen.report.this.service.availability
    return available(found) if found.share is None else f"{available(found)}; запас ошибок: {budget(found)}"


def _copies(seen: Seen) -> str:
    found = seen.report.this.service.copies
    missed = sum(found.failed)
    made = f"ночных {found.made[0]}, базовых {found.made[1]}" + (f", не вышло {missed}" if missed else "")
    return f"{made}; пробных восстановлений {restored(found)}; учения: {drills(found)}"


async def papers(deps: Deps, period: Period) -> list[Document]:
    """Pictures, the PDF and the workbook; a flow. Raises NotDrawn, and what the database raises."""
    seen = await see(deps, period, recounts=False)
    name = file_name(period)
    drawn = [
        Document(f"{name}-{number}.png", await draw(charts.picture(seen.report, parts)))
        for number, parts in enumerate(charts.charts(seen), 1)
    ]
    return [
        *drawn,
        Document(f"{name}.pdf", await as_pdf(deps, seen)),
        Document(f"{name}.xlsx", sheets.workbook(tables(seen), made_at=seen.report.made_at)),
    ]


FORMS: Final = (".pdf", ".xlsx", ".csv", ".png", ".json", ".txt")


async def in_form(deps: Deps, period: Period, form: str) -> bytes:
    """The report as a file that ends in one of ``FORMS``; a flow.

    ``.txt`` is the guide's, ``.png`` all charts below each other. Raises NotDrawn, and what the database
    raises.
    """
    if form == ".txt":
        return (await guide.monthly_report(deps, period)).encode()
    seen = await see(deps, period, recounts=False)
    match form:
        case ".pdf":
            return await as_pdf(deps, seen)
        case ".xlsx":
            return sheets.workbook(tables(seen), made_at=seen.report.made_at)
        case ".csv":
            return sheets.as_csv(tables(seen))
        case ".png":
            parts = [part for picture in charts.charts(seen) for part in picture]
            return await draw(charts.picture(seen.report, parts))
    return (json.dumps(plain(seen), ensure_ascii=False, indent=2) + "\n").encode()


def file_name(period: Period) -> str:
    """``otchet-2026-10``, without an ending."""
    return f"otchet-{period.month:%Y-%m}"


async def as_pdf(deps: Deps, seen: Seen) -> bytes:
    shop = SHOP if deps.incidents is None else deps.incidents.shop_name
    return await printed(paper.layout(seen, shop=shop, zone=deps.zone))
