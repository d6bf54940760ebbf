"""The operators' desk in Telegram: found, helped, paid back, with who and why; and nothing for strangers."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from bot.chat import Chats, Person, run_bot_jobs
from getpro.bot.screens.desk import entry as entry_screen
from getpro.bot.texts import LANGUAGES, texts_of
from getpro.customers.store import CustomerGone
from getpro.payments.provider import GivesBack
from getpro.payments.states import StuckMoney
from getpro.platform.audit import audit_log
from getpro.sales import decisions, desk, refunds
from getpro.sales.errors import NotAllowed
from getpro.sales.settle import Ending
from getpro.sales.staff import Operator
from getpro.sales.stuck import StuckItem, StuckWork
from shop import NOW, Shop, days, rub

MOSCOW = ZoneInfo("Europe/Moscow")


@pytest.fixture
def olga(chats: Chats) -> Person:
    return chats.person("olga")


@pytest.fixture
async def bought(shop: Shop, alice: Person) -> int:
    """Alice has a month; its payment."""
    await alice.says("/start")
    return (await shop.purchase(alice.user_id)).payment_id


async def deeds(shop: Shop) -> list[Any]:
    async with shop.db.begin("test") as session:
        rows = await session.execute(select(audit_log).order_by(audit_log.c.audit_id))
        return [(row.actor, row.action, row.subject, row.reason) for row in rows]


async def test_strangers_find_no_desk(shop: Shop, alice: Person, bought: int) -> None:
    await alice.says("/admin")
    assert "Подписка работает" in alice.sees
    for data in (
        "desk:day",
        "desk:stuck",
        "cust:show:101",
        "cust:block:101",
        f"pay:refund:{bought}",
        "stuck:retry:s1",
    ):
        await alice.presses_data(data)
        assert "Подписка работает" in alice.sees
        assert "клиент" not in alice.sees.lower()
    async with shop.db.begin("test") as session:
        assert await session.scalar(text("SELECT dialog FROM users WHERE user_id = 101")) is None
    assert await deeds(shop) == []


async def test_each_use_case_asks_by_itself_who_wants_it(shop: Shop, bought: int) -> None:
    bob = Operator("@bob", 102)
    async with shop.db.begin("test") as session:
        for step in (
            desk.find(session, shop.deps, "101", by=bob),
            desk.give_days(session, shop.deps, 101, days=1, by=bob, reason="x"),
            desk.block(session, shop.deps, 101, by=bob, reason="x"),
            desk.unblock(session, shop.deps, 101, by=bob, reason="x"),
            desk.write_to(session, shop.deps, 101, "x", by=bob),
            desk.today(session, shop.deps, texts_of("ru", MOSCOW, now=NOW).zone, by=bob),
            desk.payment(session, shop.deps, bought, by=bob),
        ):
            with pytest.raises(NotAllowed):
                await step
    for flow in (
        desk.card(shop.deps, 101, by=bob),
        desk.stuck(shop.deps, by=bob),
        decisions.retry(shop.deps, "s1", by=bob, reason="x"),
        decisions.credit(shop.deps, "s1", by=bob, reason="x"),
        decisions.mark_refunded(shop.deps, "s1", by=bob, reason="x"),
        decisions.dismiss(shop.deps, "e1", by=bob, reason="x"),
        refunds.ask_refund(shop.deps, bought, by=bob, reason="x"),
    ):
        with pytest.raises(NotAllowed):
            await flow


async def test_the_day_is_told_in_figures(shop: Shop, olga: Person, bought: int) -> None:
    await olga.says("/admin")
    assert olga.sees.split("\n")[2:] == [
        "Получено: 199 ₽, 1 платёж",
        "  fakepay: 199 ₽, 1",
        "Новых клиентов: 2, пробных: 0",
        "Платных подписок: 1",
    ]
    assert olga.buttons == [["Найти клиента"], ["Застряло: 0"], ["Обновить"]]


@pytest.mark.parametrize("wanted", ["101", "@Alice_W", "alice_w", "p{payment}", "{charge}"])
async def test_a_customer_is_found_by_whatever_is_known(
    shop: Shop, alice: Person, olga: Person, bought: int, wanted: str
) -> None:
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE users SET username = 'alice_w' WHERE user_id = 101"))
    charge = (await shop.payment(bought)).charge_id
    await olga.says("/admin")
    await olga.presses("Найти клиента")
    await olga.says(wanted.format(payment=bought, charge=charge))
    lines = olga.sees.split("\n")
    assert lines[:2] == ["Alice", "@alice_w · 101"]
    assert "Подписка до 31 марта, 15:00 (МСК)" in lines
    assert "На панели: ACTIVE до 31 марта, 15:00 (МСК), tg_101" in lines
    assert f"p{bought} · 1 марта · 199 ₽ · fakepay" in lines
    assert olga.buttons == [
        ["Добавить дни", "Написать"],
        ["Платежи и возврат"],
        ["Заблокировать"],
        ["‹ Назад"],
    ]


async def test_several_of_one_name_are_told_apart_on_their_buttons(
    shop: Shop, chats: Chats, olga: Person, bought: int
) -> None:
    await chats.person("bob").says("/start")
    await chats.person("charlie", first_name="<" + "Ш" * 63).says("/start")
    await shop.purchase(102)
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE users SET username = 'anna' WHERE user_id < 104"))
        await session.execute(
            text(
                "UPDATE subscriptions SET start_date = start_date - interval '9 days',"
                " end_date = start_date - interval '2 days' WHERE user_id = 102"
            )
        )
    await olga.says("/admin @anna")
    assert olga.sees == "Нашлось несколько, выберите."
    shown = [[button.replace("\u2068", "").replace("\u2069", "") for button in row] for row in olga.buttons]
    assert shown == [
        ["Alice · до 31 марта · 101"],
        ["Bob · кончилась 27 февраля · 102"],
        [f"<{'Ш' * 19} · без подписки · 103"],
        ["Найти клиента"],
        ["‹ Назад"],
    ]
    await olga.presses(olga.buttons[0][0])
    assert olga.sees.startswith("Alice\n@anna · 101")


async def test_what_the_panel_shows_already_is_not_called_undelivered(
    shop: Shop, olga: Person, bought: int
) -> None:
    """A delivery may come between the reading of the shop and that of the panel."""
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE subscriptions SET wanted_version = wanted_version + 1"))
    await olga.says("/admin 101")
    assert "Подписка до 31 марта, 15:00 (МСК)" in olga.sees.split("\n")
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE subscriptions SET end_date = end_date + interval '1 day'"))
    await olga.says("/admin 101")
    assert "Подписка до 1 апреля, 15:00 (МСК), на панель ещё не передана" in olga.sees.split("\n")


@pytest.mark.parametrize("wanted", ["999", "@nobody", "p999", "9" * 40, "'; DROP TABLE users; --"])
async def test_nobody_is_found_and_that_is_said(olga: Person, bought: int, wanted: str) -> None:
    await olga.says(f"/admin {wanted}")
    assert olga.sees == "Никого не нашли."


async def test_days_are_given_with_a_reason(shop: Shop, alice: Person, olga: Person, bought: int) -> None:
    await olga.says("/admin 101")
    await olga.presses("Добавить дни")
    assert "Сколько дней добавить и почему?" in olga.sees
    for wrong in ("неделю", "0 просто так", "7", "99999 щедро"):
        await olga.says(wrong)
        assert olga.sees.startswith("Не вышло: ")
    await olga.says("7 сбой 24 ноября")
    assert olga.sees.startswith("✅ Добавлено, подписка до 7 апреля, 15:00 (МСК)")
    await shop.run_jobs()
    assert await shop.subscription_end(101) == shop.panel.expiry_of(101) == NOW + days(37)
    await run_bot_jobs(shop, alice)
    assert "Подписка работает до 7 апреля" in alice.sees
    assert await deeds(shop) == [("104", "customers.extend", "u101", "сбой 24 ноября")]
    await olga.says("7 сбой 24 ноября")
    assert await shop.subscription_end(101) == NOW + days(37)


async def test_a_deed_is_kept_under_the_operators_name_and_number(
    shop: Shop, olga: Person, bought: int
) -> None:
    """A name is changed in a minute, and then somebody else may have it."""
    olga.username = "olga_shop"
    await olga.says("/admin 101")
    await olga.presses("Добавить дни")
    await olga.says("7 сбой")
    assert [deed[0] for deed in await deeds(shop)] == ["@olga_shop (104)"]


async def test_money_is_given_back_from_the_desk(
    shop: Shop, alice: Person, olga: Person, bought: int
) -> None:
    await olga.says("/admin 101")
    await olga.presses("Платежи и возврат")
    await olga.presses(f"p{bought} · 199 ₽")
    assert olga.buttons == [["Вернуть 199 ₽"], ["Вернуть часть"], ["Уже вернули сами"], ["‹ Назад"]]
    await olga.presses("Вернуть часть")
    await olga.says("100 неделя без связи")
    assert olga.sees.startswith("✅ Возвращено 100 ₽, клиенту сообщим сами")
    assert "возвращено 100 ₽" in olga.sees
    await olga.presses("Платежи и возврат")
    await olga.presses(f"p{bought}")
    await olga.presses("Вернуть 99 ₽")
    await olga.says("передумал")
    await shop.run_jobs()
    assert shop.provider.charges_by_id[(await shop.payment(bought)).charge_id or ""].refunded == rub("199.00")
    await run_bot_jobs(shop, alice)
    assert "Доступ по этой подписке закрыт." in alice.sees
    assert [deed[1:] for deed in await deeds(shop)] == [
        ("payments.refund", f"p{bought}", "неделя без связи"),
        ("payments.refund", f"p{bought}", "передумал"),
    ]


async def test_a_refund_that_is_refused_may_be_answered_better(shop: Shop, olga: Person, bought: int) -> None:
    await olga.says("/admin 101")
    await olga.presses("Платежи и возврат")
    await olga.presses(f"p{bought} · 199 ₽")
    await olga.presses("Вернуть часть")
    for wrong in ("сто рублей", "500 щедро", "100"):
        await olga.says(wrong)
        assert olga.sees.startswith("Не вышло: ")
    shop.provider.is_away = True
    await olga.says("100 неделя без связи")
    assert olga.sees.startswith("Снаружи не ответили")
    shop.provider.is_away = False
    await olga.says("100 неделя без связи")
    assert olga.sees.startswith("✅ Возвращено 100 ₽")
    await olga.says("100 неделя без связи")
    assert not olga.sees.startswith("✅")
    assert [deed[1:] for deed in await deeds(shop)] == [("payments.refund", f"p{bought}", "неделя без связи")]


async def test_a_provider_that_gives_nothing_back_offers_only_the_record(
    shop: Shop, olga: Person, bought: int
) -> None:
    shop.provider.gives_back = GivesBack.NOTHING
    await olga.says("/admin 101")
    await olga.presses("Платежи и возврат")
    await olga.presses(f"p{bought}")
    assert olga.buttons == [["Уже вернули сами"], ["‹ Назад"]]
    await olga.presses("Уже вернули сами")
    await olga.says("199 монеты вернули")
    assert olga.sees.startswith("✅ Возвращено 199 ₽")
    await olga.presses("Платежи и возврат")
    await olga.presses(f"p{bought}")
    assert olga.buttons == [["‹ Назад"]]


async def test_a_blocked_customer_is_shut_out_here_and_on_the_panel_until_they_are_let_in(
    shop: Shop, alice: Person, olga: Person, bought: int
) -> None:
    (user,) = shop.panel.users_by_id
    await olga.says("/admin 101")
    await olga.presses("Заблокировать")
    await olga.says("перепродаёт доступ")
    assert olga.sees.startswith("✅ Клиент заблокирован")
    assert "Заблокирован с 1 марта" in olga.sees
    await shop.run_jobs()
    assert shop.panel.users_by_id[user].status == "DISABLED"
    for said in ("/start", "/plans", "/subscription", "пустите"):
        await alice.says(said)
        assert alice.sees.startswith("Доступ закрыт\n")
    await alice.presses_data("plan:1")
    assert alice.sees.startswith("Доступ закрыт\n")
    await shop.run_jobs()
    assert shop.panel.users_by_id[user].status == "DISABLED"
    await olga.presses("Разблокировать")
    await olga.says("разобрались")
    await shop.run_jobs()
    assert shop.panel.users_by_id[user].status == "ACTIVE"
    await run_bot_jobs(shop, alice)
    assert "Подписка работает до 31 марта" in alice.sees
    await alice.says("/start")
    assert "Подписка работает" in alice.sees
    assert [deed[1] for deed in await deeds(shop)] == ["customers.block", "customers.unblock"]


async def test_money_of_a_blocked_customer_is_kept_and_opens_when_they_are_let_in(
    shop: Shop, alice: Person, olga: Person, bought: int
) -> None:
    payment = await shop.order(101)
    await olga.says("/admin 101")
    await olga.presses("Заблокировать")
    await olga.says("перепродаёт доступ")
    await shop.notice(shop.pay(payment))
    await shop.run_jobs()
    (user,) = shop.panel.users_by_id.values()
    assert user.status == "DISABLED"
    assert await shop.subscription_end(101) == NOW + days(60)
    await olga.presses("Разблокировать")
    await olga.says("разобрались")
    await shop.run_jobs()
    assert shop.panel.expiry_of(101) == NOW + days(60)


async def test_a_message_of_an_operator_arrives_as_it_was_written(
    shop: Shop, alice: Person, olga: Person, bought: int
) -> None:
    await olga.says("/admin 101")
    await olga.presses("Написать")
    await olga.says("Починили <b>связь</b> & сеть\nПроверьте, пожалуйста")
    assert olga.sees.startswith("✅ Сообщение отправляем")
    await run_bot_jobs(shop, alice)
    assert alice.sees == ("Сообщение от поддержки\n\nПочинили <b>связь</b> & сеть\nПроверьте, пожалуйста")
    assert (await deeds(shop))[0][1] == "customers.message"


async def test_what_is_stuck_is_listed_and_decided_in_the_chat(
    shop: Shop, alice: Person, olga: Person
) -> None:
    await alice.says("/start")
    await shop.notice(shop.pay(await shop.order(101), taken=rub("100.00")))
    await shop.run_jobs()
    await olga.says("/admin")
    await olga.presses("Застряло: 1")
    assert "s1 · недоплата · 100 ₽" in olga.sees
    await olga.presses("s1")
    assert "Ждали 199.00 RUB, пришло 100.00 RUB." in olga.sees
    assert olga.buttons == [["Повторить", "Засчитать"], ["Деньги возвращены", "Клиент"], ["‹ Назад"]]
    await olga.presses("Повторить")
    await olga.says("вдруг")
    assert olga.sees.startswith("✅ Без перемен")
    await olga.presses("s1")
    await olga.presses("Засчитать")
    await olga.says("доплатил наличными")
    assert olga.sees.startswith("✅ Засчитано: платёж p1")
    assert "Ничего не застряло." in olga.sees
    await shop.run_jobs()
    assert await shop.subscription_end(101) == NOW + days(30)


async def test_money_without_an_order_is_credited_to_whom_the_operator_names(
    shop: Shop, alice: Person, olga: Person
) -> None:
    await alice.says("/start")
    shop.provider.charges_by_id["x"] = shop.provider.charge("x", None, rub("199.00"))
    await shop.notice(shop.provider.pay("x"))
    await shop.run_jobs()
    await olga.says("/admin")
    await olga.presses("Застряло: 1")
    await olga.presses("s1")
    await olga.presses("Засчитать")
    await olga.says("не знаю за что")
    assert olga.sees == "Не вышло: чтобы зачесть эти деньги, назовите и клиента, и тариф"
    await olga.says("101 1 оплата по старой ссылке")
    assert olga.sees.startswith("✅ Засчитано")
    await shop.run_jobs()
    assert await shop.subscription_end(101) == NOW + days(30)


async def test_a_command_or_a_press_leaves_the_question_behind(shop: Shop, olga: Person, bought: int) -> None:
    await olga.says("/admin 101")
    await olga.presses("Заблокировать")
    await olga.says("/start")
    await olga.says("просто так")
    assert "Это бот с кнопками" in olga.sees
    assert await deeds(shop) == []


async def test_an_answer_that_telegram_sends_again_is_done_once(
    shop: Shop, olga: Person, bought: int
) -> None:
    await olga.says("/admin 101")
    await olga.presses("Добавить дни")
    message = olga.message(text="7 сбой")
    for _ in range(2):
        await olga.update(update_id=77_777, message=message)
    assert await shop.subscription_end(101) == NOW + days(37)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_entry_and_every_ending_has_its_words(language: str) -> None:
    t = texts_of(language, MOSCOW, now=NOW)
    for kind in (*StuckMoney, *StuckWork):
        shown = entry_screen(t, StuckItem("s1", kind, NOW, "<почему>"))
        assert "&lt;почему&gt;" in shown.text
    for ending in Ending:
        assert t(f"ending-{ending.replace(' ', '-')}")


async def test_a_card_of_nobody_is_an_error(shop: Shop, bought: int) -> None:
    with pytest.raises(CustomerGone):
        await desk.card(shop.deps, 999, by=Operator("ольга"))
