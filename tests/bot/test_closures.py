"""The shop, or a way to pay, closed for what is new: customers are told so, what was begun is not lost."""

from collections.abc import Mapping

import pytest

from bot.chat import Chats, Person, orders
from fakes import FakeProvider
from getpro.catalog import closures
from getpro.platform.audit import audit_log
from getpro.sales import closing, precheckout
from getpro.sales.errors import CannotDo, NotAllowed, UnknownProvider
from getpro.sales.staff import Operator
from shop import OLGA, Shop

CARD = closures.way("yookassa")


@pytest.fixture
def two_ways(shop: Shop) -> FakeProvider:
    """Card and crypto; the crypto's provider."""
    shop.provider.code = "yookassa"
    crypto = FakeProvider("cryptopay")
    shop.more_providers = (crypto,)
    return crypto


async def close(shop: Shop, what: str, words: Mapping[str, str] | None = None, by: Operator = OLGA) -> None:
    async with shop.db.begin("test") as session:
        await closing.close(session, shop.deps, what, by=by, reason="сбой", words=words)


async def reopen(shop: Shop, what: str) -> None:
    async with shop.db.begin("test") as session:
        await closing.reopen(session, shop.deps, what, by=OLGA, reason="починили")


async def test_a_way_that_is_closed_is_shown_as_not_working_and_cannot_be_chosen(
    shop: Shop, two_ways: FakeProvider, alice: Person
) -> None:
    await alice.says("/plans")
    await alice.presses("1 мес.")
    await close(shop, CARD, {"ru": "Банк чинит <шлюз>."})
    await alice.presses("Карта или СБП")
    assert alice.sees.splitlines() == [
        "Как оплатить?",
        "Этот способ оплаты сейчас не работает, выберите другой.",
        "Подписка на 1 месяц",
        "",
        "Карта или СБП: временно не работает. Банк чинит <шлюз>.",
    ]
    assert alice.buttons == [["Криптовалюта · 199 ₽"], ["‹ Назад"]]
    assert await orders(shop, alice) == []
    await reopen(shop, CARD)
    await alice.presses("‹ Назад")
    await alice.presses("1 мес.")
    assert alice.buttons[0] == ["Карта или СБП · 199 ₽"]
    assert "не работает" not in alice.sees


async def test_the_words_are_in_the_customers_language_or_are_the_bots(
    shop: Shop, two_ways: FakeProvider, chats: Chats
) -> None:
    bob = chats.person("bob", language="en")
    await close(shop, CARD, {"ru": "Банк чинит шлюз."})
    await bob.says("/plans")
    assert "Card or SBP: not working for a while. Payments already begun are safe." in bob.sees


async def test_renewing_by_a_closed_way_offers_the_others(
    shop: Shop, two_ways: FakeProvider, alice: Person
) -> None:
    await alice.says("/start")
    await shop.purchase(alice.user_id)
    await close(shop, CARD)
    await alice.says("/start")
    await alice.presses("Продлить")
    assert alice.buttons == [["Криптовалюта · 199 ₽"], ["‹ Назад"]]
    assert len(await orders(shop, alice)) == 1


async def test_with_no_way_left_the_plans_say_why(shop: Shop, alice: Person) -> None:
    await close(shop, closures.way(shop.provider.code))
    await alice.says("/plans")
    assert alice.sees.splitlines()[2:] == ["fakepay: временно не работает. Уже начатые платежи не пропадут."]
    assert alice.buttons == [["‹ В меню"]]


@pytest.mark.parametrize("what", [closures.SHOP, closures.way("fakepay")])
async def test_what_was_begun_before_is_paid_and_delivered(shop: Shop, alice: Person, what: str) -> None:
    await alice.says("/start")
    order = await shop.order(alice.user_id)
    lost = await shop.order(alice.user_id)
    await close(shop, what)
    allowed = await precheckout.approve(
        shop.deps, payload=str(order.order_key), payer_id=alice.user_id, amount=19900, currency="RUB"
    )
    assert allowed is None
    for one in (order, lost):
        await shop.notice(shop.pay(one))
    await shop.run_jobs()
    assert len(await shop.succeeded(alice.user_id)) == 2
    assert shop.panel.expiry_of(alice.user_id) == await shop.subscription_end(alice.user_id)


async def test_a_closed_shop_sells_nothing_new_and_says_so_wherever_it_could_be_bought(
    shop: Shop, alice: Person
) -> None:
    await alice.says("/plans")
    await close(shop, closures.SHOP, {"ru": "Меняем сервер до 18:00."})
    await alice.presses("1 мес.")
    assert alice.sees.splitlines() == ["Идут работы", "", "Меняем сервер до 18:00."]
    await alice.presses_data("buy:1:fakepay")
    await alice.presses_data("go:renew")
    await alice.presses_data("go:trial")
    assert "Меняем сервер до 18:00." in alice.sees
    assert not any("Попробовать" in label for row in alice.buttons for label in row)
    assert await orders(shop, alice) == []
    assert await shop.subscription_end(alice.user_id) is None
    await reopen(shop, closures.SHOP)
    await alice.says("/start")
    assert alice.buttons[0] == ["Попробовать бесплатно: 3 дня"]


async def test_a_subscriber_of_a_closed_shop_still_sees_what_they_have(shop: Shop, alice: Person) -> None:
    await alice.says("/start")
    await shop.purchase(alice.user_id)
    await close(shop, closures.SHOP)
    await alice.says("/start")
    assert "Купить или продлить пока нельзя" in alice.sees
    assert "Подписка работает" in alice.sees
    assert alice.buttons[0] == ["Подключить"]


async def test_closing_is_an_operators_is_done_once_and_is_kept(shop: Shop) -> None:
    with pytest.raises(NotAllowed):
        await close(shop, closures.SHOP, by=Operator("боб", 102))
    with pytest.raises(UnknownProvider):
        await close(shop, closures.way("paypal"))
    with pytest.raises(CannotDo):
        await close(shop, closures.SHOP, {"ru": "я" * 601})
    await close(shop, closures.SHOP)
    with pytest.raises(CannotDo):
        await close(shop, closures.SHOP)
    await reopen(shop, closures.SHOP)
    with pytest.raises(CannotDo):
        await reopen(shop, closures.SHOP)
    async with shop.db.begin("test") as session:
        rows = (await session.execute(audit_log.select().order_by(audit_log.c.audit_id))).all()
    assert [(row.actor, row.action, row.subject, row.reason) for row in rows] == [
        ("ольга", "sales.close", "shop", "сбой"),
        ("ольга", "sales.open", "shop", "починили"),
    ]
