"""What waits for a person: seen on the list, and off it again by each of the ways, with who and why."""

from typing import Any, TypedDict

import pytest
from sqlalchemy import select

from getpro.catalog.store import PlanGone
from getpro.customers.store import CustomerGone
from getpro.kit.money import Money
from getpro.panel.errors import PanelUnavailable
from getpro.platform.audit import audit_log
from getpro.sales import polling, stuck
from getpro.sales.errors import CannotResolve, SaleError
from getpro.sales.stuck import StuckItem
from shop import ONE_MONTH, Shop, rub


class Who(TypedDict):
    by: str
    reason: str


WHO: Who = {"by": "ольга", "reason": "звонил клиент"}


async def listed(shop: Shop) -> list[StuckItem]:
    async with shop.db.begin("test") as session:
        return await stuck.list_stuck(session, now=shop.clock())


async def the_one(shop: Shop, kind: str) -> str:
    (item,) = await listed(shop)
    assert item.kind == kind
    return item.reference


async def deeds(shop: Shop) -> list[Any]:
    async with shop.db.begin("test") as session:
        rows = await session.execute(select(audit_log).order_by(audit_log.c.audit_id))
        return [(row.actor, row.action, row.subject, row.reason, row.outcome) for row in rows]


async def test_an_underpaid_order_can_be_credited(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, taken=rub("100.00")))
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    credited = await stuck.credit(shop.deps, reference, **WHO)
    await shop.run_jobs()
    assert credited.payment_id == payment.payment_id
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice)
    assert await listed(shop) == []
    assert await deeds(shop) == [
        ("ольга", "payments.credit", reference, "звонил клиент", f"p{payment.payment_id}")
    ]


async def test_money_is_credited_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice), taken=rub("100.00")))
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    await stuck.credit(shop.deps, reference, **WHO)
    end = await shop.subscription_end(alice)
    for again in (stuck.credit, stuck.mark_refunded, stuck.retry):
        with pytest.raises(CannotResolve, match="уже решено"):
            await again(shop.deps, reference, **WHO)
    assert await shop.subscription_end(alice) == end


async def test_money_without_an_order_is_credited_to_whom_and_for_what_the_operator_says(shop: Shop) -> None:
    bob = await shop.customer("bob")
    shop.provider.charges_by_id["lost"] = shop.provider.charge("lost", None, rub("199.00"))
    await shop.notice(shop.provider.pay("lost", paid_at=shop.clock()))
    await shop.run_jobs()
    reference = await the_one(shop, "unknown_order")
    with pytest.raises(CannotResolve, match="--user"):
        await stuck.credit(shop.deps, reference, **WHO)
    with pytest.raises(CustomerGone):
        await stuck.credit(shop.deps, reference, user_id=999, plan_id=ONE_MONTH, **WHO)
    with pytest.raises(PlanGone):
        await stuck.credit(shop.deps, reference, user_id=bob, plan_id=999, **WHO)
    payment = await stuck.credit(shop.deps, reference, user_id=bob, plan_id=ONE_MONTH, **WHO)
    await shop.run_jobs()
    assert (payment.charge_id, payment.amount) == ("lost", rub("199.00"))
    assert shop.panel.expiry_of(bob) is not None
    assert await listed(shop) == []


async def test_money_in_a_foreign_currency_is_credited_at_the_price_of_a_plan_that_is_named(
    shop: Shop,
) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice), taken=Money(150, "USD"), refunded=Money(0, "USD")))
    await shop.run_jobs()
    reference = await the_one(shop, "foreign_currency")
    with pytest.raises(CannotResolve, match="--plan"):
        await stuck.credit(shop.deps, reference, **WHO)
    payment = await stuck.credit(shop.deps, reference, user_id=alice, plan_id=ONE_MONTH, **WHO)
    assert (payment.amount, payment.paid) == (rub("199.00"), Money(150, "USD"))


async def test_money_given_back_outside_leaves_the_list_and_gives_nothing(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, taken=rub("100.00")))
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    await stuck.mark_refunded(shop.deps, reference, **WHO)
    assert await listed(shop) == []
    assert (await shop.payment(payment.payment_id)).status == "canceled"
    assert shop.panel.expiry_of(alice) is None
    assert [deed[1] for deed in await deeds(shop)] == ["payments.refunded"]


async def test_a_retry_asks_the_provider_anew(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    object_id = shop.pay(payment, taken=rub("100.00"))
    await shop.notice(object_id)
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    assert await stuck.retry(shop.deps, reference, **WHO) == "stuck: underpaid"
    assert await the_one(shop, "underpaid") == reference
    shop.pay(payment, taken=rub("199.00"))
    assert await stuck.retry(shop.deps, reference, **WHO) == "settled"
    await shop.run_jobs()
    assert await listed(shop) == []
    assert shop.panel.expiry_of(alice) is not None
    assert [deed[4] for deed in await deeds(shop)] == ["stuck: underpaid", "settled"]


async def test_a_delivery_is_brought_forward(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.panel.trouble = PanelUnavailable("away")
    await shop.notice(shop.pay(await shop.order(alice)))
    await shop.run_jobs()
    shop.clock.forward(minutes=6)
    reference = await the_one(shop, "not_delivered_away")
    shop.panel.trouble = None
    assert await stuck.retry(shop.deps, reference, **WHO) == stuck.BROUGHT_FORWARD
    await shop.run_jobs()
    assert await listed(shop) == []
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice)


async def test_a_notice_that_proved_nothing_is_dismissed_until_it_comes_again(shop: Shop) -> None:
    await shop.notice("obj-forged")
    await shop.run_jobs()
    shop.clock.forward(minutes=6)
    reference = await the_one(shop, "notice_disproved")
    await stuck.dismiss(shop.deps, reference, **WHO)
    assert await listed(shop) == []
    await shop.notice("obj-forged")
    await shop.run_jobs()
    assert await the_one(shop, "notice_disproved") == reference
    shop.provider.charges_by_id["obj-forged"] = shop.provider.charge("obj-forged", None, rub("199.00"))
    shop.provider.pay("obj-forged", paid_at=shop.clock())
    assert await stuck.retry(shop.deps, reference, **WHO) == "stuck: unknown_order"
    await the_one(shop, "unknown_order")


async def test_an_early_notice_leaves_the_list_when_its_money_is_found_by_asking(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(f"obj-{payment.order_key}")
    await shop.run_jobs()
    shop.clock.forward(minutes=6)
    await the_one(shop, "notice_disproved")
    shop.pay(payment)
    await polling.poll_payment(shop.deps, payment.payment_id)
    await shop.run_jobs()
    assert await listed(shop) == []


async def test_a_provider_that_was_switched_off_breaks_nothing(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, taken=rub("100.00")))
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    shop.provider.code = "another"
    with pytest.raises(SaleError, match="выключен"):
        await stuck.retry(shop.deps, reference, **WHO)
    assert await shop.run_jobs() == []
    await polling.poll_payment(shop.deps, payment.payment_id)
    assert (await shop.payment(payment.payment_id)).status == "pending"


@pytest.mark.parametrize("reference", ["", "12", "x3", "s", "s0x1", "s99", "e99", "d99", "j99"])
async def test_a_reference_that_names_nothing_is_said_so(shop: Shop, reference: str) -> None:
    with pytest.raises(CannotResolve):
        await stuck.retry(shop.deps, reference, **WHO)
    assert await deeds(shop) == []
