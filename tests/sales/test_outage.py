"""An outside that is away for long: work does not pile up, nothing is left behind, all is made up for."""

import asyncio
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from getpro.customers import store as customers
from getpro.platform.jobs import MONEY, OUTSIDE, Backoff
from getpro.sales import decisions, jobs, polling, stuck
from getpro.sales.errors import CannotResolve
from getpro.sales.staff import Operator
from moments import until_it_waits
from shop import OLGA, Shop, rub

ZONE = "Europe/Moscow"
LINK = "https://panel.example/api/sub/very-secret"


async def waiting(shop: Shop, name: str) -> list[str]:
    """The locks of the jobs of this name that wait."""
    async with shop.db.begin("test") as session:
        rows = await session.execute(
            text(
                "SELECT lock FROM procrastinate_jobs WHERE task_name = :name AND status = 'todo' ORDER BY id"
            ),
            {"name": name},
        )
        return list(rows.scalars())


async def test_a_provider_away_for_an_hour_piles_up_no_polls_and_leaves_nothing_behind(shop: Shop) -> None:
    orders = [await shop.order(await shop.new_customer(5000 + number)) for number in range(5)]
    for order in orders:
        shop.pay(order)
    shop.provider.is_away = True
    for _ in range(60 * 2):
        shop.clock.forward(seconds=30)
        await polling.poll_due(shop.deps)
        assert len(await waiting(shop, "poll_payment")) <= len(orders)
        assert await shop.run_jobs() == []
    shop.provider.is_away = False
    shop.clock.forward(minutes=30)
    await polling.poll_due(shop.deps)
    assert await shop.run_jobs() == []
    assert [(await shop.payment(order.payment_id)).status for order in orders] == ["succeeded"] * 5
    assert await stuck.list_stuck(shop.deps) == []


async def test_an_order_about_which_nothing_can_be_asked_is_not_asked_for(shop: Shop) -> None:
    payment = await shop.order(await shop.customer("alice"))
    shop.provider.is_polled = False
    polls = 0
    for _ in range(3 * 48 + 2):
        shop.clock.forward(minutes=30)
        await polling.poll_due(shop.deps)
        polls += len(await waiting(shop, "poll_payment"))
        if await waiting(shop, "poll_payment"):
            await shop.run_jobs()
    assert polls <= 2
    assert (await shop.payment(payment.payment_id)).status == "canceled"


async def test_work_on_one_thing_never_runs_beside_itself(shop: Shop) -> None:
    alice = await shop.customer("alice")
    first, second = await shop.order(alice), await shop.order(alice)
    for order in (first, second, first):
        await shop.notice(shop.pay(order))
    settles = await waiting(shop, "settle")
    assert settles[0] == settles[2] != settles[1]
    assert None not in settles
    await shop.run_jobs("settle")
    deliveries = await waiting(shop, "deliver")
    assert len(deliveries) >= 2
    assert len(set(deliveries)) == 1
    assert None not in deliveries
    await shop.run_jobs("deliver")
    notices = await waiting(shop, "send_notice")
    assert notices
    assert set(notices) == {f"notice:{alice}"}


def test_what_must_happen_is_tried_for_ever_and_within_a_minute(shop: Shop) -> None:
    kinds = {kind.name: kind for kind in jobs.job_kinds(shop.deps, zone=ZoneInfo(ZONE))}
    for name in ("settle", "deliver", "refund"):
        assert (kinds[name].job.queue, kinds[name].retry.attempts) == (MONEY, None)
        assert kinds[name].retry.longest_seconds <= 60
    assert {kinds[name].job.queue for name in ("poll_payment", "compare")} == {OUTSIDE}
    assert isinstance(kinds["settle"].retry, Backoff)


def test_every_net_is_stretched() -> None:
    rules = {schedule.name: schedule.rule for schedule in jobs.schedules(ZONE)}
    assert rules == {
        "poll_due": "every 5s",
        "expire": "every 15s",
        "sweep": "every 30s",
        "remind": "every 60s",
        "find_lost_charges": "every 600s",
        "reconcile_panel": "every 900s",
        "compare_yesterday": "20 4 * * *",
        "keep_house": "10 4 * * *",
    }


async def test_a_settle_and_a_delivery_of_one_customer_do_not_wait_for_each_other_in_a_circle(
    shop: Shop,
) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    async with shop.db.begin("test") as settling:
        await customers.lock(settling, alice)

        async def deliver() -> None:
            async with shop.db.begin("test") as session:
                await session.execute(text("SELECT 1 FROM subscriptions FOR UPDATE"))
                await session.execute(
                    text(
                        "INSERT INTO notices (user_id, kind, key, arguments, created_at)"
                        " VALUES (:user_id, 'access_open', 'k', '{}', now())"
                    ),
                    {"user_id": alice},
                )

        await asyncio.wait_for(deliver(), 5)


async def test_one_subscription_that_somebody_holds_keeps_no_other_alive(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    await shop.purchase(alice)
    await shop.purchase(bob)
    shop.clock.forward(days=31)
    kinds = {kind.name: kind for kind in jobs.job_kinds(shop.deps, zone=ZoneInfo(ZONE))}
    async with shop.db.begin("test") as holding:
        await holding.execute(
            text("SELECT 1 FROM subscriptions WHERE user_id = :user_id FOR UPDATE"), {"user_id": alice}
        )
        await asyncio.wait_for(kinds["expire"].run(), 5)
        async with shop.db.begin("test") as session:
            active = list(await session.scalars(text("SELECT user_id FROM subscriptions WHERE is_active")))
        assert active == [alice]


async def test_of_two_operators_who_decide_at_once_one_is_told(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice), taken=rub("100.00")))
    await shop.run_jobs()
    [item] = await stuck.list_stuck(shop.deps)
    async with shop.db.begin("test") as session:
        await customers.lock(session, alice)  # Olga's decision is held in its middle
        first = asyncio.create_task(decisions.credit(shop.deps, item.reference, by=OLGA, reason="a"))
        await until_it_waits(shop.db, first)
        petr = Operator("пётр")
        second = asyncio.create_task(decisions.mark_refunded(shop.deps, item.reference, by=petr, reason="b"))
        await until_it_waits(shop.db, second, behind=1)
    await first
    with pytest.raises(CannotResolve, match="уже решено"):
        await second
    assert await shop.subscription_end(alice) is not None


async def test_what_a_statement_carries_is_not_in_its_error(shop: Shop) -> None:
    async with shop.db.begin("test") as session:
        with pytest.raises(DataError) as caught:
            await session.execute(text("SELECT CAST(:link AS int), :other"), {"link": "1x", "other": LINK})
        await session.rollback()
    assert LINK not in str(caught.value)
