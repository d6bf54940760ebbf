"""What a customer is told after a payment: once, by the screen they look at or else by a message."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiogram.exceptions import TelegramForbiddenError, TelegramServerError
from sqlalchemy import select, text, update

from bot.chat import METHOD, Chats, Person, orders, run_bot_jobs
from getpro.bot.jobs import job_kinds
from getpro.bot.message_log import MessageLog
from getpro.bot.orders import turn_message
from getpro.messaging.models import notices
from getpro.messaging.states import NoticeKind
from getpro.messaging.store import SEND_NOTICE, add_notice
from getpro.payments.store import Payment
from getpro.platform.jobs import Backoff
from moments import Broken, broken_at
from shop import Shop
from waiting import until

OPEN = "Доступ открыт до"
DELAYED = "Оплата получена: 199 ₽\nСервер доступа сейчас не отвечает."


async def chosen(shop: Shop, alice: Person) -> Payment:
    """Alice has chosen a month and looks at the waiting screen."""
    await alice.says("/plans")
    await alice.presses("1 мес.")
    return await shop.payment((await orders(shop, alice))[-1].payment_id)


async def paid(shop: Shop, payment: Payment) -> None:
    """The money has come, and the shop has done what it can."""
    await shop.notice(shop.pay(payment))
    await shop.run_jobs()


async def told(shop: Shop) -> list[tuple[str, int | None]]:
    """The news that were told, and the message that tells each."""
    async with shop.db.begin("test") as session:
        rows = await session.execute(
            select(notices.c.kind, notices.c.message_id)
            .where(notices.c.sent_at.is_not(None))
            .order_by(notices.c.notice_id)
        )
        return [(row.kind, row.message_id) for row in rows]


async def test_a_payment_is_told_by_its_own_screen_alone(shop: Shop, alice: Person) -> None:
    await paid(shop, await chosen(shop, alice))
    for _ in range(2):
        await run_bot_jobs(shop, alice)
        assert len(alice.screens) == 1
        assert alice.sees.startswith(f"Оплата получена: 199 ₽\n{OPEN}")
        assert await told(shop) == [("access_open", alice.screens[0]["message_id"])]


async def test_a_trial_is_told_open_by_the_screen_on_which_the_customer_waits(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/start")
    await alice.presses("Попробовать бесплатно")
    assert "Открываем доступ" in alice.sees
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 1
    assert alice.sees.startswith("Доступ открыт\nПробный период работает")
    assert alice.buttons[0] == ["Подключить"]


async def test_whoever_has_gone_on_meanwhile_is_told_of_the_trial_by_a_message(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/start")
    await alice.presses("Попробовать бесплатно")
    await alice.presses("Моя подписка")
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    gone_on, news = alice.screens
    assert gone_on["text"].startswith("Моя подписка")
    assert news["text"].startswith("Доступ открыт")


async def test_a_trial_that_opens_late_is_told_by_a_message_and_its_screen_turns_too(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/start")
    await alice.presses("Попробовать бесплатно")
    shop.clock.forward(minutes=5)
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert [screen["text"].startswith("Доступ открыт") for screen in alice.screens] == [True, True]


async def test_a_screen_that_was_deleted_is_made_up_for_by_one_message(shop: Shop, alice: Person) -> None:
    await paid(shop, await chosen(shop, alice))
    alice.phones.shown[alice.user_id].clear()
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 1
    assert OPEN in alice.sees
    assert alice.buttons[0] == ["Подключить"]
    assert await told(shop) == [("access_open", alice.screens[0]["message_id"])]


async def test_whoever_paid_a_while_ago_is_told_by_a_message_and_the_screen_turns_too(
    shop: Shop, alice: Person
) -> None:
    payment = await chosen(shop, alice)
    object_id = shop.pay(payment)
    shop.clock.forward(minutes=2)
    await shop.notice(object_id)
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert [OPEN in screen["text"] for screen in alice.screens] == [True, True]
    assert await told(shop) == [("access_open", alice.screens[1]["message_id"])]


async def test_whoever_deleted_the_screen_and_paid_a_while_ago_gets_one_message(
    shop: Shop, alice: Person
) -> None:
    object_id = shop.pay(await chosen(shop, alice))
    shop.clock.forward(minutes=2)
    alice.phones.shown[alice.user_id].clear()
    await shop.notice(object_id)
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 1
    assert await told(shop) == [("access_open", alice.screens[0]["message_id"])]


async def test_a_panel_that_is_away_is_told_on_the_screen_and_its_return_by_a_message(
    shop: Shop, alice: Person
) -> None:
    shop.panel.is_away = True
    await paid(shop, await chosen(shop, alice))
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 1
    assert alice.sees.startswith(DELAYED)
    shop.clock.forward(hours=1)
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 1
    shop.panel.is_away = False
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert [OPEN in screen["text"] for screen in alice.screens] == [True, True]
    assert [kind for kind, _ in await told(shop)] == ["access_delayed", "access_open"]


@pytest.mark.parametrize("said", ["/support", "Оплатил!"])
async def test_whoever_has_opened_something_below_is_told_by_a_message(
    shop: Shop, alice: Person, said: str
) -> None:
    shop.clock.now = datetime.now(UTC)  # there are partitions of the message log for the real months only
    alice.bot._log = MessageLog(shop.db)
    payment = await chosen(shop, alice)
    shop.clock.forward(seconds=1)
    await alice.says(said)
    await alice.bot._log.flush()
    await paid(shop, payment)
    await run_bot_jobs(shop, alice)
    waiting, below, news = alice.screens
    assert [OPEN in screen["text"] for screen in (waiting, below, news)] == [True, False, True]


async def test_the_answer_for_which_the_order_was_written_is_nothing_below_it(
    shop: Shop, alice: Person
) -> None:
    shop.clock.now = datetime.now(UTC)
    alice.bot._log = MessageLog(shop.db)
    shop.provider.needs_email = True
    await alice.says("/plans")
    await alice.presses("1 мес.")
    shop.clock.forward(seconds=1)
    await alice.says("alice@example.ru")
    await alice.bot._log.flush()
    await paid(shop, await shop.payment((await orders(shop, alice))[-1].payment_id))
    before = len(alice.screens)
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == before
    assert OPEN in alice.sees


async def test_an_order_without_a_screen_is_told_by_a_message(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await shop.purchase(alice.user_id)
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 2
    assert OPEN in alice.sees


async def test_a_screen_that_shows_a_later_order_is_left_alone_and_a_message_tells(
    shop: Shop, alice: Person
) -> None:
    payment = await chosen(shop, alice)
    await alice.presses("‹ В меню")
    await alice.presses("Купить")
    await alice.presses("3 мес.")
    await paid(shop, payment)
    await run_bot_jobs(shop, alice)
    later, news = alice.screens
    assert "К оплате: 499 ₽" in later["text"]
    assert news["text"].startswith(f"Оплата получена: 199 ₽\n{OPEN}")


async def test_news_that_a_later_order_has_overtaken_are_told_by_a_message(shop: Shop, alice: Person) -> None:
    await paid(shop, await chosen(shop, alice))
    shop.panel.is_away = True
    await paid(shop, await shop.order(alice.user_id))
    await run_bot_jobs(shop, alice)
    assert [kind for kind, _ in await told(shop)] == ["access_open", "access_delayed"]
    assert [OPEN in screen["text"] for screen in alice.screens] == [False, True, False]


async def test_a_shop_killed_between_turning_and_noting_tells_on_the_same_screen_again(
    shop: Shop, alice: Person
) -> None:
    await paid(shop, await chosen(shop, alice))
    with broken_at("notice: sent: before commit"), pytest.raises(Broken):
        await run_bot_jobs(shop, alice)
    assert await told(shop) == []
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 1
    assert await told(shop) == [("access_open", alice.screens[0]["message_id"])]


async def test_news_for_whoever_has_blocked_the_bot_are_dropped(shop: Shop, alice: Person) -> None:
    await paid(shop, await chosen(shop, alice))
    blocked = TelegramForbiddenError(METHOD, "Forbidden: bot was blocked by the user")
    alice.phones.refusals = [*[("editMessageText", blocked)] * 3, ("sendMessage", blocked)]
    await run_bot_jobs(shop, alice)
    assert await told(shop) == []
    async with shop.db.begin("test") as session:
        assert await session.scalar(select(notices.c.dropped_at)) is not None


async def test_whoever_blocked_the_bot_is_not_written_to_and_finds_access_open_on_coming_back(
    shop: Shop, alice: Person
) -> None:
    payment = await chosen(shop, alice)
    await alice.membership("kicked")
    alice.phones.calls.clear()
    await paid(shop, payment)
    await run_bot_jobs(shop, alice)
    assert alice.phones.calls == []
    assert shop.panel.expiry_of(alice.user_id) is not None
    async with shop.db.begin("test") as session:
        assert await session.scalar(select(notices.c.trouble)) == "blocked the bot"
    await alice.membership("member")
    await alice.says("/start")
    assert "Подписка работает до 31 марта" in alice.sees
    await paid(shop, await shop.order(alice.user_id))
    await run_bot_jobs(shop, alice)
    assert "Доступ открыт до 30 апреля" in alice.sees


async def test_a_notice_of_a_version_that_is_gone_is_given_up_and_the_next_one_comes(
    shop: Shop, alice: Person, logged: list[MutableMapping[str, Any]]
) -> None:
    await alice.says("/start")
    async with shop.db.begin("test") as session:
        kind, now = NoticeKind.ACCESS_OPEN, shop.clock()
        await add_notice(session, shop.jobs, user_id=alice.user_id, kind=kind, key="gift:1", now=now)
        await session.execute(update(notices).values(kind="gift_open"))
    await shop.purchase(alice.user_id)
    async with shop.db.begin("test") as session:
        await session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name <> 'send_notice'"))
    (sending,) = [one for one in job_kinds(alice.bot) if one.job == SEND_NOTICE]
    shop.jobs.register([replace(sending, retry=Backoff(longest_seconds=0))])
    worker = asyncio.create_task(shop.jobs.work())
    await until(lambda: len(alice.screens) > 1)
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker
    assert OPEN in alice.sees
    async with shop.db.begin("test") as session:
        newer = (await session.execute(select(notices).where(notices.c.kind == "gift_open"))).one()
    assert newer.dropped_at is not None
    assert newer.trouble == "KeyError"
    (error,) = [line for line in logged if line["event"] == "bot.notice_given_up"]
    assert (error["log_level"], error["notice_id"]) == ("error", newer.notice_id)
    assert [line["event"] for line in logged].count("jobs.failed") == 7


async def test_a_notice_outlives_any_number_of_tries_while_telegram_is_away(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/start")
    await shop.purchase(alice.user_id)
    for _ in range(10):
        alice.phones.refusals = [("sendMessage", TelegramServerError(METHOD, "Bad Gateway"))]
        with pytest.raises(TelegramServerError):
            await run_bot_jobs(shop, alice)
    await run_bot_jobs(shop, alice)
    assert OPEN in alice.sees


async def turned_by_a_job(alice: Person, payment: Payment) -> None:
    await turn_message(alice.bot.context, payment.payment_id)


async def turned_by_a_press(alice: Person, payment: Payment) -> None:
    await alice.presses_data(f"order:check:{payment.payment_id}")


@pytest.mark.parametrize("turn", [turned_by_a_job, turned_by_a_press])
async def test_an_older_text_that_arrives_last_does_not_stay(
    shop: Shop, alice: Person, turn: Callable[[Person, Payment], Awaitable[None]]
) -> None:
    payment = await chosen(shop, alice)
    on_its_way, let_go = asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        on_its_way.set()
        await let_go.wait()

    alice.phones.before_edit = slow
    older = asyncio.ensure_future(turn(alice, payment))
    await on_its_way.wait()
    await paid(shop, payment)
    await run_bot_jobs(shop, alice)
    assert OPEN in alice.sees
    let_go.set()
    await older
    assert len(alice.screens) == 1
    assert OPEN in alice.sees


async def test_money_that_is_kept_stands_in_the_history_as_come(chats: Chats, shop: Shop) -> None:
    alice = chats.person("alice")
    payment = await chosen(shop, alice)
    await alice.presses("Отменить")
    await shop.notice(shop.pay(payment, payer_id=chats.person("bob").user_id))
    await shop.run_jobs()
    await alice.presses_data("go:history")
    assert alice.sees == "Платежи\n\n1 марта · 1 месяц · 199 ₽, деньги пришли, проверяем"
