"""Every routine that runs by itself has something to run, and ends well on a shop with some history."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from getpro.kit.clock import utc_now
from getpro.sales import jobs
from shop import Shop, rub

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


async def test_a_failed_routine_is_forgotten_after_a_week_and_failed_money_never(shop: Shop) -> None:
    async with shop.db.begin("test") as session:
        for queue in ("upkeep", "money"):
            await shop.jobs.defer(session, "broken", queue=queue)
        await session.execute(text("UPDATE procrastinate_jobs SET status = 'failed'"))
    keep_house = next(
        kind for kind in jobs.job_kinds(shop.deps, zone=ZoneInfo(ZONE)) if kind.name == "keep_house"
    )
    shop.clock.now = utc_now() + timedelta(days=6)
    assert await remaining(shop, after=keep_house.run) == ["upkeep", "money"]
    shop.clock.forward(days=2)
    assert await remaining(shop, after=keep_house.run) == ["money"]


async def remaining(shop: Shop, *, after: Callable[[], Awaitable[None]]) -> list[str]:
    await after()
    async with shop.db.begin("test") as session:
        rows = await session.execute(text("SELECT queue_name FROM procrastinate_jobs ORDER BY id"))
        return list(rows.scalars())


@pytest.mark.parametrize(
    ("now", "days", "first", "after"),
    [
        ("2026-05-10T01:20Z", 1, "2026-05-08T21:00Z", "2026-05-09T21:00Z"),
        ("2026-05-09T21:30Z", 1, "2026-05-08T21:00Z", "2026-05-09T21:00Z"),
        ("2026-05-10T01:20Z", 3, "2026-05-06T21:00Z", "2026-05-07T21:00Z"),
    ],
)
def test_a_day_is_the_operators(now: str, days: int, first: str, after: str) -> None:
    found = jobs.day_before(datetime.fromisoformat(now), ZoneInfo(ZONE), days=days)
    assert found == (datetime.fromisoformat(first), datetime.fromisoformat(after))
