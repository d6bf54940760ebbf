from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text

from getpro.platform import schedules
from getpro.sales import sweep
from getpro.sales.jobs import job_kinds
from getpro.sales.jobs import schedules as declared_schedules
from getpro.subscriptions import store as subscriptions
from moments import lose_jobs
from shop import NOW, Shop, days

ZONE = "Europe/Moscow"


async def a_minute_of_routines(shop: Shop) -> None:
    """Let a minute pass in which schedules come due and their jobs run, as with a worker."""
    kinds = {kind.name: kind for kind in job_kinds(shop.deps, zone=ZoneInfo(ZONE))}
    for _ in range(12):
        shop.clock.forward(seconds=5)
        async with shop.db.begin("test") as session:
            await schedules.declare(session, declared_schedules(ZONE), now=shop.clock())
            names = await schedules.run_due(session, shop.jobs, list(kinds), now=shop.clock())
            await session.execute(text("DELETE FROM procrastinate_jobs WHERE queue_name = 'upkeep'"))
        for name in names:
            await kinds[name].run()


async def test_a_subscription_is_inactive_within_a_minute_of_its_end(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    for now, is_active in ((NOW + days(30) - timedelta(minutes=2), True), (NOW + days(30), False)):
        shop.clock.now = now
        await a_minute_of_routines(shop)
        async with shop.db.begin("test") as session:
            found = await subscriptions.of_customer(session, alice)
        assert found is not None
        assert found.is_active is is_active


async def test_a_notice_whose_job_was_lost_is_settled_all_the_same(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice)))
    await lose_jobs(shop.db)
    shop.clock.forward(seconds=31)
    await sweep.sweep(shop.deps)
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == shop.clock() + days(30)


async def test_an_access_whose_delivery_was_lost_is_delivered_all_the_same(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice)))
    await shop.run_jobs("settle")
    await lose_jobs(shop.db)
    shop.clock.forward(seconds=31)
    await sweep.sweep(shop.deps)
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == await shop.subscription_end(alice) == NOW + days(30)
