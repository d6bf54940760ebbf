"""Comparing with the outside: one oddity hides nothing else, each charge counts once, a day has its name."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from fakes import FakePanel, FakeProvider
from getpro.kit.money import Money
from getpro.panel.service import Allowance, PanelUser
from getpro.payments.provider import Charge, ProviderUnavailable
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.payments.providers.yookassa.provider import YooKassa
from getpro.platform.settings import YooKassaSettings
from getpro.sales import checkout, decisions, reconcile, settle, stuck
from getpro.sales.jobs import job_kinds
from getpro.sales.reconcile import Difference
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving
from shop import NOW, OLGA, ONE_MONTH, Shop, days, rub

DAY = NOW - days(1), NOW + days(1)


class Unreadable(FakeProvider):
    """A provider whose list of charges cannot be read."""

    async def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        raise KeyError("items")
        yield


async def test_a_stranger_who_has_our_number_is_not_our_customer(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    for name, telegram_id in (("tg_999", 999), (f"tg_{alice}", 999), ("tg_999", alice)):
        shop.panel.users_by_id.clear()
        assert shop.panel.foreign_user(name, telegram_id=telegram_id).account.panel_user_id == "1"
        comparison = await reconcile.compare_panel(shop.deps)
        assert [finding.difference for finding in comparison.findings] == [Difference.MISSING]


async def test_a_user_of_ours_whom_nothing_names_is_shown_though_the_number_is_known(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    shop.panel.users_by_id.clear()
    left = shop.panel.foreign_user("tg_777", telegram_id=777)
    shop.panel.users_by_id["1"] = replace(left, description="shop:77")
    findings = (await reconcile.compare_panel(shop.deps)).findings
    assert [finding.difference for finding in findings] == [Difference.MISSING, Difference.ORPHAN]


async def test_a_charge_that_cannot_be_settled_hides_no_other(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    too_much = Money(10**14, "RUB")
    shop.pay(await shop.order(alice), paid_at=NOW - timedelta(minutes=30), taken=too_much)
    shop.pay(await shop.order(bob), paid_at=NOW - timedelta(minutes=30))
    await reconcile.find_lost_charges(shop.deps)
    assert len(await shop.succeeded(bob)) == 1


async def test_a_provider_that_cannot_be_read_hides_no_other(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.pay(await shop.order(alice), paid_at=NOW - timedelta(minutes=30))
    shop.more_providers = (shop.provider,)
    shop.provider = Unreadable(code="unreadable")
    await reconcile.find_lost_charges(shop.deps)
    assert len(await shop.succeeded(alice)) == 1


async def test_the_day_of_one_provider_is_compared_though_another_cannot_be_read(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE payments SET paid_amount = 198"))
    shop.more_providers = (shop.provider,)
    shop.provider = Unreadable(code="unreadable")
    with pytest.raises(KeyError):
        await reconcile.compare_day(shop.deps, *DAY)
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
        await reconcile.find_lost_charges(shop.deps)
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
    sums = await reconcile.compare_day(shop.deps, *DAY)
    assert sums == {"fakepay/RUB": (rub("199.00"), rub("199.00"))}


async def test_a_charge_with_two_entries_on_the_list_counts_once(shop: Shop) -> None:
    payment = await shop.order(await shop.customer("alice"))
    number = shop.pay(payment, taken=rub("100.00"))
    await shop.notice(number)
    await shop.run_jobs()
    shop.pay(payment, taken=rub("100.00"), refunded=rub("100.00"))
    await settle.settle_charge(shop.deps, shop.provider.charges_by_id[number])
    sums = await reconcile.compare_day(shop.deps, *DAY)
    assert await shop.stuck() == ["underpaid", "refunded_before_settled"]
    assert sums == {"fakepay/RUB": (rub("100.00"), rub("100.00"))}


async def test_money_that_waits_or_was_credited_or_was_too_much_counts_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    for taken in ("100.00", "101.00", "300.00"):
        await shop.notice(shop.pay(await shop.order(alice), taken=rub(taken)))
    await shop.run_jobs()
    items = await stuck.list_stuck(shop.deps)
    (credited,) = [item.reference for item in items if item.money == rub("101.00")]
    await decisions.credit(shop.deps, credited, by=OLGA, reason="-")
    sums = await reconcile.compare_day(shop.deps, *DAY)
    assert sums == {"fakepay/RUB": (rub("501.00"), rub("501.00"))}


async def test_a_difference_is_named_by_the_operators_day(shop: Shop) -> None:
    zone = ZoneInfo("Europe/Moscow")
    shop.clock.now = datetime(2026, 5, 10, 9, tzinfo=zone).astimezone(UTC)
    await shop.purchase(await shop.customer("alice"))
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE payments SET paid_amount = 198"))
    shop.clock.now = datetime(2026, 5, 11, 4, 20, tzinfo=zone).astimezone(UTC)
    (compare,) = [kind for kind in job_kinds(shop.deps, zone=zone) if kind.name == "compare_yesterday"]
    await compare.run()
    async with shop.db.begin("test") as session:
        row = (await session.execute(text("SELECT charge_id, details FROM stuck_payments"))).one()
    assert row.charge_id == "2026-05-10/RUB"
    assert row.details.startswith("За 10.05.2026 ")


class SlowPanel(FakePanel):
    """While its users are listed something else happens."""

    async def meanwhile(self) -> None:
        pass

    async def users(self) -> AsyncIterator[PanelUser]:
        listed = list(self.users_by_id.values())
        await self.meanwhile()
        for user in listed:
            yield user


async def test_what_is_delivered_while_the_panel_is_listed_is_no_difference(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.panel = panel = SlowPanel()
    alice, bob, charlie = [await shop.customer(name) for name in ("alice", "bob", "charlie")]
    await shop.purchase(alice)
    await shop.purchase(charlie)
    shop.panel.set_expiry("2", NOW)

    async def purchases() -> None:
        await shop.purchase(alice)  # seen with the end before
        await shop.purchase(bob)  # not seen at all

    monkeypatch.setattr(panel, "meanwhile", purchases)
    comparison = await reconcile.compare_panel(shop.deps)
    found = [(finding.difference, finding.username) for finding in comparison.findings]
    assert found == [(Difference.SHORTER, f"tg_{charlie}")]
    assert comparison.compared == 1


async def test_a_user_who_is_being_made_is_no_orphan(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice)))
    shop.panel.loses_answers = True
    await shop.run_jobs()
    shop.panel.loses_answers = False
    assert len(shop.panel.users_by_id) == 1
    assert (await reconcile.compare_panel(shop.deps)).findings == []
    await shop.run_jobs()
    assert (await reconcile.compare_panel(shop.deps)).findings == []


async def test_limits_above_what_the_shop_gives_are_counted_by_the_user(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alice", "bob"):
        await shop.purchase(await shop.customer(name))
    shop.panel.users_by_id["1"] = replace(shop.panel.users_by_id["1"], device_limit=9, traffic_bytes=500)
    shop.panel.users_by_id["2"] = replace(shop.panel.users_by_id["2"], device_limit=1, traffic_bytes=100)

    async def lowered() -> Allowance:
        return Allowance(frozenset(), traffic_bytes=100, device_limit=3)

    monkeypatch.setattr(shop.panel, "allowance", lowered)
    comparison = await reconcile.compare_panel(shop.deps)
    assert (comparison.generous, comparison.to_apply, comparison.to_decide) == (1, [2], 0)


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
    assert await reconcile.compare_day(shop.deps, midnight - days(1), midnight) == {}
    sums = await reconcile.compare_day(shop.deps, midnight, midnight + days(1))
    assert sums == {"fakepay/RUB": (rub("299.00"), rub("299.00"))}
    assert await shop.stuck() == ["underpaid"]


async def test_money_that_its_provider_knows_nothing_of_differs(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    shop.provider.charges_by_id.clear()
    sums = await reconcile.compare_day(shop.deps, *DAY)
    assert sums == {"fakepay/RUB": (rub("0.00"), rub("199.00"))}
    assert await shop.stuck() == ["sum_differs"]
