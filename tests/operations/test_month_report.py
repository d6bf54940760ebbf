"""The month's report: kept once it is closed, equal to the providers' books, on paper and in spreadsheets."""

import asyncio
import csv
import io
import json
import os
import struct
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import psycopg
import pypdfium2
import pytest
from sqlalchemy import text

from bench.business import History, live, write
from fakes import FakeClock
from getpro.checks.check import Finding, Level
from getpro.operations import chat
from getpro.operations.deps import Deps
from getpro.operations.jobs import job_kinds
from getpro.operations.month import charts, guide, letter, period
from getpro.operations.month.report import see
from getpro.operations.month.tables import NOT_KNOWN, NOT_USED, tables
from getpro.operations.queries import GUIDES
from getpro.operations.routines import ROUTINES, carry_out
from getpro.platform.bot_api import Document
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.postgres.tools import tools_for_our_own
from getpro.platform.settings import OperationsSettings
from getpro.platform.typesetting import draw
from getpro.sales import provider_books
from shop import Shop

MOSCOW = ZoneInfo("Europe/Moscow")
OCTOBER, NOVEMBER = period.whole(date(2026, 10, 1), MOSCOW), period.whole(date(2026, 11, 1), MOSCOW)
SECOND = timedelta(seconds=1)


def moscow(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=MOSCOW).astimezone(UTC)


CLOSED = moscow("2026-11-04 10:00")


class Room:
    def __init__(self) -> None:
        self.got: list[str | bytes | Document] = []

    async def send(
        self,
        words: str,
        picture: bytes | None = None,
        *,
        document: Document | None = None,
        is_silent: bool = False,
    ) -> None:
        self.got.append(document or picture or words)


def deps_at(db: Database, jobs: Jobs, now: datetime, room: Room | None = None) -> Deps:
    return Deps(db, jobs, FakeClock(now), MOSCOW, OperationsSettings(), {}, chat=room)


@pytest.fixture
def deps(db: Database, jobs: Jobs) -> Deps:
    return deps_at(db, jobs, CLOSED)


@pytest.fixture
def october(database_url: str) -> History:
    """Alice renews in October, Bob comes; a payment of October is learned of on the tenth of November."""
    history = History()
    for user, at in enumerate(("2026-09-10 10:00", "2026-10-20 10:00", "2026-10-28 10:00"), 1):
        history.join(user, moscow(at))
    history.pay(1, moscow("2026-09-10 12:00"), 1)
    history.pay(1, moscow("2026-10-09 12:00"), 3, provider="stars", waited=3 * SECOND)
    history.pay(2, moscow("2026-10-20 12:00"), 1, waited=5 * SECOND)
    write(database_url, history)
    return history


LATE = """
INSERT INTO payments (payment_id, order_key, user_id, provider, amount, status, created_at, paid_at,
                      recorded_at, charge_id, days, subscription_duration_months, asked_amount,
                      asked_currency, paid_amount, paid_currency)
VALUES (900, gen_random_uuid(), 3, 'yookassa', 899.00, 'succeeded', '2026-10-31 20:00+03',
        '2026-10-31 21:00+03', '2026-11-10 09:00+03', 'late', 180, 6, 899.00, 'RUB', 899.00, 'RUB')
"""


async def test_a_closed_month_is_told_later_as_it_was_told_then(
    db: Database, jobs: Jobs, database_url: str, october: History
) -> None:
    first = await see(deps_at(db, jobs, CLOSED), OCTOBER)
    assert first.report.is_closed
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(LATE)
    later = await see(deps_at(db, jobs, moscow("2027-05-01 10:00")), OCTOBER)
    assert later == first
    assert later.changed == []
    november = (await see(deps_at(db, jobs, moscow("2026-12-10 10:00")), NOVEMBER)).report
    assert (november.this.figures.late_count, november.this.figures.late_amount) == (1, 89900)
    assert november.earlier == first.report.this


async def test_what_somebody_has_changed_in_a_closed_month_is_named_and_not_told(
    deps: Deps, database_url: str, october: History
) -> None:
    first = await see(deps, OCTOBER)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE payments SET amount = 1 WHERE user_id = 2")
    again = await see(deps, OCTOBER)
    assert again.report == first.report
    assert again.changed == ["sold", "weeks", "by_order_day", "monthly"]
    [kept] = [one for one in letter.told(again) if one.name == "month.kept"]
    assert kept.level is Level.ATTENTION


async def test_of_two_who_ask_first_at_once_both_are_told_the_same(
    db: Database, jobs: Jobs, october: History
) -> None:
    asked = (see(deps_at(db, jobs, CLOSED + n * SECOND), OCTOBER) for n in range(4))
    one, *others = await asyncio.gather(*asked)
    assert [other.report for other in others] == [one.report] * 3


async def test_a_month_that_is_not_closed_is_not_kept(db: Database, jobs: Jobs, october: History) -> None:
    early = deps_at(db, jobs, moscow("2026-11-03 23:59"))
    assert not (await see(early, OCTOBER)).report.is_closed
    async with db.read("test") as session:
        assert await session.scalar(text("SELECT count(*) FROM month_reports")) == 0


async def test_the_days_so_far_stand_beside_as_many_of_the_month_before(
    db: Database, jobs: Jobs, october: History
) -> None:
    deps = deps_at(db, jobs, moscow("2026-10-12 10:00"))
    seen = await see(deps, period.asked(date(2026, 10, 1), date(2026, 10, 12), MOSCOW))
    assert (seen.report.title, seen.report.earlier_title) == (
        "Октябрь 2026, 1–11 число",
        "Сентябрь 2026, 1–11 число",
    )
    assert (seen.report.this.figures.gross, seen.report.earlier.figures.gross) == (49900, 19900)


@pytest.mark.parametrize(
    ("today", "title", "before"),
    [
        ("2026-11-04", "Октябрь 2026", "Сентябрь 2026"),
        ("2026-11-14", "Октябрь 2026", "Сентябрь 2026"),
        ("2026-11-15", "Ноябрь 2026, 1–14 число", "Октябрь 2026, 1–14 число"),
        ("2026-11-22", "Ноябрь 2026, 1–21 число", "Октябрь 2026, 1–21 число"),
        ("2027-01-01", "Декабрь 2026", "Ноябрь 2026"),
        ("2026-03-31", "Март 2026, 1–30 число", "Февраль 2026, 1–28 число"),
    ],
)
def test_what_is_reported_on_which_day(today: str, title: str, before: str) -> None:
    found = period.due(date.fromisoformat(today), MOSCOW)
    assert (found.title, period.before(found, MOSCOW).title) == (title, before)


def test_a_month_that_has_not_begun_is_refused() -> None:
    with pytest.raises(ValueError, match="Ноябрь 2026 ещё не начался"):
        period.asked(date(2026, 11, 1), date(2026, 11, 1), MOSCOW)


def of(found: list[Finding], name: str) -> Finding:
    [one] = [one for one in found if one.name == name]
    return one


async def books(deps: Deps, whose: period.Period = OCTOBER) -> Finding:
    return of(letter.told(await see(deps, whose)), "month.books")


LOOKED = (
    "INSERT INTO provider_looks VALUES (%s, '2026-09-01', '2026-11-04', '2026-11-04'),"
    " (%s, '2026-09-01', '2026-11-04', '2026-11-04')"
)
COMPARED = """
INSERT INTO provider_days (provider, day, currency, theirs, ours, compared_at)
SELECT %s, day, %s, coalesce(sum(paid_amount), 0), coalesce(sum(paid_amount), 0), now()
FROM generate_series('2026-10-01'::date, '2026-10-31', '1 day') AS day
LEFT JOIN payments ON (paid_at AT TIME ZONE 'Europe/Moscow')::date = day AND provider = %s GROUP BY day
"""


def compared(url: str) -> "psycopg.Connection[Any]":
    connection = psycopg.connect(url, autocommit=True)
    connection.execute(LOOKED, ["yookassa", "stars"])
    for provider, currency in (("yookassa", "RUB"), ("stars", "XTR")):
        connection.execute(COMPARED, [provider, currency, provider])
    return connection


async def test_a_month_equal_to_the_providers_books_says_so(
    deps: Deps, database_url: str, october: History
) -> None:
    compared(database_url).close()
    found = await books(deps)
    assert (found.level, found.seen) == (Level.OK, "до копейки")


async def test_a_kopek_more_at_the_provider_is_a_line(
    deps: Deps, database_url: str, october: History
) -> None:
    with compared(database_url) as connection:
        connection.execute(
            "UPDATE provider_days SET theirs = theirs + 0.01 WHERE day = '2026-10-20' AND currency = 'RUB'"
        )
    found = await books(deps)
    assert (found.level, found.seen) == (
        Level.WRONG,
        "ЮKassa, RUB: не сходится: 2getpro payments stuck",
    )
    rows = {row[0].words: row for table in tables(await see(deps, OCTOBER)) for row in table.rows}
    assert rows["ЮKassa, RUB: разница"][1].words == "0,01\u00a0₽"


async def test_a_payment_on_the_other_side_of_midnight_is_told_from_a_loss(
    deps: Deps, database_url: str, october: History
) -> None:
    with compared(database_url) as connection:
        connection.execute("UPDATE provider_days SET theirs = 0, ours = 0 WHERE day = '2026-10-20'")
    found = tables(await see(deps, OCTOBER))
    rows = {row[0].words: row[2].words for table in found if table.name == "Сверка" for row in table.rows}
    assert rows["ЮKassa, RUB: разница"] == "оплаты у полуночи: у провайдера они в соседнем месяце"
    assert (await books(deps)).level is Level.OK


async def test_a_day_that_was_not_compared_is_no_equal_day(
    deps: Deps, database_url: str, october: History
) -> None:
    with compared(database_url) as connection:
        connection.execute("DELETE FROM provider_days WHERE day = '2026-10-07'")
    found = await books(deps)
    assert found.level is Level.ATTENTION
    assert "ЮKassa, RUB: сверено дней: 30 из 31" in found.seen


async def test_money_that_waits_for_a_person_is_part_of_the_account(
    deps: Deps, database_url: str, october: History
) -> None:
    with compared(database_url) as connection:
        connection.execute(
            "INSERT INTO stuck_payments (kind, provider, charge_id, amount, currency, taken_at, details,"
            " opened_at) VALUES ('underpaid', 'yookassa', 'less', 100, 'RUB', '2026-10-20 12:00+03', 'мало',"
            " '2026-10-20 12:01+03'), ('unknown_order', 'yookassa', 'less', 100, 'RUB',"
            " '2026-10-20 12:00+03', 'чей', '2026-10-20 12:02+03')"
        )
        connection.execute(
            "UPDATE provider_days SET theirs = theirs + 100 WHERE day = '2026-10-20' AND currency = 'RUB'"
        )
    assert "с учётом того, что ждёт решения" in (await books(deps)).seen


async def test_a_payment_for_which_no_days_were_given_is_red(
    deps: Deps, database_url: str, october: History
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM subscription_changes WHERE payment_id = 3")
    found = of(letter.told(await see(deps, OCTOBER)), "month.granted")
    assert (found.level, found.seen) == (Level.WRONG, "1 на 199\u00a0₽")


async def test_the_shops_own_purchases_are_reported_as_its_provider_has_them(shop: Shop) -> None:
    """The whole way: bought, delivered, compared at night, reported."""
    shop.clock.now = moscow("2026-10-05 12:00")
    await provider_books.find_lost_charges(shop.deps)
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    await shop.purchase(alice)
    late = await shop.order(bob)
    shop.pay(late)
    shop.clock.forward(hours=2)
    await provider_books.find_lost_charges(shop.deps)
    await shop.run_jobs()
    for _ in range(31):
        shop.clock.forward(days=1)
        await provider_books.compare_days(shop.deps, zone=MOSCOW)
    shop.clock.now = CLOSED
    deps = Deps(shop.db, shop.jobs, shop.clock, MOSCOW, OperationsSettings(), {})
    seen = await see(deps, OCTOBER)
    figures = seen.report.this.figures
    assert (figures.gross, figures.count, figures.payers, figures.ungranted) == (39800, 2, 2, 0)
    assert figures.measured == 2
    assert figures.waits == [0.0, 7200.0, 7200.0]  # Bob's, that no notice told of
    [account] = seen.report.this.accounts
    assert (account.theirs, account.reported, account.difference) == (39800, 39800, 0)
    assert (account.days_compared, account.is_compared) == (27, True)  # the shop began on the fifth


async def test_when_the_panel_first_had_it_is_kept_also_when_it_is_put_again(shop: Shop) -> None:
    payment = await shop.purchase(await shop.customer("alice"))
    first = shop.clock()
    shop.clock.forward(days=3)
    await shop.purchase(payment.user_id)
    async with shop.db.read("test") as session:
        kept = await session.execute(text("SELECT delivered_at FROM subscription_changes ORDER BY change_id"))
        assert [row.delivered_at for row in kept] == [first, shop.clock()]
        when = await session.execute(text("SELECT recorded_at FROM payments ORDER BY payment_id"))
        assert [row.recorded_at for row in when] == [first, shop.clock()]
        began = await session.scalar(text("SELECT first_paid_at FROM subscriptions"))
        assert began == first


@pytest.fixture(scope="module")
def year() -> Any:
    return live(11, MOSCOW, since=date(2026, 6, 1), days=155, newcomers=2)


async def test_a_report_is_the_same_on_paper_in_a_workbook_and_in_csv(
    deps: Deps, database_url: str, year: Any
) -> None:
    write(database_url, year[0])
    seen = await see(deps, OCTOBER)
    figures = seen.report.this.figures
    net = next(row for row in tables(seen)[0].rows if row[0].words == "Чистая выручка")
    pdf = pypdfium2.PdfDocument(await letter.in_form(deps, OCTOBER, ".pdf"))
    told = "".join(page.get_textpage().get_text_range() for page in pdf)
    assert "Отчёт: Октябрь 2026" in told
    assert net[1].words.removesuffix("\u00a0₽") in told.replace(" ", "\u00a0")
    assert len(pdf) <= 5
    book = openpyxl.load_workbook(io.BytesIO(await letter.in_form(deps, OCTOBER, ".xlsx")))
    main = {row[0]: row[1] for row in book["Главное"].iter_rows(values_only=True)}
    assert main["Чистая выручка"] == figures.net / 100
    assert main["Комиссии провайдеров"] == NOT_KNOWN
    sold = [row[2] for row in book["По способам оплаты"].iter_rows(min_row=2, values_only=True) if row[0]]
    assert round(sum(sold) * 100) == figures.gross
    sources = [row[1] for row in book["Откуда приходят"].iter_rows(min_row=2, values_only=True)]
    assert sources == [NOT_USED] * 3
    rows = list(csv.reader(io.StringIO((await letter.in_form(deps, OCTOBER, ".csv")).decode("utf-8-sig"))))
    assert ["Главное", "Чистая выручка", f"{figures.net / 100:.2f}"] in [row[:3] for row in rows]
    plain = json.loads(await letter.in_form(deps, OCTOBER, ".json"))
    assert plain["report"]["this"]["figures"]["monthly"] == figures.monthly


async def test_a_report_gives_the_same_bytes_again(deps: Deps, october: History) -> None:
    for form in (".xlsx", ".csv", ".json", ".png", ".pdf"):
        assert await letter.in_form(deps, OCTOBER, form) == await letter.in_form(deps, OCTOBER, form), form


async def test_pictures_are_a_phone_wide_and_not_taller_than_telegram_shows_well(
    deps: Deps, database_url: str, year: Any
) -> None:
    write(database_url, year[0])
    seen = await see(deps, OCTOBER)
    drawn = charts.charts(seen)
    source = "".join(part for parts in drawn for part in parts)
    for words in ("Выручка по числам месяца, ₽", "ЮKassa", "12 мес.", "сен", "пришли", "%"):
        assert words in source
    for parts in drawn:
        width, height = struct.unpack(">II", (await draw(charts.picture(seen.report, parts)))[16:24])
        assert width == 1080
        assert 500 < height < 1500


async def test_a_shop_without_a_past_has_a_report_all_the_same(deps: Deps) -> None:
    found = letter.told(await see(deps, OCTOBER))
    assert of(found, "month.books").seen == "оплат не было"
    assert of(found, "month.waited").seen == "не измерено"
    assert {one.seen for one in found if one.level is Level.ABSENT} == {NOT_USED}
    for form in letter.FORMS:
        assert await letter.in_form(deps, OCTOBER, form)


async def test_the_chat_gets_the_lines_then_pictures_and_papers_once(
    db: Database, jobs: Jobs, october: History
) -> None:
    room = Room()
    deps = deps_at(db, jobs, CLOSED, room)
    await carry_out(deps, ROUTINES["report"])
    async with db.read("test") as session:
        waiting = await session.execute(
            text("SELECT args FROM procrastinate_jobs WHERE task_name = :name ORDER BY id"),
            {"name": chat.TELL.name},
        )
        sending = [row.args for row in waiting]
    [tell] = [kind for kind in job_kinds(deps) if kind.name == chat.TELL.name]
    for arguments in sending * 2:  # each job comes twice
        await tell.run(**arguments)
    words, *files = room.got
    assert isinstance(words, str)
    assert "Отчёт за месяц" in words
    assert "Отчёт: Октябрь 2026; рядом сентябрь 2026" in words
    assert [one[:4] for one in files if isinstance(one, bytes)] == [b"\x89PNG"] * 3
    assert [one.name for one in files if isinstance(one, Document)] == [
        "otchet-2026-10.pdf",
        "otchet-2026-10.xlsx",
    ]


def psql(url: str, query: str, *, out: Path) -> None:
    tools = tools_for_our_own()
    subprocess.run(
        [tools.path("psql"), "-X", "-d", url, "-o", str(out)],
        input=query,
        text=True,
        check=True,
        env={**os.environ, **tools.environment()},
    )


async def test_the_guides_three_lines_are_as_its_command_writes_them(
    db: Database, jobs: Jobs, database_url: str, october: History, tmp_path: Path
) -> None:
    """``psql -o monthly_report.txt``, with the guide's query word for word."""
    written = tmp_path / "monthly_report.txt"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE payments SET created_at = now() - interval '1 second' WHERE user_id = 2")
    psql(database_url, f"SET timezone = 'Europe/Moscow';\n{GUIDES['monthly_report']}", out=written)
    now = datetime.now(UTC)
    deps = deps_at(db, jobs, now)
    ours = await guide.monthly_report(
        deps, replace(period.due(now.astimezone(MOSCOW).date(), MOSCOW), is_whole=False)
    )
    assert ours == written.read_text(encoding="utf-8").removeprefix("SET\n")
    assert "Monthly Revenue      | 199.00" in ours


async def test_the_guides_three_lines_of_a_past_month_are_of_its_end(deps: Deps, october: History) -> None:
    assert await guide.monthly_report(deps, OCTOBER) == (
        "        metric        | value  \n"
        "----------------------+--------\n"
        " Total Users          | 3\n"
        " Active Subscriptions | 2\n"
        " Monthly Revenue      | 698.00\n"
        "(3 rows)\n"
        "\n"
    )
