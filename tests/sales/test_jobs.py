"""Every routine that runs by itself has something to run, and ends well on a shop with some history."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from getpro.kit.clock import utc_now
from getpro.messaging import partitions
from getpro.platform.jobs import Backoff, JobKind, JobName
from getpro.sales import checkout, decisions, jobs, stuck
from getpro.sales.names import TURN_SCREEN
from shop import OLGA, Shop, rub
from waiting import until

ZONE = "Europe/Moscow"
ROUTINES = [schedule.name for schedule in jobs.schedules(ZONE)]


@pytest.mark.parametrize("name", ROUTINES)
async def test_a_routine_ends_well_and_may_run_twice(shop: Shop, name: str) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    await shop.purchase(alice)
    await shop.order(bob)
    await shop.notice(shop.pay(await shop.order(bob), taken=rub("1.00")))
    await shop.notice("obj-forged")
    await shop.run_jobs()
    kinds = {kind.name: kind for kind in jobs.job_kinds(shop.deps, zone=ZoneInfo(ZONE))}
    before = await shop.subscription_end(alice)
    for _ in range(2):
        shop.clock.forward(minutes=10)
        await kinds[name].run()
    assert await shop.run_jobs() == []
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice) == before


async def test_the_screen_of_an_order_is_turned_by_one_at_a_time(shop: Shop) -> None:
    seen: list[str] = []

    async def turn(payment_id: int) -> None:
        seen.append(f"{payment_id} begins")
        await asyncio.sleep(0.2)
        seen.append(f"{payment_id} ends")

    shop.jobs.register([JobKind(TURN_SCREEN, turn, Backoff())])
    async with shop.db.begin("test") as session:
        for payment_id in (7, 7, 8):
            await checkout.turn_screen(session, shop.deps, payment_id)
    working = asyncio.create_task(shop.jobs.work(money=1, others=3))
    await until(lambda: len(seen) == 6)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert [said for said in seen if said.startswith("7")] == ["7 begins", "7 ends"] * 2


async def keep_house(shop: Shop) -> None:
    kinds = {kind.name: kind for kind in jobs.job_kinds(shop.deps, zone=ZoneInfo(ZONE))}
    await kinds["keep_house"].run()


async def test_a_failed_routine_is_forgotten_after_a_week_and_failed_money_never(shop: Shop) -> None:
    async with shop.db.begin("test") as session:
        for queue in ("upkeep", "money"):
            await shop.jobs.defer(session, JobName("broken", queue))
        await session.execute(text("UPDATE procrastinate_jobs SET status = 'failed'"))
    shop.clock.now = utc_now() + timedelta(days=6)
    assert await remaining(shop) == ["upkeep", "money"]
    shop.clock.forward(days=2)
    assert await remaining(shop) == ["money"]


async def test_old_notices_are_forgotten_and_none_on_which_money_hangs(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    underpaid = shop.pay(await shop.order(alice), taken=rub("1.00"))
    for number in (underpaid, "obj-forged", "obj-dismissed"):
        await shop.notice(number)
    await shop.run_jobs()
    shop.clock.forward(minutes=6)
    for item in await stuck.list_stuck(shop.deps):
        if "obj-dismissed" in item.details:
            await decisions.dismiss(shop.deps, item.reference, by=OLGA, reason="не наше")
    shop.clock.forward(days=179)
    await keep_house(shop)
    assert len(await inbox_of(shop)) == 4
    shop.clock.forward(days=2)
    await keep_house(shop)
    assert sorted(await inbox_of(shop)) == sorted([underpaid, "obj-forged"])


async def inbox_of(shop: Shop) -> list[str]:
    async with shop.db.begin("test") as session:
        return list(await session.scalars(text("SELECT object_id FROM provider_events")))


async def test_what_a_customer_was_told_is_forgotten_and_not_told_again(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    await shop.purchase(alice, plan=4)
    await shop.purchase(bob, plan=4)
    async with shop.db.begin("test") as session:
        await session.execute(
            text("UPDATE notices SET sent_at = created_at WHERE user_id = :alice"), {"alice": alice}
        )
    shop.clock.forward(days=89)
    await keep_house(shop)
    assert (await shop.told(alice), await shop.told(bob)) == (["access_open"], ["access_open"])
    shop.clock.forward(days=2)
    await keep_house(shop)
    assert (await shop.told(alice), await shop.told(bob)) == ([], ["access_open"])
    await decisions.retry(shop.deps, "d1", by=OLGA, reason="проверка")
    await shop.run_jobs()
    assert await shop.told(alice) == []


async def remaining(shop: Shop) -> list[str]:
    await keep_house(shop)
    async with shop.db.begin("test") as session:
        rows = await session.execute(text("SELECT queue_name FROM procrastinate_jobs ORDER BY id"))
        return list(rows.scalars())


async def test_messages_older_than_a_year_are_dropped_by_the_month(shop: Shop) -> None:
    shop.clock.now = datetime(2031, 1, 15, tzinfo=UTC)
    await keep_house(shop)
    shop.clock.now = datetime(2032, 1, 20, tzinfo=UTC)
    await keep_house(shop)
    async with shop.db.begin("test") as session:
        kept = sorted(await session.scalars(text(partitions.EXISTING)))
    months = [name.removeprefix("message_logs_") for name in kept]
    assert months == ["2031_01", "2031_02", "2031_03", "2031_04"] + ["2031_12"] + [
        f"2032_0{month}" for month in range(1, 5)
    ]
