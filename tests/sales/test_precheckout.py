import pytest
from sqlalchemy import update

from fakes import FakeProvider
from getpro.catalog.models import plans
from getpro.customers import store as customers
from getpro.payments.store import Payment
from getpro.sales import checkout, precheckout
from getpro.sales.precheckout import Refusal
from shop import Shop


@pytest.fixture
async def alice(shop: Shop) -> int:
    return await shop.customer("alice")


@pytest.fixture
async def order(shop: Shop, alice: int) -> Payment:
    return await shop.order(alice)


async def asked(shop: Shop, order: Payment, payer_id: int, *, amount: int = 19900) -> Refusal | None:
    return await precheckout.approve(
        shop.deps, payload=str(order.order_key), payer_id=payer_id, amount=amount, currency="RUB"
    )


async def test_the_customers_own_pending_order_may_be_paid(shop: Shop, alice: int, order: Payment) -> None:
    assert await asked(shop, order, alice) is None


async def test_a_forwarded_invoice_is_not_paid_by_somebody_else(shop: Shop, order: Payment) -> None:
    bob = await shop.customer("bob")
    assert await asked(shop, order, bob) is Refusal.NOT_YOURS


async def test_an_order_that_was_given_up_is_not_paid(shop: Shop, alice: int, order: Payment) -> None:
    async with shop.db.begin("test") as session:
        await checkout.give_up(session, shop.deps, user_id=alice, payment_id=order.payment_id)
    assert await asked(shop, order, alice) is Refusal.NOT_PENDING


async def test_an_order_that_was_paid_is_not_paid_again(shop: Shop, alice: int, order: Payment) -> None:
    await shop.notice(shop.pay(order))
    await shop.run_jobs()
    assert await asked(shop, order, alice) is Refusal.NOT_PENDING


async def test_an_old_price_is_not_taken(shop: Shop, alice: int, order: Payment) -> None:
    assert await asked(shop, order, alice, amount=19800) is Refusal.OLD_PRICE


async def test_the_price_of_yesterdays_invoice_is_not_taken(shop: Shop, alice: int, order: Payment) -> None:
    async with shop.db.begin("test") as session:
        await session.execute(update(plans).where(plans.c.plan_id == order.plan_id).values(price=399))
    assert await asked(shop, order, alice) is Refusal.OLD_PRICE


async def test_a_plan_that_is_no_longer_sold_is_not_paid(shop: Shop, alice: int, order: Payment) -> None:
    async with shop.db.begin("test") as session:
        await session.execute(update(plans).where(plans.c.plan_id == order.plan_id).values(is_active=False))
    assert await asked(shop, order, alice) is Refusal.PLAN_GONE


async def test_whoever_is_blocked_is_not_charged(shop: Shop, alice: int, order: Payment) -> None:
    async with shop.db.begin("test") as session:
        assert await customers.block(session, alice, now=shop.clock())
    assert await asked(shop, order, alice) is Refusal.PLAN_GONE


async def test_a_way_to_pay_that_is_switched_off_takes_nothing(
    shop: Shop, alice: int, order: Payment
) -> None:
    shop.provider = FakeProvider("newpay")
    assert await asked(shop, order, alice) is Refusal.UNKNOWN


@pytest.mark.parametrize("payload", ["", "none", "7d0f2f3e-0c6b-4f5e-9c1b-1d2a3b4c5d6e"])
async def test_an_order_that_nobody_knows_is_not_paid(shop: Shop, alice: int, payload: str) -> None:
    refusal = await precheckout.approve(
        shop.deps, payload=payload, payer_id=alice, amount=19900, currency="RUB"
    )
    assert refusal is Refusal.UNKNOWN
