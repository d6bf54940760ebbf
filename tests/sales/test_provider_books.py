"""Comparing with providers: one oddity hides nothing else, each charge counts once, absence leaves no gap."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from fakes import FakeProvider
from getpro.kit.money import Money
from getpro.payments.provider import Charge, ChargeState, ProviderUnavailable
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.payments.providers.yookassa.provider import YooKassa
from getpro.platform.settings import YooKassaSettings
from getpro.sales import checkout, decisions, provider_books, settle, stuck
from getpro.sales.deps import Deps
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving
from shop import NOW, OLGA, ONE_MONTH, Shop, days, rub

DAY = NOW - days(1), NOW + days(1)
MOSCOW = ZoneInfo("Europe/Moscow")


async def sums(shop: Shop, since: datetime = DAY[0], until: datetime = DAY[1]) -> object:
    return await provider_books.compare_sums(shop.deps, shop.provider, since, until, day=since.date())


class Unreadable(FakeProvider):
    """A provider whose list of charges cannot be read."""

    async def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        raise KeyError("items")
        yield


@dataclass
class Fleeing(FakeProvider):
    """A provider that goes away in the middle of being looked through."""

    answers_left: int = 0

    async def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        self.answers_left -= 1
        if self.answers_left < 0:
            raise ProviderUnavailable("away")
        async for charge in super().charges(since, until):
            yield charge


async def test_a_charge_that_cannot_be_settled_hides_no_other(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    too_much = Money(10**14, "RUB")
    shop.pay(await shop.order(alice), paid_at=NOW - timedelta(minutes=30), taken=too_much)
    shop.pay(await shop.order(bob), paid_at=NOW - timedelta(minutes=30))
    await provider_books.find_lost_charges(shop.deps)
    assert len(await shop.succeeded(bob)) == 1


async def test_a_provider_that_cannot_be_read_hides_no_other(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.pay(await shop.order(alice), paid_at=NOW - timedelta(minutes=30))
    shop.more_providers = (shop.provider,)
    shop.provider = Unreadable(code="unreadable")
    await provider_books.find_lost_charges(shop.deps)
    assert len(await shop.succeeded(alice)) == 1


async def test_the_day_of_one_provider_is_compared_though_another_cannot_be_read(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await provider_books.find_lost_charges(shop.deps)
    await shop.purchase(alice)
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE payments SET paid_amount = 198"))
    shop.more_providers = (shop.provider,)
    shop.provider = Unreadable(code="unreadable")
    await provider_books.find_lost_charges(shop.deps)
    shop.clock.forward(days=1)
    with pytest.raises(KeyError):
        await provider_books.compare_days(shop.deps, zone=UTC)
    assert await shop.stuck() == ["sum_differs"]


async def test_a_payment_in_an_unknown_currency_hides_no_other(shop: Shop) -> None:
    simulator = YooKassaSimulator("123456", "test_key")
    async with serving(simulator.app) as url:
        settings = YooKassaSettings.model_validate(
            {"shop_id": "123456", "secret_key": "test_key", "api_url": f"{url}/v3"}
        )
        yookassa = YooKassa(settings, YooKassaClient(settings))
        shop.more_providers = (yookassa,)
        shop.clock.now = datetime.now(UTC) + timedelta(minutes=5)
        alice = await shop.customer("alice")
        objects = []
        for _ in range(3):
            async with shop.db.begin("test") as session:
                order = await checkout.write_order(
                    session, shop.deps, user_id=alice, plan_id=ONE_MONTH, provider_code="yookassa"
                )
            asked = await checkout.ask_provider(shop.deps, order)
            assert asked.object_id is not None
            simulator.books.pay(asked.object_id)
            objects.append(asked.object_id)
        simulator.books.payments[objects[1]]["amount"]["currency"] = "GBP"
        del simulator.books.payments[objects[2]]["amount"]
        await provider_books.find_lost_charges(shop.deps)
        assert [row.charge_id for row in await shop.succeeded(alice)] == [objects[0]]
        for odd in objects[1:]:
            with pytest.raises(ProviderUnavailable, match="cannot be read"):
                await yookassa.find(odd)
        await yookassa.close()


async def test_money_that_an_operator_settled_again_counts_once(shop: Shop) -> None:
    payment = await shop.order(await shop.customer("alice"))
    await shop.notice(shop.pay(payment, taken=rub("100.00")))
    await shop.run_jobs()
    (item,) = await stuck.list_stuck(shop.deps)
    shop.pay(payment, taken=rub("199.00"))
    assert str(await decisions.retry(shop.deps, item.reference, by=OLGA, reason="-")) == "settled"
    assert await sums(shop) == {"RUB": (rub("199.00"), rub("199.00"))}


async def test_a_charge_with_two_entries_on_the_list_counts_once(shop: Shop) -> None:
    payment = await shop.order(await shop.customer("alice"))
    number = shop.pay(payment, taken=rub("100.00"))
    await shop.notice(number)
    await shop.run_jobs()
    shop.pay(payment, taken=rub("100.00"), refunded=rub("100.00"))
    await settle.settle_charge(shop.deps, shop.provider.charges_by_id[number])
    assert await sums(shop) == {"RUB": (rub("100.00"), rub("100.00"))}
    assert await shop.stuck() == ["underpaid", "refunded_before_settled"]


async def test_money_that_waits_or_was_credited_or_was_too_much_counts_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    for taken in ("100.00", "101.00", "300.00"):
        await shop.notice(shop.pay(await shop.order(alice), taken=rub(taken)))
    await shop.run_jobs()
    items = await stuck.list_stuck(shop.deps)
    (credited,) = [item.reference for item in items if item.money == rub("101.00")]
    await decisions.credit(shop.deps, credited, by=OLGA, reason="-")
    assert await sums(shop) == {"RUB": (rub("501.00"), rub("501.00"))}


async def test_a_difference_is_named_by_the_operators_day(shop: Shop) -> None:
    shop.clock.now = datetime(2026, 5, 10, 9, tzinfo=MOSCOW).astimezone(UTC)
    await provider_books.find_lost_charges(shop.deps)
    await shop.purchase(await shop.customer("alice"))
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE payments SET paid_amount = 198"))
    shop.clock.now = datetime(2026, 5, 11, 4, 20, tzinfo=MOSCOW).astimezone(UTC)
    await provider_books.compare_days(shop.deps, zone=MOSCOW)
    async with shop.db.begin("test") as session:
        row = (await session.execute(text("SELECT charge_id, details FROM stuck_payments"))).one()
    assert row.charge_id == "2026-05-10/RUB"
    assert row.details.startswith("За 10.05.2026 ")


async def test_a_charge_that_its_provider_lists_a_moment_later_belongs_to_one_day(shop: Shop) -> None:
    midnight = NOW + timedelta(hours=12)
    shop.clock.now = midnight - timedelta(seconds=2)
    number = (await shop.purchase(await shop.customer("alice"))).charge_id
    stuck_one = shop.pay(await shop.order(await shop.customer("bob")), taken=rub("100.00"))
    await shop.notice(stuck_one)
    await shop.run_jobs()
    for charge_id in (number, stuck_one):
        shop.provider.pay(str(charge_id), paid_at=midnight + timedelta(seconds=1))
    shop.clock.forward(days=2)
    assert await sums(shop, midnight - days(1), midnight) == {}
    assert await sums(shop, midnight, midnight + days(1)) == {"RUB": (rub("299.00"), rub("299.00"))}
    assert await shop.stuck() == ["underpaid"]


async def test_money_that_its_provider_knows_nothing_of_differs(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    shop.provider.charges_by_id.clear()
    assert await sums(shop) == {"RUB": (rub("0.00"), rub("199.00"))}
    assert await shop.stuck() == ["sum_differs"]


async def recorded_as(shop: Shop, amount: str) -> None:
    """Somebody has written another amount into our books; the day is then compared."""
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE payments SET paid_amount = :amount"), {"amount": Decimal(amount)})
    await sums(shop)


async def test_a_difference_that_grows_is_shown_as_it_is_now(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    await recorded_as(shop, "198.99")
    await recorded_as(shop, "100.00")
    (item,) = await stuck.list_stuck(shop.deps)
    assert item.money == rub("99.00")
    assert "взял 199.00 RUB, у нас записано 100.00 RUB" in item.details


async def test_a_difference_that_has_gone_says_so_on_the_list(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    await recorded_as(shop, "198.99")
    await recorded_as(shop, "199.00")
    (item,) = await stuck.list_stuck(shop.deps)
    assert item.money == rub("0.00")
    assert "взял 199.00 RUB, у нас записано 199.00 RUB" in item.details


async def test_a_difference_that_was_resolved_opens_again_once_it_is_another(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    await recorded_as(shop, "198.99")
    (item,) = await stuck.list_stuck(shop.deps)
    await decisions.mark_refunded(shop.deps, item.reference, by=OLGA, reason="комиссия банка")
    await recorded_as(shop, "198.99")
    await recorded_as(shop, "199.00")
    assert await stuck.list_stuck(shop.deps) == []
    shop.clock.forward(hours=1)
    await recorded_as(shop, "100.00")
    (again,) = await stuck.list_stuck(shop.deps)
    assert (again.reference, again.money, again.since) == (item.reference, rub("99.00"), shop.clock())
    assert "Разница была 0.01 RUB, 01.03.2026 её разобрал(а) ольга: «комиссия банка»." in again.details
    await decisions.mark_refunded(shop.deps, again.reference, by=OLGA, reason="нашли")
    assert await stuck.list_stuck(shop.deps) == []


@pytest.mark.parametrize(
    ("now", "begins", "ends"),
    [
        ("2026-05-10", "2026-05-09T21:00Z", "2026-05-10T21:00Z"),
        ("2011-03-27", "2011-03-26T21:00Z", "2011-03-27T20:00Z"),  # Moscow put its clocks on
    ],
)
def test_a_day_is_the_operators(now: str, begins: str, ends: str) -> None:
    found = provider_books.midnights(date.fromisoformat(now), MOSCOW)
    assert found == (datetime.fromisoformat(begins), datetime.fromisoformat(ends))


LOOKS = {
    "every ten minutes": provider_books.find_lost_charges,
    "each night": partial(provider_books.compare_days, zone=UTC),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_money_without_a_notice_is_found_after_an_absence_of_a_month(
    shop: Shop, look: Callable[[Deps], Awaitable[None]]
) -> None:
    alice = await shop.customer("alice")
    await look(shop.deps)
    shop.pay(await shop.order(alice), paid_at=NOW + timedelta(hours=1))
    shop.clock.forward(days=30)
    await look(shop.deps)
    assert len(await shop.succeeded(alice)) == 1


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_a_clock_that_was_a_year_ahead_leaves_no_gap_once_it_is_right(
    shop: Shop, look: Callable[[Deps], Awaitable[None]]
) -> None:
    alice = await shop.customer("alice")
    shop.clock.now = NOW + days(365)
    await look(shop.deps)
    shop.clock.now = NOW
    await look(shop.deps)
    shop.pay(await shop.order(alice), paid_at=NOW + timedelta(hours=1))
    shop.clock.forward(days=2)
    await look(shop.deps)
    assert len(await shop.succeeded(alice)) == 1


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_a_look_that_is_cut_off_goes_on_where_it_was(
    shop: Shop, look: Callable[[Deps], Awaitable[None]]
) -> None:
    alice = await shop.customer("alice")
    await look(shop.deps)
    shop.pay(await shop.order(alice), paid_at=NOW + days(20))
    shop.clock.forward(days=30)
    shop.provider = fleeing = Fleeing(charges_by_id=shop.provider.charges_by_id)
    for _ in range(15):
        fleeing.answers_left = 6
        with contextlib.suppress(ProviderUnavailable):
            await look(shop.deps)
    assert len(await shop.succeeded(alice)) == 1


async def test_a_provider_that_is_away_is_not_looked_at(shop: Shop) -> None:
    """Its mark stays where it was; the other's goes on."""
    alice = await shop.customer("alice")
    await provider_books.find_lost_charges(shop.deps)
    shop.pay(await shop.order(alice), paid_at=NOW + timedelta(hours=1))
    present, shop.provider = shop.provider, Fleeing(charges_by_id=shop.provider.charges_by_id)
    shop.more_providers = (FakeProvider(code="other"),)
    for _ in range(10):
        shop.clock.forward(days=1)
        await provider_books.find_lost_charges(shop.deps)
    shop.provider = present
    await provider_books.find_lost_charges(shop.deps)
    assert len(await shop.succeeded(alice)) == 1


async def test_what_an_account_took_before_this_shop_is_not_this_shops(shop: Shop) -> None:
    shop.provider.charges_by_id["obj-before"] = shop.provider.charge(
        "obj-before", None, rub("199.00"), state=ChargeState.PAID, paid_at=NOW - timedelta(hours=4)
    )
    await provider_books.find_lost_charges(shop.deps)
    shop.clock.forward(days=1)
    await provider_books.compare_days(shop.deps, zone=UTC)
    assert await shop.stuck() == []
