"""The bot as customers meet it: a real database, recorded phones, and the screens that they see."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiohttp import web
from procrastinate.jobs import Job
from pydantic import SecretStr
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from bot.chat import METHOD, Chats, Person, bad_request, orders, run_bot_jobs
from fakes import FakePanel, FakeProvider
from getpro.bot import jobs
from getpro.bot.flood import Flood
from getpro.bot.handlers import own
from getpro.bot.message_log import MessageLog
from getpro.bot.orders import turn_message
from getpro.bot.screens.menu import COMMANDS
from getpro.catalog.models import plans
from getpro.customers import store as customers
from getpro.customers.store import Customer
from getpro.kit.clock import utc_now
from getpro.kit.money import Money
from getpro.messaging.models import notices
from getpro.panel.client import PanelClient
from getpro.panel.models import panel_accounts
from getpro.panel.service import Usage
from getpro.payments.models import payments
from getpro.payments.provider import ChargeState, Order, Priced
from getpro.payments.providers.stars.provider import Stars
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.payments.providers.yookassa.provider import YooKassa
from getpro.platform.cipher import Cipher, new_key
from getpro.platform.jobs import RetryLater
from getpro.platform.settings import PanelSettings, ShopSettings, YooKassaSettings
from getpro.sales import decisions, polling
from getpro.sandbox.serving import serving
from moments import Broken, broken_at
from shop import CAST, OLGA, Shop, days, rub

THE_MONTH = "до 31 марта, 15:00 (МСК)"


class StarsProvider(FakeProvider):
    def price(self, plan: Priced) -> Money:
        return plan.stars

    def request(self, order: Order) -> dict[str, Any]:
        return {"amount": "1.00", "payload": str(order.order_key)}


class Invoices:
    """Telegram's calls about Stars."""

    async def create_invoice_link(self, invoice: dict[str, Any]) -> str:
        return f"https://t.me/${invoice['payload']}"

    async def star_transactions(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        raise NotImplementedError

    async def refund(self, *, user_id: int, charge_id: str) -> None:
        raise NotImplementedError

    async def star_balance(self) -> int:
        return 0


@pytest.fixture
def two_ways(shop: Shop) -> StarsProvider:
    """Card and Stars."""
    shop.provider.code = "yookassa"
    stars = StarsProvider("stars")
    shop.more_providers = (stars,)
    return stars


async def customer(shop: Shop, person: Person) -> Customer:
    async with shop.db.begin("test") as session:
        return await customers.customer(session, person.user_id)


async def column(shop: Shop, name: str, person: Person) -> Any:
    async with shop.db.begin("test") as session:
        row = await session.execute(text(f"SELECT {name} FROM users WHERE user_id = {person.user_id}"))  # noqa: S608
        return row.scalar_one()


async def stop_selling(shop: Shop, plan_id: int) -> None:
    async with shop.db.begin("test") as session:
        await session.execute(update(plans).where(plans.c.plan_id == plan_id).values(is_active=False))


async def subscriber(shop: Shop, person: Person) -> None:
    """Starts, and buys a month that is delivered."""
    await person.says("/start")
    await shop.purchase(person.user_id)
    await person.says("/start")


# The first minute


@pytest.mark.parametrize(
    ("language", "said", "button"),
    [
        ("ru", "Быстрый и спокойный VPN", "Купить подписку"),
        ("en", "A fast, hassle-free VPN", "Buy a subscription"),
    ],
)
async def test_a_stranger_is_met_in_telegrams_language(
    chats: Chats, language: str, said: str, button: str
) -> None:
    alice = chats.person("alice", language=language)
    await alice.says("/start")
    assert said in alice.sees
    assert [button] in alice.buttons
    assert alice.sees.startswith("Тест & <Ко>")


async def test_a_deep_link_is_kept_and_a_later_one_does_not_replace_it(shop: Shop, alice: Person) -> None:
    await alice.says("/start ref_bob")
    await alice.says("/start")
    alice.first_name = "Алиса"
    await alice.says("/start ad_7")
    assert await column(shop, "start_parameter", alice) == "ref_bob"


async def test_a_deep_link_survives_a_first_start_while_the_database_was_away(
    shop: Shop, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"message_id": 1, "date": 1772366400, "from": alice.about(), "chat": alice.chat()}
    start = {"update_id": 5, "message": first | {"text": "/start ref_bob"}}
    with monkeypatch.context() as broken:
        broken.setattr(shop.db.__class__, "begin", _away)
        broken.setattr(shop.db.__class__, "alone", _away)
        with pytest.raises(OperationalError):
            await alice.update_again(start)
    await alice.update_again(start)
    assert await column(shop, "start_parameter", alice) == "ref_bob"


def _away(*_: object) -> Any:
    raise OperationalError("the database is away", None, Exception())


@pytest.mark.parametrize("name", ["<b>Алиса</b> & Co", "\u202eecilA", "😀" * 200, " "])
async def test_a_strange_name_breaks_nothing(chats: Chats, shop: Shop, name: str) -> None:
    alice = chats.person("alice", first_name=name)
    await alice.says("/start")
    for button in ("Поддержка", "‹ В меню", "Купить подписку", "1 мес."):
        await alice.presses(button)
    assert "К оплате" in alice.sees
    assert (await customer(shop, alice)).first_name == name[:128]


async def test_the_chosen_language_is_kept_whatever_telegrams_is(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await alice.presses("Language: English")
    assert "A fast, hassle-free VPN" in alice.sees
    assert alice.toast == "Now in English."
    await alice.presses_data("speak:en")  # a second tap
    assert alice.toast is None
    await alice.says("/start")
    assert "A fast, hassle-free VPN" in alice.sees
    shop.provider.needs_email = True
    await alice.presses_data("buy:1:fakepay")
    assert "Where should we send the receipt?" in alice.sees
    alice.phones.refusals = [("editMessageText", RuntimeError("a bug"))]
    await alice.presses_data("go:menu")
    assert "Something went wrong" in (alice.toast or "")
    assert "could not find" in (await alice.asks_to_pay("nothing of ours", 1))["error_message"]


async def test_the_command_for_the_language_offers_the_choice(alice: Person) -> None:
    await alice.says("/language")
    assert alice.buttons == [["Русский"], ["English"], ["‹ В меню"]]
    await alice.presses("English")
    assert "A fast, hassle-free VPN" in alice.sees


async def test_each_command_opens_its_screen(alice: Person) -> None:
    opened = {
        "/terms": "Условия",
        "/paysupport": "Помощь с оплатой",
        "/support": "Поддержка",
        "/subscription": "Подписки пока нет.",
        "/plans": "Выберите срок",
        "/language": "Язык · Language",
        "/help": "Бот продаёт VPN-подписку",
        "/start": "Быстрый и спокойный VPN",
        "/nonsense": "сообщения он не читает",
    }
    for command, said in opened.items():
        await alice.says(command)
        assert said in alice.sees


async def test_navigation_edits_one_message(alice: Person) -> None:
    await alice.says("/start")
    for button in ("Купить подписку", "‹ В меню", "Поддержка", "‹ В меню"):
        await alice.presses(button)
    assert len(alice.screens) == 1


@pytest.mark.parametrize(
    "content", [{"text": "Привет"}, {"sticker": None, "contact": {"phone_number": "1", "first_name": "A"}}]
)
async def test_a_message_that_is_not_understood_gets_the_menu(alice: Person, content: dict[str, Any]) -> None:
    await alice.sends(**content)
    assert "сообщения он не читает" in alice.sees
    assert ["Купить подписку"] in alice.buttons


# The trial


async def test_a_trial_is_given_once_and_never_called_paid(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await alice.presses("Попробовать бесплатно: 3 дня")
    assert alice.toast == "Пробный период начался."
    assert "Пробный период до 4 марта, 15:00" in alice.sees
    assert "Открываем доступ" in alice.sees
    await alice.presses_data("go:trial")  # a second tap
    assert alice.toast is None
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert "Доступ открыт\nПробный период работает до 4 марта" in alice.sees
    assert shop.panel.expiry_of(alice.user_id) == shop.clock() + days(3)
    shop.clock.forward(days=4)
    await alice.presses_data("go:trial")
    assert alice.toast == "Пробный период больше не доступен."
    assert "Пробный период закончился 4 марта" in alice.sees


async def test_whoever_has_tried_buys_instead_of_renewing(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await alice.presses("Попробовать")
    assert ["Купить подписку"] in alice.buttons
    await alice.presses_data("go:renew")
    assert "Выберите срок" in alice.sees


# Buying


async def test_a_purchase_takes_three_taps_and_its_screen_turns(
    shop: Shop, alice: Person, two_ways: StarsProvider
) -> None:
    alice = Chats(shop, alice.phones).person("alice")
    await alice.says("/start")
    await alice.presses("Купить подписку")
    await alice.presses("1 мес.")
    assert "Как оплатить?" in alice.sees
    assert [row[0] for row in alice.buttons] == [
        "Карта или СБП · 199 ₽",
        "Telegram Stars · ⭐ 120",
        "‹ Назад",
    ]
    await alice.presses("Карта или СБП")
    assert alice.button("Оплатить 199")["url"].startswith("https://pay.example/")
    payment = await shop.payment((await orders(shop, alice))[0].payment_id)
    await shop.notice(shop.pay(payment))
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 1
    assert alice.sees == f"Оплата получена: 199 ₽\nДоступ открыт {THE_MONTH}\nОсталось подключить устройство."
    assert alice.buttons == [["Подключить"], ["‹ В меню"]]


async def test_one_way_to_pay_is_not_asked_for(alice: Person) -> None:
    await alice.says("/plans")
    await alice.presses("3 мес.")
    assert "К оплате: 499" in alice.sees


async def test_the_waiting_screen_turns_only_as_far_as_access_is(shop: Shop, alice: Person) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    shop.panel.is_away = True
    await shop.notice(shop.pay(await shop.payment((await orders(shop, alice))[0].payment_id)))
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert len(alice.screens) == 1
    assert "Оплата получена: 199" in alice.sees
    assert "Делать ничего не нужно." in alice.sees
    assert "Доступ открыт" not in alice.sees


async def test_a_second_tap_makes_no_second_order_and_says_nothing(shop: Shop, alice: Person) -> None:
    await alice.says("/plans")
    shop.provider.before_answer = asyncio.Event()
    first = asyncio.create_task(alice.presses("1 мес."))
    while not shop.provider.asked:
        await asyncio.sleep(0.01)
    await alice.presses("1 мес.")
    assert alice.toast is None
    shop.provider.before_answer.set()
    await first
    assert len(await orders(shop, alice)) == 1
    assert "К оплате" in alice.sees


async def test_presses_at_the_same_moment_make_one_order(shop: Shop, alice: Person) -> None:
    await alice.says("/plans")
    await asyncio.gather(*(alice.presses("1 мес.") for _ in range(4)))
    assert len(await orders(shop, alice)) == 1
    assert "К оплате" in alice.sees


async def test_the_same_choice_on_the_same_screen_shows_the_order_that_waits(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    await alice.presses("‹ В меню")
    await alice.presses("Купить подписку")
    await alice.presses("1 мес.")
    assert len(await orders(shop, alice)) == 1
    assert "К оплате" in alice.sees
    shop.clock.forward(minutes=11)
    await alice.presses_data("buy:1:fakepay")
    assert len(await orders(shop, alice)) == 2


async def test_a_provider_that_does_not_answer_is_said_and_made_up_for(shop: Shop, alice: Person) -> None:
    shop.provider.is_away = True
    await alice.says("/plans")
    await alice.presses("1 мес.")
    assert "Платёжная система пока не отвечает. Деньги не списаны." in alice.sees
    shop.clock.forward(seconds=21)
    await alice.presses_data("buy:1:fakepay")
    assert "пока не отвечает" in alice.sees
    shop.provider.is_away = False
    await shop.run_jobs()
    await polling.poll_due(shop.deps)
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert alice.buttons[0] == ["Оплатить 199 ₽"]
    assert len(alice.screens) == 1
    assert len(await orders(shop, alice)) == 1


async def test_check_says_that_nothing_came_and_then_that_it_came(shop: Shop, alice: Person) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    await alice.presses("Проверить оплату")
    assert alice.toast == "Деньги пока не пришли. Если вы уже оплатили, подождите: экран обновится сам."
    shop.pay(await shop.payment((await orders(shop, alice))[0].payment_id))
    await alice.presses("Проверить оплату")
    assert alice.toast is None
    assert "Оплата получена: 199" in alice.sees
    assert "Открываем доступ" in alice.sees


async def test_money_that_a_person_must_look_at_is_called_received_and_not_asked_for_again(
    chats: Chats, shop: Shop, two_ways: StarsProvider
) -> None:
    alice = chats.person("alice")
    await alice.says("/plans")
    await alice.presses_data("buy:1:yookassa")
    number = (await orders(shop, alice))[0].payment_id
    shop.pay(await shop.payment(number), taken=rub("100.00"))
    await alice.presses("Проверить оплату")
    assert alice.toast is None
    assert alice.sees.startswith("Платёж проверяем вручную\n")
    assert "Деньги не потеряны" in alice.sees
    assert alice.buttons == [["Поддержка"], ["‹ В меню"]]
    for data in ("buy:1:yookassa", f"order:another:{number}", f"order:cancel:{number}"):
        await alice.presses("‹ В меню")
        await alice.presses_data(data)
        assert alice.sees.startswith("Платёж проверяем вручную\n"), data
    assert len(await orders(shop, alice)) == 1


async def test_the_screen_turns_when_money_is_kept_and_again_when_it_is_credited(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    payment = await shop.payment((await orders(shop, alice))[0].payment_id)
    await shop.notice(shop.pay(payment, payer_id=CAST["bob"]))
    await shop.run_jobs()
    await turn_message(alice.bot.context, payment.payment_id)
    assert alice.sees.startswith("Платёж проверяем вручную\n")
    assert alice.buttons == [["Поддержка"], ["‹ В меню"]]
    await decisions.credit(shop.deps, "s1", by=OLGA, reason="a friend paid")
    await turn_message(alice.bot.context, payment.payment_id)
    assert "Оплата получена: 199" in alice.sees


async def test_cancel_cancels_and_a_late_press_finds_the_payment(shop: Shop, alice: Person) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    number = (await orders(shop, alice))[0].payment_id
    await alice.presses("Отменить")
    assert "Заказ отменён" in alice.sees
    await alice.presses_data(f"order:cancel:{number}")  # a second tap
    assert alice.toast is None
    await shop.notice(shop.pay(await shop.payment(number)))
    await shop.run_jobs()
    await alice.presses_data(f"order:cancel:{number}")
    assert alice.toast == "Экран обновлён."
    assert "Оплата получена: 199" in alice.sees


async def test_another_way_offers_the_ways_and_after_the_payment_its_result(
    shop: Shop, alice: Person, two_ways: StarsProvider
) -> None:
    alice = Chats(shop, alice.phones).person("alice")
    await alice.says("/plans")
    await alice.presses("1 мес.")
    await alice.presses("Карта")
    number = (await orders(shop, alice))[0].payment_id
    await alice.presses("Другой способ")
    assert "Как оплатить?" in alice.sees
    await alice.presses("Telegram Stars")
    assert "К оплате: ⭐ 120" in alice.sees
    assert [row.status for row in await orders(shop, alice)] == ["pending", "pending"]
    await shop.notice(shop.pay(await shop.payment(number)))
    await shop.run_jobs()
    await alice.presses_data(f"order:another:{number}")
    assert "Оплата получена: 199" in alice.sees
    assert alice.toast == "Экран обновлён."


async def test_somebody_elses_order_is_ignored(chats: Chats, shop: Shop, alice: Person) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    order = (await orders(shop, alice))[0]
    bob = chats.person("bob")
    await bob.says("/start")
    before = bob.sees
    for do in ("check", "cancel", "another"):
        await bob.presses_data(f"order:{do}:{order.payment_id}")
        assert (bob.sees, bob.toast) == (before, None)
    assert (await orders(shop, alice))[0].status == "pending"


async def test_a_declined_payment_can_be_tried_again(shop: Shop, alice: Person) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    payment = await shop.payment((await orders(shop, alice))[0].payment_id)
    await shop.notice(shop.pay(payment, state=ChargeState.CANCELED, reason="insufficient_funds"))
    await shop.run_jobs()
    await run_bot_jobs(shop, alice)
    assert "Оплата не прошла" in alice.sees
    await alice.presses("Попробовать ещё раз")
    assert "К оплате: 199" in alice.sees
    assert [row.status for row in await orders(shop, alice)] == ["canceled", "pending"]


async def test_an_old_order_that_runs_out_does_not_turn_the_screen_of_a_newer_one(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    await alice.presses("‹ В меню")
    await alice.presses("Купить")
    await alice.presses("3 мес.")
    old, new = await orders(shop, alice)
    async with shop.db.begin("test") as session:
        await session.execute(
            update(payments).where(payments.c.payment_id == old.payment_id).values(status="canceled")
        )
    await turn_message(alice.bot.context, old.payment_id)
    assert "К оплате: 499" in alice.sees
    await turn_message(alice.bot.context, new.payment_id)
    assert "К оплате: 499" in alice.sees


async def test_a_press_on_a_message_that_telegram_has_forgotten_gets_a_screen_that_turns(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/start")
    forgotten = {"message_id": 1, "date": 0, "chat": alice.chat()}
    await alice.update(callback_query=alice.press("buy:1:fakepay", forgotten))
    assert "К оплате: 199" in alice.sees
    order = (await orders(shop, alice))[0]
    assert order.screen_message_id == alice.screens[-1]["message_id"]
    await shop.notice(shop.pay(await shop.payment(order.payment_id)))
    await shop.run_jobs()
    await turn_message(alice.bot.context, order.payment_id)
    assert "Доступ открыт" in alice.sees


async def test_a_plan_that_is_gone_leads_to_the_others(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await stop_selling(shop, 1)
    for data in ("plan:1", "buy:1:fakepay"):
        await alice.presses_data(data)
        assert "Этот тариф больше не продаётся, выберите другой." in alice.sees
        assert alice.buttons[0] == ["3 мес. · 499 ₽", "6 мес. · 899 ₽"]
        await alice.presses("‹ В меню")


@pytest.mark.parametrize(
    ("language", "title", "description"),
    [("ru", "VPN, 30 дн.", "Тест: доступ на 30 дн."), ("en", "VPN, 30-day access", "Тест: 30-day access")],
)
async def test_the_payment_page_speaks_the_customers_language_and_the_receipt_russian(
    chats: Chats, shop: Shop, language: str, title: str, description: str
) -> None:
    settings = YooKassaSettings(
        shop_id="1",
        secret_key=SecretStr("k"),
        api_url="http://127.0.0.1:9",
        receipt_email="shop@example.ru",
        receipts=True,
    )
    card = YooKassa(settings, YooKassaClient(settings))
    shop.more_providers = (card, Stars(Invoices()))
    alice = chats.person("alice", language=language)
    await alice.says("/plans")
    await alice.presses_data("buy:1:yookassa")
    await alice.says("/plans")
    await alice.presses_data("buy:1:stars")
    by_card, in_stars = [row.request for row in await orders(shop, alice)]
    assert by_card["description"] == in_stars["description"] == description
    assert by_card["receipt"]["items"][0]["description"] == "Тест: доступ на 30 дн."
    assert (in_stars["title"], in_stars["prices"][0]["label"]) == (title, title)
    await card.close()


# Renewing


async def test_renewing_takes_two_taps(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    await alice.presses("Продлить")
    assert "К оплате: 199" in alice.sees
    assert alice.button("Оплатить")["url"].startswith("https://pay.example/")
    await shop.notice(shop.pay(await shop.payment((await orders(shop, alice))[-1].payment_id)))
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice.user_id) == shop.clock() + days(60)


async def test_whoever_has_run_out_is_offered_the_renewal_first(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    shop.clock.forward(days=31)
    await alice.says("/start")
    assert "Подписка закончилась 31 марта" in alice.sees
    assert alice.buttons[0] == ["Продлить"]
    await alice.presses("Продлить")
    assert "К оплате: 199" in alice.sees


async def test_renewing_a_plan_that_is_gone_leads_to_the_others(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    await stop_selling(shop, 1)
    await alice.presses("Продлить")
    assert "Этот тариф больше не продаётся" in alice.sees


async def test_renewing_by_a_way_that_is_switched_off_leads_to_the_others(chats: Chats, shop: Shop) -> None:
    await subscriber(shop, chats.person("alice"))
    shop.provider = FakeProvider("newpay")
    alice = chats.person("alice")
    await alice.presses("Продлить")
    assert "Этот способ оплаты сейчас не работает, выберите другой." in alice.sees
    await alice.presses("newpay")
    assert "К оплате: 199" in alice.sees


async def test_payments_are_listed_without_what_came_to_nothing(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    await alice.presses("Другой срок")
    await alice.presses("3 мес.")
    await alice.presses("Отменить")
    await alice.presses("‹ В меню")
    await alice.presses("Платежи")
    assert alice.sees == "Платежи\n\n1 марта · 1 месяц · 199 ₽"


# The e-mail for the receipt


async def test_the_email_is_asked_once_kept_and_used(shop: Shop, alice: Person) -> None:
    shop.provider.needs_email = True
    await alice.says("/plans")
    await alice.presses("1 мес.")
    assert "Куда прислать чек?" in alice.sees
    for wrong in ("alice", "a..b@example.ru", "alice@example", "@", f"{'a' * 250}@example.ru"):
        await alice.says(wrong)
        assert "Похоже, в адресе ошибка" in alice.sees
    await alice.says(" alice@example.ru ")
    assert "К оплате: 199" in alice.sees
    assert (await customer(shop, alice)).email == "alice@example.ru"
    order = (await orders(shop, alice))[0]
    assert order.screen_message_id == alice.screens[-1]["message_id"]
    await alice.says("/plans")
    await alice.presses("3 мес.")
    assert "К оплате: 499" in alice.sees
    assert [asked["email"] for asked in shop.provider.asked] == ["alice@example.ru"] * 2


async def test_a_question_of_another_version_is_not_taken_for_the_one_for_the_email(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/start")
    for dialog in ("gift:1:fakepay", "email:soon:fakepay", "email"):
        async with shop.db.begin("test") as session:
            await customers.set_dialog(session, alice.user_id, dialog)
        await alice.says("alice@example.ru")
        assert "сообщения он не читает" in alice.sees
    assert (await customer(shop, alice)).email is None


@pytest.mark.parametrize("away", ["‹ Назад", "/start", "/plans", "/terms"])
async def test_whoever_leaves_the_question_is_not_taken_at_their_word_later(
    shop: Shop, alice: Person, away: str
) -> None:
    shop.provider.needs_email = True
    await alice.says("/plans")
    await alice.presses("1 мес.")
    await (alice.says(away) if away.startswith("/") else alice.presses(away))
    await alice.says("alice@example.ru")
    assert "сообщения он не читает" in alice.sees
    assert (await customer(shop, alice)).email is None
    assert await orders(shop, alice) == []


async def test_an_email_for_a_plan_that_is_gone_meanwhile_is_kept(shop: Shop, alice: Person) -> None:
    shop.provider.needs_email = True
    await alice.says("/plans")
    await alice.presses("1 мес.")
    await stop_selling(shop, 1)
    await alice.says("alice@example.ru")
    assert "Этот тариф больше не продаётся" in alice.sees
    assert ((await customer(shop, alice)).email, (await customer(shop, alice)).dialog) == (
        "alice@example.ru",
        None,
    )


async def test_an_email_for_a_way_that_is_switched_off_meanwhile_is_kept(chats: Chats, shop: Shop) -> None:
    shop.provider.needs_email = True
    alice = chats.person("alice")
    await alice.says("/plans")
    await alice.presses("1 мес.")
    shop.provider = FakeProvider("newpay")
    alice = chats.person("alice")
    await alice.says("alice@example.ru")
    assert "Этот способ оплаты сейчас не работает" in alice.sees
    assert (await customer(shop, alice)).email == "alice@example.ru"


# Stars


async def test_telegrams_last_question_is_answered_yes_without_a_write(
    chats: Chats, shop: Shop, two_ways: StarsProvider
) -> None:
    alice = chats.person("alice")
    await alice.says("/plans")
    await alice.presses_data("buy:1:stars")
    order = (await orders(shop, alice))[0]
    with statements() as made:
        assert await alice.asks_to_pay(str(order.order_key), 120) == {
            "pre_checkout_query_id": "9",
            "ok": True,
        }
    assert len(made) == 1
    assert made[0].startswith("SELECT")


async def test_telegrams_last_question_is_refused_with_the_reason(
    chats: Chats, shop: Shop, two_ways: StarsProvider
) -> None:
    alice, bob = chats.person("alice"), chats.person("bob")
    await alice.says("/plans")
    await alice.presses_data("buy:1:stars")
    order = (await orders(shop, alice))[0]

    async def refusal(person: Person, payload: str, amount: int) -> str:
        answer = await person.asks_to_pay(payload, amount)
        assert answer["ok"] is False
        return str(answer["error_message"])

    key = str(order.order_key)
    assert "другому человеку" in await refusal(bob, key, 120)
    assert "Цена изменилась" in await refusal(alice, key, 119)
    assert "не найден" in await refusal(alice, "00000000-0000-0000-0000-000000000000", 120)
    assert "не найден" in await refusal(alice, "something else", 120)
    async with shop.db.begin("test") as session:
        await session.execute(update(plans).values(stars=150))
    assert "Цена изменилась" in await refusal(alice, key, 120)
    await stop_selling(shop, 1)
    assert "больше не продаётся" in await refusal(alice, key, 120)
    await alice.presses("Отменить")
    assert "уже оплачен или отменён" in await refusal(alice, key, 120)


# Connecting, and my subscription


async def test_the_platform_is_asked_once_and_remembered(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    await alice.presses("Подключить")
    assert "На каком устройстве?" in alice.sees
    await alice.presses("Android")
    assert "Подключение: Android" in alice.sees
    assert "https://panel.example/1" in alice.sees
    assert alice.button("Открыть ссылку")["url"] == "https://panel.example/1"
    await alice.presses("‹ В меню")
    await alice.presses("Подключить")
    assert "Подключение: Android" in alice.sees
    await alice.presses("Ещё устройство")
    await alice.presses("Телевизор")
    assert "Happ TV" in alice.sees
    await alice.presses("Не получилось?")
    assert "Устройство: Телевизор" in alice.sees


async def test_a_link_that_no_key_decrypts_is_asked_of_the_panel_and_kept_again(
    shop: Shop, alice: Person
) -> None:
    await subscriber(shop, alice)
    shop.panel.is_away = True
    async with shop.db.begin("test") as session:
        others = Cipher([new_key()]).encrypt("https://panel.example/1")
        await session.execute(update(panel_accounts).values(encrypted_url=others))
    await alice.presses("Подключить")
    await alice.presses("Android")
    assert "Ссылку сейчас не получить" in alice.sees
    await alice.presses_data("go:qr")
    assert "Ссылку сейчас не получить" in alice.sees
    shop.panel.is_away = False
    await alice.presses("Попробовать ещё раз")
    assert "https://panel.example/1" in alice.sees
    shop.panel.is_away = True
    await alice.presses("‹ В меню")
    await alice.presses("Подключить")
    assert "https://panel.example/1" in alice.sees


async def test_no_link_stands_in_a_table(shop: Shop, alice: Person, database_url: str) -> None:
    """The fake panel's only user has the link https://panel.example/1 and the short uuid short1."""
    await subscriber(shop, alice)
    await alice.presses("Подключить")
    await alice.presses("Android")
    with psycopg.connect(database_url) as inside:
        tables = inside.execute(
            "SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        assert ("panel_accounts",) in tables
        for (table,) in tables:
            rows = inside.execute(f"SELECT x::text FROM {table} x").fetchall()  # noqa: S608 -- as it is named there
            as_bytes = b"panel.example/1".hex()  # how a column of bytes is written
            told = ("panel.example/1", as_bytes, "short1")
            assert not [row for row in rows for secret in told if secret in row[0]], table


async def test_a_code_comes_as_a_picture_and_goes_back(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    await alice.presses("Подключить")
    await alice.presses("iPhone")
    await alice.presses("QR-код")
    assert "Наведите на код камеру" in alice.sees
    assert "photo" in alice.screens[-1]
    picture = alice.button("‹ Назад")
    await alice.presses("‹ Назад")
    assert "Подключение: iPhone и iPad" in alice.sees
    before = alice.phones.calls.count("sendMessage")
    alice.phones.refusals = [("deleteMessage", bad_request("message to delete not found"))]
    await alice.update(callback_query=alice.press("go:from_qr", picture["on"]))
    assert alice.phones.calls.count("sendMessage") == before


async def test_a_picture_too_old_to_be_taken_away_stays_and_the_link_comes_below(
    shop: Shop, alice: Person
) -> None:
    await subscriber(shop, alice)
    await alice.presses("Подключить")
    await alice.presses("iPhone")
    await alice.presses("QR-код")
    alice.phones.refusals = [("deleteMessage", bad_request("message can't be deleted for everyone"))]
    await alice.presses("‹ Назад")
    assert "Подключение: iPhone и iPad" in alice.sees
    assert alice.toast is None


async def test_connecting_before_access_is_open_says_what_happens_next(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await alice.presses("Попробовать")
    await alice.presses("Подключить")
    assert "Открываем доступ. Напишем, когда он заработает." in alice.sees
    await alice.presses_data("go:qr")
    assert "photo" not in alice.screens[-1]


async def test_my_subscription_shows_what_the_panel_knows(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    shop.panel.used = Usage(traffic_bytes=1024**3, traffic_limit_bytes=10 * 1024**3, device_limit=3)
    shop.panel.devices_connected = 2
    await alice.presses("Моя подписка")
    assert f"Подписка работает {THE_MONTH}\nОсталось 30 дней\nТрафик: 1 ГБ" in alice.sees
    assert "Устройства: 2 из 3" in alice.sees


async def test_a_panel_that_is_away_takes_only_its_lines_from_the_screen(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    shop.panel.is_away = True
    await alice.presses("Моя подписка")
    assert "Осталось 30 дней" in alice.sees
    assert "Трафик" not in alice.sees


@pytest.mark.parametrize("changed", ["userTraffic", "trafficLimitBytes", "hwidDeviceLimit", "total"])
async def test_a_panel_that_has_changed_an_answer_takes_only_its_lines_from_the_screen(
    chats: Chats, shop: Shop, changed: str
) -> None:
    user = {"userTraffic": {"usedTrafficBytes": 0}, "trafficLimitBytes": 0, "hwidDeviceLimit": 3}
    answer = user | {"version": "3.3.2", "total": 1} | {changed: "several"}
    panel = web.Application()

    async def show(_: web.Request) -> web.Response:
        return web.json_response({"response": answer})

    panel.router.add_get("/{path:.*}", show)
    async with serving(panel) as url:
        settings = PanelSettings(url=url, token=SecretStr("t"))
        client = PanelClient(settings, ShopSettings(), owner="shop")
        shop.panel.usage, shop.panel.devices = client.usage, client.devices  # type: ignore[method-assign]
        alice = chats.person("alice")
        await subscriber(shop, alice)
        await alice.presses("Моя подписка")
        assert "Осталось 30 дней" in alice.sees
        assert ("Трафик" in alice.sees, "Устройства" in alice.sees) == (changed == "total", False)
        await client.close()


async def test_a_slow_panel_is_asked_both_questions_at_once_and_not_waited_for(
    chats: Chats, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowDevices(FakePanel):
        async def devices(self, panel_user_id: str) -> int:
            await asyncio.sleep(60)
            return 1

    monkeypatch.setattr(own, "_PANEL_SECONDS", 0.05)
    shop.panel = SlowDevices()
    alice = chats.person("alice")
    await subscriber(shop, alice)
    await alice.presses("Моя подписка")
    assert "Трафик" in alice.sees
    assert "Устройства" not in alice.sees


# Manners


async def test_a_press_that_comes_again_shows_the_order_it_has_made_and_makes_no_other(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/plans")
    press = alice.press("buy:1:fakepay", alice.screens[-1])
    with broken_at("checkout created: before commit"), pytest.raises(Broken):
        await alice.update_again({"update_id": 77, "callback_query": press})
    assert "Выберите срок" in alice.sees
    await alice.update_again({"update_id": 77, "callback_query": press})
    assert "Оплата: 1 месяц" in alice.sees
    assert alice.phones.calls[-1] == "answerCallbackQuery"
    assert len(alice.screens) == len(await orders(shop, alice)) == 1


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ("go:renew", "Оплата: 1 месяц"),
        ("order:check:2", "Оплата: 1 месяц"),
        ("order:another:2", "Оплата: 1 месяц"),
        ("order:cancel:2", "Заказ отменён"),
    ],
)
async def test_a_press_on_an_order_that_comes_again_shows_it_and_does_nothing_more(
    shop: Shop, alice: Person, data: str, title: str
) -> None:
    await subscriber(shop, alice)
    await alice.presses("Продлить")
    press = {"update_id": 77, "callback_query": alice.press(data, alice.screens[-1])}
    await alice.update_again(press)
    await alice.presses("‹ В меню" if data != "order:another:2" else "‹ Назад")
    shop.pay(await shop.payment(2))  # a check would find it
    await alice.update_again(press)
    assert alice.phones.calls[-1] == "answerCallbackQuery"
    assert alice.sees.startswith(title)
    assert (len(alice.screens), len(await orders(shop, alice))) == (2, 2)


async def test_a_press_on_somebody_elses_order_that_comes_again_shows_nothing_of_it(
    chats: Chats, shop: Shop, alice: Person
) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    bob = chats.person("bob")
    await bob.says("/start")
    press = {"update_id": 77, "callback_query": bob.press("order:check:1", bob.screens[-1])}
    for _ in range(2):
        await bob.update_again(press)
        assert "Быстрый и спокойный VPN" in bob.sees


async def test_whatever_comes_again_paints_nothing_over_and_has_no_effect(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    for number, data in enumerate(("go:trial", "speak:en", "on:ios", "plan:1", "go:support"), start=80):
        alice.bot._flood = Flood()
        press = {"update_id": number, "callback_query": alice.press(data, alice.screens[-1])}
        await alice.update_again(press)
        await alice.presses_data("speak:ru")
        shown, answers = alice.sees, alice.phones.calls.count("answerCallbackQuery")
        await alice.update_again(press)
        assert alice.sees == shown
        assert alice.phones.calls.count("answerCallbackQuery") == answers + 1
    assert len(alice.screens) == 1
    shop.provider.needs_email = True
    await alice.presses_data("buy:1:fakepay")
    first = {"message_id": 1, "date": 1772366400, "from": alice.about(), "chat": alice.chat()}
    answer = {"update_id": 90, "message": first | {"text": "alice@example.ru"}}
    with broken_at("new order: before commit"), pytest.raises(Broken):
        await alice.update_again(answer)
    await alice.update_again(answer)
    assert "Пробный период до 4 марта" in alice.sees
    assert len(await orders(shop, alice)) == 1


async def test_a_block_that_is_told_again_does_not_hide_a_customer_who_is_back(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/start")
    with update_numbers(alice, 500):
        await alice.membership("kicked")
    await alice.says("/start")
    with update_numbers(alice, 500):
        await alice.membership("kicked")
    assert await column(shop, "unreachable_since", alice) is None


@contextlib.contextmanager
def update_numbers(person: Person, first: int) -> Iterator[None]:
    """Inside the block Telegram counts from ``first``."""
    usual, person.phones.numbers = person.phones.numbers, itertools.count(first)
    yield
    person.phones.numbers = usual


async def test_a_blocked_bot_is_remembered_and_coming_back_forgets_it(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await alice.membership("kicked")
    assert await column(shop, "unreachable_since", alice) is not None
    await alice.membership("member")
    assert await column(shop, "unreachable_since", alice) is None
    await alice.membership("kicked")
    await alice.says("/start")
    assert await column(shop, "unreachable_since", alice) is None


async def test_a_group_sees_nothing_of_a_customer_and_changes_nothing(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    group = {"id": -100, "type": "group", "title": "Друзья"}
    calls = len(alice.phones.calls)
    message = {"message_id": 1, "date": 1772366400, "from": alice.about(), "chat": group, "text": "/start"}
    assert await alice.update(message=message) is None
    await alice.update(callback_query=alice.press("go:sub", message))
    await alice.membership("kicked", chat=group)
    assert len(alice.phones.calls) == calls
    assert await column(shop, "unreachable_since", alice) is None


async def test_an_operator_is_told_in_a_group_its_number_and_that_reports_come_there(chats: Chats) -> None:
    chats.operators_chat = -1001
    operator, alice = chats.person("olga"), chats.person("alice")

    async def answer_to(person: Person, said: str, *, chat: int) -> str | None:
        group = {"id": chat, "type": "supergroup", "title": "Операторы"}
        reply = await person.bot.handle({"update_id": 1, "message": person.message(text=said, chat=group)})
        if reply is None:
            return None
        assert (reply["method"], reply["chat_id"], reply.get("reply_markup")) == ("sendMessage", chat, None)
        return str(reply["text"])

    for command in ("/start", "/admin", "/admin@shop_bot"):
        assert "Сюда приходят отчёты" in (await answer_to(operator, command, chat=-1001) or "")
        assert "<code>-1002</code>" in (await answer_to(operator, command, chat=-1002) or "")
        assert await answer_to(alice, command, chat=-1001) is None
    assert await answer_to(operator, "доброе утро", chat=-1001) is None
    async with chats.shop.db.begin("test") as session:
        assert await session.scalar(text("SELECT count(*) FROM users")) == 0


async def test_what_is_said_in_a_group_is_no_customers_message(chats: Chats) -> None:
    alice, log = chats.person("alice"), MessageLog(chats.shop.db)
    alice.bot._log = log
    group = {"id": -1001, "type": "supergroup", "title": "Операторы"}
    await alice.bot.handle({"update_id": 1, "message": alice.message(text="/start", chat=group)})
    assert not log._waiting
    await alice.says("/start")
    assert [row["content"] for row in log._waiting] == ["/start"]


async def test_a_flood_is_slowed_down_and_not_banned(alice: Person) -> None:
    await alice.says("/start")
    for _ in range(30):
        await alice.presses_data("go:menu")
    edits = alice.phones.calls.count("editMessageText")
    assert 11 <= edits < 20
    assert alice.toast is None
    assert alice.phones.calls.count("answerCallbackQuery") == 30
    await asyncio.sleep(1.1)
    await alice.presses_data("go:menu")
    assert alice.phones.calls.count("editMessageText") == edits + 1


async def test_telegrams_own_brake_is_waited_for_when_it_is_short(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.says("/start")
    alice.phones.refusals = [("editMessageText", TelegramRetryAfter(METHOD, "Too Many Requests", 0))]
    await alice.presses("Купить подписку")
    assert "Выберите срок" in alice.sees
    alice.phones.refusals = [("editMessageText", TelegramRetryAfter(METHOD, "Too Many Requests", 30))]
    await alice.presses("‹ В меню")
    assert alice.toast == "Слишком быстро. Подождите несколько секунд и нажмите ещё раз."


async def test_an_update_that_breaks_is_answered_politely_and_the_next_one_works(
    alice: Person, logged: list[MutableMapping[str, Any]]
) -> None:
    await alice.says("/start")
    alice.phones.refusals = [("editMessageText", RuntimeError("a bug"))]
    await alice.presses_data("go:menu")
    assert (alice.toast or "").startswith("Что-то пошло не так. Мы уже знаем об этом.")
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["bot.update_failed"]
    await alice.presses("Купить подписку")
    assert "Выберите срок" in alice.sees


@pytest.mark.parametrize("number", ["0", "-1", "9" * 20, "x", ""])
@pytest.mark.parametrize("forged", ["plan:{}", "buy:{}:fakepay", "order:check:{}", "order:cancel:{}"])
async def test_a_number_that_nobody_has_opens_the_menu_and_is_no_error_of_ours(
    alice: Person, logged: list[MutableMapping[str, Any]], forged: str, number: str
) -> None:
    await alice.says("/start")
    await alice.presses_data(forged.format(number))
    assert alice.toast == "Экран обновлён."
    assert [line for line in logged if line["log_level"] == "error"] == []


async def test_a_message_that_breaks_is_answered_politely(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpro.bot.screens.menu.menu", lambda *_, **__: 1 / 0)
    await alice.says("/start")
    assert alice.sees.startswith("Что-то пошло не так.")


async def test_an_update_of_no_use_is_passed_over(alice: Person) -> None:
    useless: tuple[dict[str, Any], ...] = ({}, {"news_of_2030": {}}, {"message": {"text": 5}})
    for number, content in enumerate(useless):
        assert await alice.bot.handle({"update_id": number, **content}) is None


async def test_an_update_that_cannot_be_read_is_logged_without_what_the_customer_wrote(
    alice: Person, logged: list[MutableMapping[str, Any]]
) -> None:
    message = {"message_id": 1, "date": "my password is 123", "from": alice.about(), "chat": alice.chat()}
    assert await alice.bot.handle({"update_id": 5, "message": message}) is None
    (line,) = logged
    assert (line["event"], line["update_id"]) == ("bot.update_unreadable", 5)
    assert {where.split(".")[:2] == ["message", "date"] for where, _ in line["errors"]} == {True}
    assert "exc_info" not in line
    assert "password" not in str(line)


async def test_what_a_bot_or_nobody_says_is_passed_over(alice: Person) -> None:
    message = {"message_id": 1, "date": 1772366400, "chat": alice.chat(), "text": "/start"}
    assert await alice.update(message=message) is None
    assert await alice.update(message=message | {"from": alice.about() | {"is_bot": True}}) is None


async def test_an_unknown_button_opens_the_present_state_with_a_quiet_word(alice: Person) -> None:
    for data in ("wallet", "go:moon", "on:amiga", "order:eat:1", "speak:tlh", "buy:x:y"):
        await alice.says("/plans")
        await alice.presses_data(data)
        assert alice.toast == "Экран обновлён."
        assert "Быстрый и спокойный VPN" in alice.sees


async def test_a_screen_that_cannot_be_edited_is_sent_anew(alice: Person) -> None:
    await alice.says("/start")
    alice.phones.refusals = [("editMessageText", bad_request("message can't be edited"))]
    await alice.presses("Купить подписку")
    assert len(alice.screens) == 2
    assert "Выберите срок" in alice.sees
    alice.phones.refusals = [("editMessageText", bad_request("message is not modified: exactly the same"))]
    await alice.presses("‹ В меню")
    assert alice.toast is None
    assert len(alice.screens) == 2


async def test_a_screen_that_was_lost_is_sent_anew_once_and_turns_where_it_is_now(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    number = (await orders(shop, alice))[0].payment_id
    alice.phones.refusals = [("editMessageText", bad_request("message to edit not found"))]
    await turn_message(alice.bot.context, number)
    assert len(alice.screens) == 2
    await shop.notice(shop.pay(await shop.payment(number)))
    await shop.run_jobs()
    await turn_message(alice.bot.context, number)
    assert len(alice.screens) == 2
    assert "Доступ открыт" in alice.sees


# Notices


@pytest.mark.parametrize(
    ("kind", "least"), [("send_notice", days(7)), ("turn_screen", timedelta(minutes=45))]
)
def test_news_about_money_outlives_an_outage_of_telegram(alice: Person, kind: str, least: timedelta) -> None:
    (found,) = (one for one in jobs.job_kinds(alice.bot) if one.job.name == kind)
    waited = timedelta()
    for attempts in range(2000):
        job = Job(id=1, queue="", lock=None, queueing_lock=None, task_name=kind, attempts=attempts)
        again = found.retry.get_retry_decision(exception=Exception(), job=job)
        if again is None or again.retry_at is None:
            break
        waited += again.retry_at - utc_now()
    assert waited > least


@pytest.mark.parametrize(
    "away",
    [
        TelegramNetworkError(METHOD, "ConnectionRefusedError"),
        TelegramServerError(METHOD, "Bad Gateway"),
        ClientDecodeError("Failed to decode object", ValueError(), "<h1>502 Bad Gateway</h1>"),
    ],
)
async def test_telegram_being_away_is_no_bug_and_the_notice_waits(
    shop: Shop, alice: Person, logged: list[MutableMapping[str, Any]], away: Exception
) -> None:
    await alice.says("/start")
    await shop.purchase(alice.user_id)
    async with shop.db.begin("test") as session:
        await session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name <> 'send_notice'"))
    alice.phones.refusals = [("sendMessage", away)]
    shop.jobs.register(jobs.job_kinds(alice.bot))
    worker = asyncio.create_task(shop.jobs.work())
    while len(alice.screens) < 2:
        await asyncio.sleep(0.05)
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker
    assert "Доступ открыт" in alice.sees
    assert "jobs.tried_again_later" in [line["event"] for line in logged]
    assert "jobs.failed" not in [line["event"] for line in logged]


async def test_a_notice_waits_when_telegram_says_so(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await shop.purchase(alice.user_id)
    alice.phones.refusals = [("sendMessage", TelegramRetryAfter(METHOD, "Too Many Requests", 7))]
    with pytest.raises(RetryLater):
        await jobs.send_notice(alice.bot.context, 1)
    await jobs.send_notice(alice.bot.context, 1)
    assert "Доступ открыт" in alice.sees
    sent = len(alice.screens)
    await jobs.send_notice(alice.bot.context, 1)
    assert len(alice.screens) == sent


async def test_whoever_cannot_be_reached_is_remembered_and_delivered(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await shop.purchase(alice.user_id)
    blocked = TelegramForbiddenError(METHOD, "Forbidden: bot was blocked by the user")
    alice.phones.refusals = [("sendMessage", blocked)]
    await jobs.send_notice(alice.bot.context, 1)
    assert await column(shop, "unreachable_since", alice) is not None
    assert shop.panel.expiry_of(alice.user_id) == shop.clock() + days(30)
    async with shop.db.begin("test") as session:
        assert await session.scalar(notices.select().with_only_columns(notices.c.dropped_at)) is not None


async def test_whoever_has_connected_is_not_told_to_connect(shop: Shop, alice: Person) -> None:
    await subscriber(shop, alice)
    await alice.presses_data("on:ios")
    await shop.purchase(alice.user_id)
    await jobs.send_notice(alice.bot.context, 2)
    assert "Доступ открыт" in alice.sees
    assert "Осталось подключить" not in alice.sees
    assert alice.buttons[0] == ["Моя подписка"]


# What it costs


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL statements that the driver sends while the block runs, BEGIN and COMMIT not among them."""
    made: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def noted(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        made.append(query)
        return await execute(cursor, query, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", noted)
        yield made


async def test_a_press_costs_at_most_three_statements(
    shop: Shop, alice: Person, figure: Callable[[str], None]
) -> None:
    await subscriber(shop, alice)
    cost = {}
    for data in (
        *("go:menu", "go:plans", "go:sub", "go:connect", "go:devices", "go:history", "go:support"),
        *("plan:1", "on:ios", "go:connect", "go:qr", "go:from_qr", "speak:en", "no such button"),
    ):
        alice.bot._flood = Flood()
        with statements() as made:
            await alice.presses_data(data)
        cost[data] = len(made)
    figure(f"SQL statements a press: {cost}")
    assert min(cost.values()) >= 1
    assert max(cost.values()) <= 3


async def test_the_message_log_keeps_buttons_and_commands_but_no_words(shop: Shop, alice: Person) -> None:
    shop.clock.now = datetime.now(UTC)  # there are partitions for the real months only
    log = MessageLog(shop.db)
    alice.bot._log = log
    await alice.says("/start ref_secret")
    await alice.says("мой пароль 123")
    await alice.presses("Купить подписку")
    await log.flush()
    async with shop.db.begin("test") as session:
        kept = await session.execute(text("SELECT kind, content FROM message_logs ORDER BY update_id"))
        assert [tuple(row) for row in kept] == [
            ("message", "/start"),
            ("message", None),
            ("button", "go:plans"),
        ]


async def test_telegram_is_told_the_commands_in_each_language(alice: Person) -> None:
    await alice.bot.introduce()
    assert alice.phones.calls == ["setMyCommands", "setMyShortDescription"] * 2
    assert len(COMMANDS) == 9
