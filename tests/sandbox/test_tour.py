"""The tour: a day and a month without a browser, and a judge who sees whatever is not as it should be."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from forked import forked, preloaded

from folders import open_up
from getpro.kit.trouble import Trouble
from getpro.sandbox.shop import actor, tour
from getpro.sandbox.shop.account import show
from getpro.sandbox.shop.judge import judge
from getpro.sandbox.shop.shown import REMINDERS, messages_to, reminder
from getpro.sandbox.shop.world import World, world
from getpro.sandbox.telegram.state import Person

pytestmark = pytest.mark.timeout(240)

PAGE = Path(__file__).parents[2] / "docs/operations/sandbox.ru.md"
MOSCOW = ZoneInfo("Europe/Moscow")
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with (
        preloaded() as parent,
        world(open_up(tmp_path), durable=False, retry_scale=0.05, make_product=forked(parent)) as running,
    ):
        yield running


def named(here: World, name: str) -> Person:
    return next(person for person in here.telegram.state.people.values() if person.first_name == name)


def troubles(here: World, name: str) -> list[str]:
    return next(verdict.troubles for verdict in judge(here) if verdict.name == name)


@pytest.mark.long
async def test_a_day_and_a_month_are_lived_and_the_judge_sees_whatever_is_wrong(
    here: World, capsys: pytest.CaptureFixture[str], figure: Callable[[str], None]
) -> None:
    told: list[tuple[str, float]] = []
    assert await tour.tour(here, say=lambda text: told.append((text, time.monotonic())))
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if "✗" in line or len(line.rstrip()) > 80] == []
    assert len([line for line in printed.splitlines() if line.startswith(" ")]) == 2  # Boris's other payments
    figure(f"the tour took {told[-1][0].partition('за ')[2]}")

    the_page_shows_what_is_printed([text for text, _ in told], printed)
    a_year_is_paid_by_crypto_pay_and_open_on_the_panel(here)
    the_stars_went_back_and_both_sides_read_of_it(here)
    each_reminder_came_once_by_day_and_none_after_a_renewal(here)
    the_month_took_less_than_a_minute(here, told)
    assert on_panel(here, "Emma").status == "EXPIRED"
    assert troubles(here, "Emma") == []

    await whatever_is_not_as_it_should_be_is_seen(here)
    await what_was_told_long_ago_may_be_forgotten(here)


def the_page_shows_what_is_printed(told: list[str], printed: str) -> None:
    """But for dates and seconds."""
    shown = PAGE.read_text(encoding="utf-8").replace(" ", "").replace("\N{NO-BREAK SPACE}", "")
    for line in [*told, *printed.splitlines()]:
        for words in re.split(r"[\d.:]+", line.replace(" ", "").replace("\N{NO-BREAK SPACE}", "")):
            assert words in shown, line


def a_year_is_paid_by_crypto_pay_and_open_on_the_panel(here: World) -> None:
    [invoice] = here.cryptopay.books.invoices.values()
    assert (invoice["status"], invoice["amount"]) == ("paid", "1590")
    vera = on_panel(here, "Вера")
    assert vera.expireAt - vera.createdAt == pytest.approx(timedelta(days=365), abs=timedelta(minutes=1))


def the_stars_went_back_and_both_sides_read_of_it(here: World) -> None:
    assert [charge.is_refunded for charge in here.telegram.state.charges] == [True, False]
    read = messages_to(here)
    [said] = [text for _, text in read[named(here, "Борис").user_id] if text.startswith("Деньги возвращены")]
    assert "Доступ открыт до" in said
    assert any("Возвращено ⭐\xa0120" in text for _, text in read[named(here, "Анна").user_id])


def each_reminder_came_once_by_day_and_none_after_a_renewal(here: World) -> None:
    came: dict[str, list[tuple[str, datetime]]] = {"Анна": [], "Борис": [], "Вера": [], "Emma": []}
    for call in here.telegram.state.calls:
        which = reminder(str(call["parameters"].get("text")).replace("<b>", "").replace("</b>", ""))
        if which is not None and call["method"] == "sendMessage":
            person = here.telegram.state.people[int(call["parameters"]["chat_id"])]
            came[person.first_name].append((which, datetime.fromtimestamp(call["at"], MOSCOW)))
    which_came = {name: [which for which, _ in theirs] for name, theirs in came.items()}
    both, all_four = list(REMINDERS)[:2], list(REMINDERS)
    assert which_came == {"Анна": [], "Борис": both, "Вера": [], "Emma": all_four}
    end = on_panel(here, "Emma").expireAt.astimezone(MOSCOW)
    noon = end.replace(hour=12, minute=0, second=0, microsecond=0)
    due = [noon - timedelta(days=3), noon - timedelta(days=1), end, noon + timedelta(days=1)]
    for (_, at), wanted in zip(came["Emma"], due, strict=True):
        assert timedelta(0) <= at - wanted < HALF_AN_HOUR


def the_month_took_less_than_a_minute(here: World, told: list[tuple[str, float]]) -> None:
    began = next(at for text, at in told if text.startswith("Emma покупает"))
    assert told[-1][1] - began < 60
    assert here.clock.ahead_seconds > 33 * 24 * 3600


def on_panel(here: World, name: str) -> Any:
    """The only user of this name on the simulated panel."""
    person = named(here, name)
    [user] = [user for user in here.panel.state.users.values() if user.telegramId == person.user_id]
    return user


async def whatever_is_not_as_it_should_be_is_seen(here: World) -> None:
    """Falsify one book after another."""
    emma, calls = named(here, "Emma"), here.telegram.state.calls
    emmas = on_panel(here, "Emma")

    emmas.status = "ACTIVE"
    assert any(
        "срок вышел" in trouble and "на панели ACTIVE" in trouble for trouble in troubles(here, "Emma")
    )
    emmas.status = "EXPIRED"

    boriss = on_panel(here, "Борис")
    boriss.status = "EXPIRED"
    assert any("панель уже закрыла доступ" in trouble for trouble in troubles(here, "Борис"))
    boriss.status = "ACTIVE"
    boriss.expireAt += timedelta(days=30)  # as if the refund had taken no days
    assert any("оплачено дней 60, добавлено 90" in trouble for trouble in troubles(here, "Борис"))
    boriss.expireAt -= timedelta(days=30)

    last = [call for call in calls if "Your VPN access is closed" in str(call["parameters"].get("text"))]
    calls.append(last[-1])
    twice, uncounted = troubles(here, "Emma")
    assert twice.startswith("напоминание пришло 2 раза")
    assert uncounted == "напоминаний пришло 5, записано 4"
    calls.pop()

    here.telegram.people.send(emma, "/start")
    screen = {"chat_id": emma.user_id, "text": "Welcome", "reply_markup": with_a_button("Купить подписку")}
    here.telegram.methods.call("sendMessage", screen)
    here.telegram.state.note_call("sendMessage", screen, 200, "")
    assert troubles(here, "Emma") == ["читает по-английски, а показано 'Купить подписку'"]
    calls.pop()

    first = here.telegram.state.charges[0]
    first.is_refunded = False
    assert any("взято" in trouble for trouble in troubles(here, "Борис"))
    first.is_refunded = True

    with psycopg.connect(here.database_url) as connection:
        connection.execute("UPDATE subscriptions SET is_active = true WHERE user_id = %s", [emma.user_id])
    assert any("в магазине подписка действует" in trouble for trouble in troubles(here, "Emma"))


async def what_was_told_long_ago_may_be_forgotten(here: World) -> None:
    """The shop keeps what it told for ninety days; the judge asks it for no more."""
    emma = named(here, "Emma")
    await here.move_clock(91 * 24 * 3600)
    async with asyncio.timeout(30):
        while await asyncio.to_thread(remembered, here, emma):
            await asyncio.sleep(0.1)
    assert [trouble for trouble in troubles(here, "Emma") if "напоминаний" in trouble] == []
    await here.product.kill()  # it would first compare three months with the providers


def remembered(here: World, person: Person) -> int:
    """How many reminders of the person's the shop still knows of."""
    with psycopg.connect(here.database_url) as connection:
        [(number,)] = connection.execute(
            "SELECT count(*) FROM notices WHERE kind = 'reminder' AND user_id = %s", [person.user_id]
        )
    return int(number)


def with_a_button(label: str) -> dict[str, Any]:
    return {"inline_keyboard": [[{"text": label, "callback_data": "go:plans"}]]}


async def test_where_a_reminder_is_missing_the_account_says_so_and_the_books_do_not_agree(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    cast, played = tour.Cast(here), actor.Actor(here)
    await played.start(cast.boris)
    wanted = {cast.boris.user_id: ("за 3 дня",)}
    assert not show(await asyncio.to_thread(judge, here), wanted, MOSCOW)
    printed = capsys.readouterr().out
    assert "Борис: напомнили ни разу, а надо за 3 дня" in printed
    assert "✗" in printed
    assert show(await asyncio.to_thread(judge, here), {}, MOSCOW)


async def test_a_step_that_does_not_happen_ends_the_tour_with_its_name(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor, "PATIENCE_SECONDS", 3.0)
    here.panel.faults.change({"away": True})
    with pytest.raises(Trouble, match="Анна не видит «Доступ открыт»"):
        await tour.tour(here, say=lambda _: None)
