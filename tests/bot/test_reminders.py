"""Reminders as a customer sees them: once, with one main button, and switched off by a press."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiogram.exceptions import TelegramForbiddenError, TelegramNetworkError, TelegramServerError
from sqlalchemy import select, text

from bot.chat import METHOD, Person, run_bot_jobs
from getpro.customers import store as customers
from getpro.messaging import store as messaging
from getpro.messaging.models import notices
from getpro.sales import reminders
from shop import Shop, days

MOSCOW = ZoneInfo("Europe/Moscow")
THREE_DAYS_BEFORE = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)
TITLE = "Подписка закончится через 3 дня"


@pytest.fixture
async def due(shop: Shop, alice: Person) -> Shop:
    """Alice's month ends in three days, and the reminder is written."""
    await alice.says("/start")
    await shop.purchase(alice.user_id)
    await run_bot_jobs(shop, alice)
    alice.phones.shown[alice.user_id].clear()
    alice.phones.calls.clear()
    shop.clock.now = THREE_DAYS_BEFORE
    await reminders.remind(shop.deps, MOSCOW)
    return shop


async def ends(shop: Shop) -> list[Any]:
    """Of the reminders: whether each was sent, and why not."""
    async with shop.db.begin("test") as session:
        rows = await session.execute(
            select(notices.c.sent_at.is_not(None), notices.c.trouble)
            .where(notices.c.kind == "reminder")
            .order_by(notices.c.notice_id)
        )
        return [tuple(row) for row in rows]


async def test_a_reminder_is_a_message_with_one_main_button(due: Shop, alice: Person) -> None:
    for _ in range(2):
        await run_bot_jobs(due, alice)
        assert alice.sees == f"{TITLE}\n31 марта, 15:00 (МСК). Продлите заранее: дни прибавятся к оставшимся."
    assert alice.buttons == [["Продлить"], ["Напоминания"], ["‹ В меню"]]
    assert await ends(due) == [(True, None)]


async def test_whoever_renewed_meanwhile_is_not_reminded(due: Shop, alice: Person) -> None:
    await due.purchase(alice.user_id)
    await run_bot_jobs(due, alice)
    assert TITLE not in alice.sees
    assert await ends(due) == [(False, "renewed")]


async def test_whoever_switched_reminders_off_meanwhile_is_not_reminded(due: Shop, alice: Person) -> None:
    async with due.db.begin("test") as session:
        await customers.set_reminded(session, alice.user_id, is_reminded=False)
    await run_bot_jobs(due, alice)
    assert await ends(due) == [(False, "switched off")]


async def test_a_reminder_that_waited_till_night_is_left_out(due: Shop, alice: Person) -> None:
    due.clock.forward(hours=9)
    await run_bot_jobs(due, alice)
    assert await ends(due) == [(False, "too late")]


async def test_a_shop_killed_while_it_reminds_does_not_remind_twice(due: Shop, alice: Person) -> None:
    async with due.db.begin("test") as session:
        notice_id = await session.scalar(text("SELECT notice_id FROM notices WHERE kind = 'reminder'"))
        assert await messaging.claim(session, notice_id, now=due.clock())
    await run_bot_jobs(due, alice)
    assert alice.screens == []
    assert await ends(due) == [(False, "lost on its way")]


async def test_a_telegram_that_says_it_is_ill_is_told_again_once(due: Shop, alice: Person) -> None:
    alice.phones.refusals.append(("sendMessage", TelegramServerError(METHOD, "Bad Gateway")))
    with pytest.raises(TelegramServerError):
        await run_bot_jobs(due, alice)
    assert alice.screens == []
    await run_bot_jobs(due, alice)
    await run_bot_jobs(due, alice)
    assert len(alice.screens) == 1
    assert await ends(due) == [(True, None)]


async def test_a_reminder_whose_answer_was_lost_is_not_sent_again(due: Shop, alice: Person) -> None:
    alice.phones.refusals.append(("sendMessage", TelegramNetworkError(METHOD, "Request timeout error")))
    with pytest.raises(TelegramNetworkError):
        await run_bot_jobs(due, alice)
    await run_bot_jobs(due, alice)
    assert alice.phones.calls.count("sendMessage") == 1
    assert await ends(due) == [(False, "lost on its way")]


async def test_whoever_blocked_the_bot_is_not_written_to(due: Shop, alice: Person) -> None:
    alice.phones.refusals.append(
        ("sendMessage", TelegramForbiddenError(METHOD, "bot was blocked by the user"))
    )
    await run_bot_jobs(due, alice)
    await run_bot_jobs(due, alice)
    assert await ends(due) == [(False, "bot was blocked by the user")]


async def test_the_reminders_button_renews_the_last_plan(due: Shop, alice: Person) -> None:
    await run_bot_jobs(due, alice)
    await alice.presses("Продлить")
    assert "К оплате: 199 ₽" in alice.sees


async def test_reminders_are_switched_off_and_on_by_a_press(shop: Shop, alice: Person) -> None:
    await alice.says("/reminders")
    assert "Напомним за 3 дня" in alice.sees
    await alice.presses("Не напоминать")
    assert "Не напоминаем" in alice.sees
    async with shop.db.begin("test") as session:
        assert not (await customers.customer(session, alice.user_id)).is_reminded
    await alice.presses("Напоминать")
    assert "Напомним за 3 дня" in alice.sees


async def test_the_customers_own_clock_is_set_by_presses_and_shown_everywhere(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/reminders")
    assert "У вас сейчас 15:00 (МСК)" in alice.sees
    await alice.presses("+1 час")
    await alice.presses("+1 час")
    assert "У вас сейчас 17:00 (UTC+05)" in alice.sees
    await alice.presses("−1 час")
    assert "У вас сейчас 16:00 (UTC+04)" in alice.sees
    await shop.purchase(alice.user_id)
    await alice.says("/subscription")
    assert "31 марта, 16:00 (UTC+04)" in alice.sees


async def test_a_clock_that_nobody_has_is_not_set(shop: Shop, alice: Person) -> None:
    await alice.says("/reminders")
    for forged in ("time:15", "time:-13", "time:x", "remind:maybe"):
        await alice.presses_data(forged)
    async with shop.db.begin("test") as session:
        assert (await customers.customer(session, alice.user_id)).zone is None


async def test_a_reminder_speaks_the_customers_language(due: Shop, alice: Person) -> None:
    async with due.db.begin("test") as session:
        await customers.set_language(session, alice.user_id, "en")
    await run_bot_jobs(due, alice)
    assert (
        alice.sees.startswith("Your subscription ends in 3 days\nMarch 31, 15:00 (MSK)")
        or "31 March" in alice.sees
    )


async def test_a_trial_is_reminded_to_buy(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await alice.presses("Попробовать бесплатно")
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    shop.clock.now += days(2)
    await reminders.remind(shop.deps, MOSCOW)
    await run_bot_jobs(shop, alice)
    assert alice.sees.startswith("Пробный период закончится завтра")
    assert alice.buttons[0] == ["Купить подписку"]
