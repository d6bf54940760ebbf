"""What waits for a person: seen on the list, and off it again by each of the ways, with who and why."""

from typing import Any, TypedDict
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from fakes import FakeProvider
from getpro.catalog.store import PlanGone
from getpro.customers.store import CustomerGone
from getpro.kit.money import Money
from getpro.panel.errors import PanelUnavailable
from getpro.payments.models import payment_moves
from getpro.payments.provider import Charge, ChargeState, ProviderUnreadable, StoredNotice
from getpro.payments.store import Payment
from getpro.platform.audit import audit_log
from getpro.platform.jobs import MONEY, JobName
from getpro.sales import checkout, decisions, jobs, polling, stuck, sweep
from getpro.sales.errors import CannotResolve, SaleError
from getpro.sales.staff import Operator
from getpro.sales.stuck import StuckItem
from moments import Broken, broken_at, lose_jobs
from shop import OLGA, ONE_MONTH, THREE_MONTHS, Shop, days, rub


class Who(TypedDict):
    by: Operator
    reason: str


WHO: Who = {"by": OLGA, "reason": "звонил клиент"}


async def listed(shop: Shop) -> list[StuckItem]:
    return await stuck.list_stuck(shop.deps)


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
    credited = await decisions.credit(shop.deps, reference, **WHO)
    await shop.run_jobs()
    assert credited.payment_id == payment.payment_id
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice)
    assert await listed(shop) == []
    assert await deeds(shop) == [
        ("ольга", "payments.credit", reference, "звонил клиент", f"p{payment.payment_id}")
    ]


async def test_a_notice_behind_which_nothing_can_be_read_is_shown_as_that_and_can_be_put_away(
    shop: Shop,
) -> None:
    shop.provider.is_unreadable = True
    await shop.notice("obj-strange")
    (settling,) = [one for one in jobs.job_kinds(shop.deps, zone=ZoneInfo("UTC")) if one.name == "settle"]
    with pytest.raises(ProviderUnreadable):
        await settling.run(event_id=1)
    shop.clock.forward(minutes=6)
    reference = await the_one(shop, "notice_disproved")
    (item,) = await listed(shop)
    assert (
        item.details
        == "paid obj-strange: ответ провайдера не читается: обновите программу или уберите запись"
    )
    await decisions.dismiss(shop.deps, reference, **WHO)
    assert await listed(shop) == []


async def test_money_is_credited_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice), taken=rub("100.00")))
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    await decisions.credit(shop.deps, reference, **WHO)
    end = await shop.subscription_end(alice)
    for again in (decisions.credit, decisions.mark_refunded, decisions.retry):
        with pytest.raises(CannotResolve, match=r"уже решено \(засчитано, ольга\)"):
            await again(shop.deps, reference, **WHO)
    assert await shop.subscription_end(alice) == end


async def test_money_without_an_order_is_credited_to_whom_and_for_what_the_operator_says(shop: Shop) -> None:
    bob = await shop.customer("bob")
    shop.provider.charges_by_id["lost"] = shop.provider.charge("lost", None, rub("199.00"))
    await shop.notice(shop.provider.pay("lost", paid_at=shop.clock()))
    await shop.run_jobs()
    reference = await the_one(shop, "unknown_order")
    with pytest.raises(CannotResolve, match="и клиента, и тариф"):
        await decisions.credit(shop.deps, reference, **WHO)
    with pytest.raises(CustomerGone):
        await decisions.credit(shop.deps, reference, user_id=999, plan_id=ONE_MONTH, **WHO)
    with pytest.raises(PlanGone):
        await decisions.credit(shop.deps, reference, user_id=bob, plan_id=999, **WHO)
    payment = await decisions.credit(shop.deps, reference, user_id=bob, plan_id=ONE_MONTH, **WHO)
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
    with pytest.raises(CannotResolve, match="и клиента, и тариф"):
        await decisions.credit(shop.deps, reference, **WHO)
    payment = await decisions.credit(shop.deps, reference, user_id=alice, plan_id=ONE_MONTH, **WHO)
    assert (payment.amount, payment.paid) == (rub("199.00"), Money(150, "USD"))


async def waiting(shop: Shop, name: str) -> list[int]:
    """The orders for which jobs of this name wait."""
    async with shop.db.begin("test") as session:
        rows = await session.execute(
            text("SELECT args FROM procrastinate_jobs WHERE task_name = :name ORDER BY id"), {"name": name}
        )
        return [row.args["payment_id"] for row in rows]


async def moves(shop: Shop, payment_id: int) -> list[tuple[str, str, str]]:
    async with shop.db.begin("test") as session:
        rows = await session.execute(
            select(payment_moves)
            .where(payment_moves.c.payment_id == payment_id)
            .order_by(payment_moves.c.move_id)
        )
        return [(row.to_status, row.reason, row.actor) for row in rows]


async def test_money_credited_as_another_plan_ends_the_order_it_had_come_for(shop: Shop) -> None:
    alice = await shop.customer("alice")
    order = await shop.order(alice, THREE_MONTHS)
    await shop.notice(shop.pay(order, taken=rub("199.00")))
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    await lose_jobs(shop.db)
    credited = await decisions.credit(shop.deps, reference, user_id=alice, plan_id=ONE_MONTH, **WHO)
    ended = await shop.payment(order.payment_id)
    assert (ended.status, ended.cancel_reason) == ("canceled", "the money was credited to another order")
    assert order.payment_id in await waiting(shop, "turn_screen")
    for _ in range(5):
        shop.clock.forward(days=1)
        await polling.poll_due(shop.deps)
    assert await waiting(shop, "poll_payment") == []
    assert [row.payment_id for row in await shop.succeeded(alice)] == [credited.payment_id]
    assert await moves(shop, credited.payment_id) == [
        ("pending", "checkout", "ольга"),
        ("succeeded", "paid", "ольга"),
    ]
    assert (await moves(shop, order.payment_id))[0] == ("pending", "checkout", "customer")
    assert (await moves(shop, order.payment_id))[1][2] == "ольга"


async def test_an_order_whose_money_went_elsewhere_is_delivered_if_it_is_paid_after_all(shop: Shop) -> None:
    alice = await shop.customer("alice")
    order = await shop.order(alice, THREE_MONTHS)
    await shop.notice(shop.pay(order, taken=rub("199.00")))
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    await decisions.credit(shop.deps, reference, user_id=alice, plan_id=ONE_MONTH, **WHO)
    second = shop.provider.charge("second", order.order_key, rub("499.00"), paid_at=shop.clock())
    shop.provider.charges_by_id["second"] = second
    await shop.notice(shop.provider.pay("second"))
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == shop.clock() + days(30 + 90)


async def test_who_moved_an_order_is_kept(shop: Shop) -> None:
    alice = await shop.customer("alice")
    order = await shop.order(alice)
    async with shop.db.begin("test") as session:
        await checkout.give_up(session, shop.deps, user_id=alice, payment_id=order.payment_id)
    await shop.notice(shop.pay(order))
    await shop.run_jobs()
    assert await moves(shop, order.payment_id) == [
        ("pending", "checkout", "customer"),
        ("canceled", "canceled by the customer", "customer"),
        ("succeeded", "paid", "shop"),
    ]


async def test_money_given_back_outside_leaves_the_list_and_gives_nothing(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, taken=rub("100.00")))
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    await decisions.mark_refunded(shop.deps, reference, **WHO)
    assert await listed(shop) == []
    assert (await shop.payment(payment.payment_id)).status == "canceled"
    assert shop.panel.expiry_of(alice) is None
    assert [deed[1] for deed in await deeds(shop)] == ["payments.refunded"]
    shop.provider.pay(f"obj-{payment.order_key}", refunded=rub("100.00"))
    shop.clock.forward(minutes=30)
    await polling.poll_due(shop.deps)
    await shop.run_jobs()
    assert await listed(shop) == []


async def test_a_retry_asks_the_provider_anew(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    object_id = shop.pay(payment, taken=rub("100.00"))
    await shop.notice(object_id)
    await shop.run_jobs()
    reference = await the_one(shop, "underpaid")
    assert str(await decisions.retry(shop.deps, reference, **WHO)) == "stuck: underpaid"
    assert await the_one(shop, "underpaid") == reference
    shop.pay(payment, taken=rub("199.00"))
    assert str(await decisions.retry(shop.deps, reference, **WHO)) == "settled"
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
    assert await decisions.retry(shop.deps, reference, **WHO) == decisions.BROUGHT_FORWARD
    await shop.run_jobs()
    assert await listed(shop) == []
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice)


async def test_a_notice_that_proved_nothing_is_dismissed_until_it_comes_again(shop: Shop) -> None:
    await shop.notice("obj-forged")
    await shop.run_jobs()
    shop.clock.forward(minutes=6)
    reference = await the_one(shop, "notice_disproved")
    await decisions.dismiss(shop.deps, reference, **WHO)
    assert await listed(shop) == []
    await shop.notice("obj-forged")
    await shop.run_jobs()
    assert await the_one(shop, "notice_disproved") == reference
    shop.provider.charges_by_id["obj-forged"] = shop.provider.charge("obj-forged", None, rub("199.00"))
    shop.provider.pay("obj-forged", paid_at=shop.clock())
    assert str(await decisions.retry(shop.deps, reference, **WHO)) == "stuck: unknown_order"
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
        await decisions.retry(shop.deps, reference, **WHO)
    assert await shop.run_jobs() == []
    await polling.poll_payment(shop.deps, payment.payment_id)
    assert (await shop.payment(payment.payment_id)).status == "pending"


@pytest.mark.parametrize(
    "reference",
    [
        *["", "12", "x3", "s", "s0x1", "s-1", "s²", "s٣", "S1", "s1 "],
        *["s99", "e99", "d99", "j99", "s" + "9" * 18, "e" + "9" * 18, "d" + "9" * 18, "j" + "9" * 18],
        *["s9223372036854775808", "j" + "9" * 5000],
    ],
)
async def test_a_reference_that_names_nothing_is_said_so(shop: Shop, reference: str) -> None:
    with pytest.raises(CannotResolve):
        await decisions.retry(shop.deps, reference, **WHO)
    assert await deeds(shop) == []


async def kept(shop: Shop, name: str) -> Payment:
    """An order too little of which was paid; the customer has seen that its money is looked at."""
    order = await shop.order(await shop.customer(name))
    await shop.notice(shop.pay(order, taken=rub("100.00")))
    await shop.run_jobs()
    await lose_jobs(shop.db)
    return order


async def give_up(shop: Shop, order: Payment) -> None:
    async with shop.db.begin("test") as session:
        await checkout.give_up(session, shop.deps, user_id=order.user_id, payment_id=order.payment_id)


async def test_an_order_given_up_before_its_money_was_given_back_says_so_in_the_end(shop: Shop) -> None:
    order = await kept(shop, "alice")
    await give_up(shop, order)
    await decisions.mark_refunded(shop.deps, await the_one(shop, "underpaid"), **WHO)
    assert (await shop.payment(order.payment_id)).cancel_reason == "the money was given back"
    assert await waiting(shop, "turn_screen") == [order.payment_id]
    assert [move[1] for move in await moves(shop, order.payment_id)] == [
        "checkout",
        "canceled by the customer",
    ]


async def test_an_order_given_up_before_its_money_was_credited_apart_says_so_in_the_end(shop: Shop) -> None:
    order = await kept(shop, "alice")
    await give_up(shop, order)
    reference = await the_one(shop, "underpaid")
    await decisions.credit(shop.deps, reference, user_id=order.user_id, plan_id=ONE_MONTH, **WHO)
    assert (await shop.payment(order.payment_id)).cancel_reason == "the money was credited to another order"
    assert await waiting(shop, "turn_screen") == [order.payment_id]


@pytest.mark.parametrize("is_polled", [True, False])
@pytest.mark.parametrize("has_page", [True, False])
async def test_an_order_whose_money_a_person_looks_at_does_not_time_out(
    shop: Shop, *, is_polled: bool, has_page: bool
) -> None:
    shop.provider.is_polled = is_polled
    shop.provider.loses_answers = not has_page
    order = await kept(shop, "alice")
    for _ in range(5):
        shop.clock.forward(days=1)
        await polling.poll_due(shop.deps)
        assert await shop.run_jobs() == []
    assert (await shop.payment(order.payment_id)).status == "pending"
    await decisions.mark_refunded(shop.deps, await the_one(shop, "underpaid"), **WHO)
    ended = await shop.payment(order.payment_id)
    assert (ended.status, ended.cancel_reason) == ("canceled", "the money was given back")


async def test_a_retry_that_breaks_at_its_end_gives_nothing_and_may_be_made_again(shop: Shop) -> None:
    order = await kept(shop, "alice")
    shop.pay(order, taken=rub("199.00"))
    reference = await the_one(shop, "underpaid")
    with broken_at("stuck: retry: before commit"), pytest.raises(Broken):
        await decisions.retry(shop.deps, reference, **WHO)
    assert await shop.subscription_end(order.user_id) is None
    assert (await the_one(shop, "underpaid"), await deeds(shop)) == (reference, [])
    await decisions.retry(shop.deps, reference, **WHO)
    assert await shop.subscription_end(order.user_id) == shop.clock() + days(30)
    assert (await listed(shop), len(await deeds(shop))) == ([], 1)


@pytest.mark.parametrize(
    ("changes", "ended"),
    [
        ({}, "seen before"),
        ({"taken": rub("100.00")}, "stuck: underpaid"),
        ({"state": ChargeState.CANCELED}, "canceled"),
    ],
)
async def test_a_retry_of_a_notice_that_has_ended_tells_how(
    shop: Shop, changes: dict[str, Any], ended: str
) -> None:
    await shop.notice(shop.pay(await shop.order(await shop.customer("alice")), **changes))
    await shop.run_jobs()
    assert str(await decisions.retry(shop.deps, "e1", **WHO)) == ended
    assert [deed[4] for deed in await deeds(shop)] == [ended]


async def test_a_failed_job_is_run_again(shop: Shop) -> None:
    async with shop.db.begin("test") as session:
        await shop.jobs.defer(session, JobName("of_another_version", MONEY), payment_id=7)
        await session.execute(text("UPDATE procrastinate_jobs SET status = 'failed'"))
    reference = await the_one(shop, "job_failed")
    assert await decisions.retry(shop.deps, reference, **WHO) == decisions.BROUGHT_FORWARD
    assert await listed(shop) == []
    async with shop.db.begin("test") as session:
        assert await session.scalar(text("SELECT status FROM procrastinate_jobs")) == "todo"
    assert [deed[2:] for deed in await deeds(shop)] == [(reference, "звонил клиент", "brought forward")]


async def run(shop: Shop, name: str, **arguments: int) -> None:
    """Run a job as a worker would."""
    kinds = {kind.name: kind for kind in jobs.job_kinds(shop.deps, zone=ZoneInfo("Europe/Moscow"))}
    await kinds[name].run(**arguments)


class Buggy(FakeProvider):
    async def prove(self, notice: StoredNotice) -> Charge:
        raise KeyError("very secret")


async def test_an_error_of_ours_in_settling_is_shown_as_ours_and_tried_for_ever(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice)))
    mended, shop.provider = shop.provider, Buggy()
    with pytest.raises(KeyError):
        await run(shop, "settle", event_id=1)
    shop.provider = mended
    await lose_jobs(shop.db)
    shop.clock.forward(minutes=6)
    (item,) = await listed(shop)
    assert (item.kind, "settle: KeyError" in item.details, "secret" in item.details) == (
        "job_failed",
        True,
        False,
    )
    with pytest.raises(CannotResolve):
        await decisions.dismiss(shop.deps, item.reference, **WHO)
    await sweep.sweep(shop.deps)
    assert await shop.run_jobs() == []
    assert await listed(shop) == []
    assert shop.panel.expiry_of(alice) is not None


async def test_an_error_of_ours_in_delivering_is_shown_as_ours_and_tried_for_ever(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice)))
    await shop.run_jobs("settle")
    shop.panel.trouble = KeyError("very secret")
    with pytest.raises(KeyError):
        await run(shop, "deliver", subscription_id=1)
    shop.clock.forward(minutes=6)
    (item,) = await listed(shop)
    assert (item.reference, item.kind) == ("d1", "job_failed")
    assert item.details.startswith("deliver: KeyError,")
    assert await shop.told(alice) == []
    shop.panel.trouble = None
    await run(shop, "deliver", subscription_id=1)
    assert (await listed(shop), await shop.told(alice)) == ([], ["access_open"])
