import asyncio
from uuid import uuid4

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import text

from getpro.customers import store as customers
from getpro.kit.money import Money
from getpro.payments import store as payments
from getpro.payments.provider import ChargeState, ProviderUnavailable
from getpro.payments.states import PaymentStatus
from getpro.sales import checkout, polling
from getpro.sales.settle import grant, settle_charge
from getpro.subscriptions.states import ChangeCause
from moments import Broken, broken_at, until_it_waits
from shop import NOW, THREE_MONTHS, Shop, days, rub


async def test_a_paid_order_is_on_the_panel_to_the_second(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    assert payment.status is PaymentStatus.SUCCEEDED
    assert payment.amount == rub("199.00")
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice) == NOW + days(30)
    assert await shop.told(alice) == ["access_open"]


async def test_twenty_copies_of_one_notice_at_once_extend_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    object_id = shop.pay(payment)
    await asyncio.gather(*(shop.notice(object_id) for _ in range(20)))
    charge = await shop.provider.find(object_id)
    await asyncio.gather(*(settle_charge(shop.deps, charge) for _ in range(20)))
    await shop.run_jobs()
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice) == NOW + days(30)
    assert len(await shop.succeeded(alice)) == 1


async def test_a_premature_notice_does_not_block_the_true_one(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    object_id = f"obj-{payment.order_key}"
    await shop.notice(object_id)
    await shop.run_jobs()
    assert await shop.subscription_end(alice) is None
    shop.pay(payment)
    await shop.notice(object_id)
    await shop.run_jobs()
    assert await shop.subscription_end(alice) == NOW + days(30)


async def test_the_notice_of_a_payment_does_not_answer_the_one_of_its_refund(shop: Shop) -> None:
    shop.provider.believes_notices = True
    alice = await shop.customer("alice")
    object_id = shop.pay(await shop.order(alice))
    await shop.notice(object_id)
    shop.provider.give_back(object_id, rub("199.00"))
    await shop.notice(object_id, "refunded")
    await shop.run_jobs()
    assert await shop.told(alice) == ["refunded"]
    assert await shop.subscription_end(alice) == NOW
    assert await unhandled(shop) == []


@pytest.mark.parametrize("believes_notices", [False, True])
async def test_what_the_provider_was_asked_for_answers_every_notice_about_it(
    shop: Shop, *, believes_notices: bool
) -> None:
    shop.provider.believes_notices = believes_notices
    alice = await shop.customer("alice")
    object_id = shop.pay(await shop.order(alice))
    await shop.notice(object_id)
    await shop.notice(object_id, "refunded")
    await settle_charge(shop.deps, await shop.provider.find(object_id))
    assert await unhandled(shop) == []


async def unhandled(shop: Shop) -> list[str]:
    async with shop.db.begin("test") as session:
        found = await session.scalars(text("SELECT event FROM provider_events WHERE handled_at IS NULL"))
        return list(found)


async def test_a_forged_notice_about_nothing_changes_nothing_and_blocks_nothing(shop: Shop) -> None:
    alice = await shop.customer("alice")
    key = uuid4()
    await shop.notice(f"obj-{key}")
    await shop.run_jobs()
    assert await shop.subscription_end(alice) is None
    payment = await shop.order(alice)
    object_id = f"obj-{key}"
    paid = shop.provider.charge(
        object_id, payment.order_key, rub("199.00"), state=ChargeState.PAID, paid_at=NOW
    )
    shop.provider.charges_by_id[object_id] = paid
    await shop.notice(object_id)
    await shop.run_jobs()
    assert await shop.subscription_end(alice) == NOW + days(30)


async def test_a_notice_before_the_create_call_returned_is_settled(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.provider.before_answer = asyncio.Event()
    ordering = asyncio.create_task(shop.order(alice))
    while not shop.provider.charges_by_id:
        await asyncio.sleep(0.01)
    object_id = next(iter(shop.provider.charges_by_id))
    shop.provider.pay(object_id, paid_at=NOW)
    await shop.notice(object_id)
    await shop.run_jobs()
    shop.provider.before_answer.set()
    payment = await ordering
    assert (await shop.payment(payment.payment_id)).status is PaymentStatus.SUCCEEDED
    assert await shop.subscription_end(alice) == NOW + days(30)


async def test_money_that_comes_after_our_own_cancel_is_delivered(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    async with shop.db.begin("test") as session:
        assert await checkout.give_up(session, shop.deps, user_id=alice, payment_id=payment.payment_id)
    await shop.notice(shop.pay(payment))
    await shop.run_jobs()
    assert (await shop.payment(payment.payment_id)).status is PaymentStatus.SUCCEEDED
    assert shop.panel.expiry_of(alice) == NOW + days(30)


async def test_two_payments_of_one_customer_at_once_both_count(shop: Shop) -> None:
    alice = await shop.customer("alice")
    charges = []
    for plan in (1, THREE_MONTHS):
        payment = await shop.order(alice, plan)
        charges.append(await shop.provider.find(shop.pay(payment)))
    await asyncio.gather(*(settle_charge(shop.deps, charge) for charge in charges))
    await shop.run_jobs()
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice) == NOW + days(120)


async def test_many_payments_of_one_customer_at_once_all_count(shop: Shop) -> None:
    alice = await shop.customer("alice")
    charges = [await shop.provider.find(shop.pay(await shop.order(alice))) for _ in range(8)]
    await asyncio.gather(*(settle_charge(shop.deps, charge) for charge in charges))
    assert await shop.subscription_end(alice) == NOW + days(240)


async def test_a_second_charge_of_a_paid_order_is_a_purchase_of_its_own(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    again = shop.provider.charge(
        "second", payment.order_key, rub("199.00"), state=ChargeState.PAID, paid_at=NOW
    )
    for _ in range(2):
        await settle_charge(shop.deps, again)
    assert len(await shop.succeeded(alice)) == 2
    assert await shop.subscription_end(alice) == NOW + days(60)


async def test_less_than_the_price_is_kept_for_an_operator(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, taken=rub("198.99")))
    await shop.run_jobs()
    assert await shop.stuck() == ["underpaid"]
    assert await shop.subscription_end(alice) is None


async def test_more_than_the_price_is_delivered_and_shown_to_an_operator(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, taken=rub("249.00")))
    await shop.run_jobs()
    assert await shop.stuck() == ["overpaid"]
    assert (await shop.payment(payment.payment_id)).amount == rub("249.00")
    assert await shop.subscription_end(alice) == NOW + days(30)


async def test_a_foreign_currency_is_kept_for_an_operator(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, taken=Money(19900, "USD"), refunded=Money(0, "USD")))
    await shop.run_jobs()
    assert await shop.stuck() == ["foreign_currency"]
    assert await shop.subscription_end(alice) is None


async def test_money_without_an_order_of_ours_is_kept_for_an_operator(shop: Shop) -> None:
    paid = shop.provider.charge("lone", uuid4(), rub("500.00"), state=ChargeState.PAID, paid_at=NOW)
    shop.provider.charges_by_id["lone"] = paid
    for _ in range(2):
        await shop.notice("lone")
        await shop.run_jobs()
    assert await shop.stuck() == ["unknown_order"]


async def test_money_refunded_before_it_was_settled_gives_nothing(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, refunded=rub("199.00")))
    await shop.run_jobs()
    assert await shop.stuck() == ["refunded_before_settled"]
    assert await shop.subscription_end(alice) is None


async def test_somebody_elses_stars_are_kept_for_an_operator(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, payer_id=bob))
    await shop.run_jobs()
    assert await shop.stuck() == ["wrong_payer"]
    assert await shop.subscription_end(alice) is None


async def test_a_declined_payment_ends_the_order_and_takes_nothing(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, state=ChargeState.CANCELED, reason="insufficient_funds"))
    await shop.run_jobs()
    declined = await shop.payment(payment.payment_id)
    assert (declined.status, declined.cancel_reason) == (PaymentStatus.CANCELED, "insufficient_funds")


async def test_a_lost_notice_is_made_up_for_by_asking(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    shop.pay(payment)
    shop.clock.forward(seconds=20)
    await polling.poll_due(shop.deps)
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == shop.clock() + days(30)


async def test_a_lost_create_call_is_repeated_with_the_same_key_and_body(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.provider.loses_answers = True
    payment = await shop.order(alice)
    assert payment.pay_url is None
    shop.provider.loses_answers = False
    shop.clock.forward(seconds=20)
    await polling.poll_due(shop.deps)
    await shop.run_jobs()
    assert (await shop.payment(payment.payment_id)).pay_url is not None
    first, second = shop.provider.asked
    assert first == second


async def test_a_lost_create_call_is_not_repeated_after_the_provider_forgot_the_key(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.provider.is_away = True
    payment = await shop.order(alice)
    shop.provider.is_away = False
    shop.clock.forward(hours=23, seconds=1)
    await polling.poll_due(shop.deps)
    await shop.run_jobs()
    assert shop.provider.asked == []
    assert (await shop.payment(payment.payment_id)).status is PaymentStatus.CANCELED
    async with shop.db.begin("test") as session:
        turned = await session.scalars(
            text("SELECT args->'payment_id' FROM procrastinate_jobs WHERE task_name = 'turn_screen'")
        )
        assert list(turned) == [payment.payment_id]


async def test_a_provider_that_is_away_loses_no_notice(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    object_id = shop.pay(payment)
    shop.provider.is_away = True
    await shop.notice(object_id)
    failed = await shop.run_jobs()
    assert [type(error) for error in failed] == [ProviderUnavailable]
    shop.provider.is_away = False
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == NOW + days(30)


async def test_one_charge_is_recorded_once_whoever_writes_it(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    charge = await shop.provider.find(shop.pay(await shop.order(alice)))
    await settle_charge(shop.deps, charge)
    other = await shop.order(bob)
    with pytest.raises(UniqueViolation):
        async with shop.db.begin("test") as session:
            await payments.succeed(session, other, charge, now=NOW)


async def test_a_settle_that_breaks_before_its_end_leaves_nothing_and_is_made_up_for(
    shop: Shop,
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment))
    with broken_at("settle: before commit"):
        assert [type(error) for error in await shop.run_jobs(with_bugs=True)] == [Broken]
    assert (await shop.payment(payment.payment_id)).status is PaymentStatus.PENDING
    assert await shop.subscription_end(alice) is None
    await shop.run_jobs()
    assert (await shop.payment(payment.payment_id)).status is PaymentStatus.SUCCEEDED
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice) == NOW + days(30)


async def test_a_payment_waits_for_what_is_being_done_with_the_customers_money(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    first, second = await shop.order(alice), await shop.order(alice, THREE_MONTHS)
    charge = await shop.provider.find(shop.pay(second))
    async with shop.db.begin("test") as session:
        await customers.lock(session, alice)
        number, cause = first.payment_id, ChangeCause.CREDIT
        await grant(session, shop.deps, first, recorded_id=number, cause=cause, now=NOW)
        settling = asyncio.create_task(settle_charge(shop.deps, charge))
        await until_it_waits(shop.db, settling)
    await settling
    assert await shop.subscription_end(alice) == NOW + days(30 + 30 + 90)


async def test_an_order_that_was_paid_meanwhile_is_not_canceled(shop: Shop) -> None:
    alice = await shop.customer("alice")
    pending = await shop.order(alice)
    await settle_charge(shop.deps, await shop.provider.find(shop.pay(pending)))
    async with shop.db.begin("test") as session:
        assert not await payments.cancel(session, pending, reason="too late", now=NOW)
    assert (await shop.payment(pending.payment_id)).status is PaymentStatus.SUCCEEDED


async def test_the_move_that_is_kept_is_the_one_that_was_made(shop: Shop) -> None:
    pending = await shop.order(await shop.customer("alice"))
    charge = await shop.provider.find(shop.pay(pending))
    async with shop.db.begin("test") as session:
        await payments.cancel(session, pending, reason="too late", now=NOW)
        settling = asyncio.create_task(settle_charge(shop.deps, charge))
        await until_it_waits(shop.db, settling)
    await settling
    async with shop.db.begin("test") as session:
        moves = await session.execute(
            text("SELECT from_status, to_status FROM payment_moves ORDER BY move_id")
        )
        assert [tuple(move) for move in moves] == [
            (None, "pending"),
            ("pending", "canceled"),
            ("canceled", "succeeded"),
        ]
