"""What the panel has lost is delivered once more, quietly; what it never took is not forgotten."""

from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import text

from getpro.panel.client import PanelClient
from getpro.panel.errors import PanelError, PanelRefused
from getpro.panel.service import WantedAccess
from getpro.platform.settings import PanelSettings, ShopSettings
from getpro.sales import decisions, delivery, provider_books, reconcile, stuck, sweep, trial
from getpro.sales.errors import CannotResolve
from getpro.sales.stuck import StuckItem
from getpro.sandbox.serving import serving
from shop import NOW, OLGA, Shop, days, rub

REFUSED = PanelRefused("500 A018 Failed to create user")


async def listed(shop: Shop) -> list[StuckItem]:
    return await stuck.list_stuck(shop.deps)


async def waiting_deliveries(shop: Shop) -> int:
    async with shop.db.begin("test") as session:
        found = await session.scalar(
            text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'deliver' AND status = 'todo'")
        )
    return int(found or 0)


async def changes(shop: Shop) -> list[tuple[Any, ...]]:
    async with shop.db.begin("test") as session:
        rows = await session.execute(
            text(
                "SELECT cause, days, payment_id, end_after - end_before FROM subscription_changes"
                " ORDER BY change_id"
            )
        )
        return [tuple(row) for row in rows]


async def test_a_panel_set_up_anew_gets_everybody_back_whatever_their_numbers(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    await shop.purchase(alice)
    await shop.purchase(bob)
    shop.panel.users_by_id.clear()
    async with shop.db.begin("test") as session:  # Bob is made first, so he gets Alice's old number
        await delivery.defer_delivery(session, shop.deps, 2)
        await delivery.defer_delivery(session, shop.deps, 1)
    assert await shop.run_jobs() == []
    assert [user.telegram_id for user in shop.panel.users_by_id.values()] == [bob, alice]
    assert shop.panel.expiry_of(alice) == shop.panel.expiry_of(bob) == NOW + days(30)


async def test_a_failing_redelivery_is_one_and_is_shown(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.panel.users_by_id.clear()
    for _ in range(4):
        await reconcile.reconcile_panel(shop.deps)
        await reconcile.compare_one(shop.deps, 1)
        shop.panel.trouble = REFUSED
        assert await shop.run_jobs("deliver") == [REFUSED]
        shop.panel.trouble = None
        shop.clock.forward(minutes=15)
    assert await waiting_deliveries(shop) == 1
    (item,) = await listed(shop)
    assert (item.kind, item.details) == ("not_delivered_refused", str(REFUSED))
    assert (await changes(shop))[1:] == [("repair", 0, None, days(0))]


async def test_a_redelivery_that_lost_its_job_is_made_all_the_same(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.panel.users_by_id.clear()
    await reconcile.compare_one(shop.deps, 1)
    async with shop.db.begin("test") as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))
    shop.clock.forward(seconds=31)
    await sweep.sweep(shop.deps)
    assert await shop.run_jobs() == []
    assert shop.panel.expiry_of(alice) == NOW + days(30)


async def test_a_customer_hears_nothing_of_a_redelivery(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.clock.forward(days=20)
    shop.panel.users_by_id.clear()
    await reconcile.reconcile_panel(shop.deps)
    shop.panel.trouble = REFUSED
    await shop.run_jobs("deliver")
    shop.panel.trouble = None
    assert await shop.run_jobs("deliver") == []
    assert shop.panel.expiry_of(alice) == NOW + days(30)
    assert await shop.told(alice) == ["access_open"]
    await shop.purchase(alice)
    assert await shop.told(alice) == ["access_open", "access_open"]


async def test_a_redelivery_does_not_overtake_a_purchase_that_waits(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.panel.users_by_id.clear()
    comparison = await reconcile.compare_panel(shop.deps)
    await shop.notice(shop.pay(await shop.order(alice)))
    await shop.run_jobs("settle")
    assert await reconcile.apply(shop.deps, comparison) == 0
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == NOW + days(60)
    assert await shop.told(alice) == ["access_open", "access_open"]


async def test_a_hint_about_a_stranger_with_our_number_or_name_restores_the_customer(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.panel.users_by_id.clear()
    shop.panel.foreign_user(f"tg_{alice}", telegram_id=999)
    await reconcile.compare_one(shop.deps, 1)
    assert await shop.run_jobs() == []
    assert shop.panel.expiry_of(alice) == NOW + days(30)


async def test_access_that_was_paid_for_and_never_given_stays_on_the_list_after_its_end(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.panel.trouble = REFUSED
    first, second = await shop.order(alice), await shop.order(alice)
    await shop.notice(shop.pay(first))
    await shop.notice(shop.pay(second))
    await shop.run_jobs()
    shop.clock.forward(days=61)
    assert await shop.run_jobs() == []
    items = [(item.kind, item.payment_id, item.user_id, item.money) for item in await listed(shop)]
    assert sorted(items) == [
        ("expired_undelivered", payment.payment_id, alice, rub("199.00")) for payment in (first, second)
    ]
    reference = (await listed(shop))[0].reference
    with pytest.raises(CannotResolve, match="уже"):
        await decisions.credit(shop.deps, reference, by=OLGA, reason="-")
    await decisions.mark_refunded(shop.deps, reference, by=OLGA, reason="вернули")
    await delivery.deliver(shop.deps, 1)
    assert len(await listed(shop)) == 1


async def test_of_an_ended_subscription_only_what_the_panel_never_had_is_listed(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    await shop.purchase(alice)
    shop.panel.trouble = REFUSED
    renewal = await shop.order(alice)
    await shop.notice(shop.pay(renewal))
    async with shop.db.begin("test") as session:
        await trial.start_trial(session, shop.deps, user_id=bob)
    await shop.run_jobs()
    shop.clock.forward(days=61)
    assert await shop.run_jobs() == []
    assert [item.payment_id for item in await listed(shop)] == [renewal.payment_id]
    shop.panel.trouble = None
    sums = await provider_books.compare_sums(
        shop.deps, shop.provider, NOW - days(1), NOW + days(1), day=NOW.date()
    )
    assert sums == {"RUB": (rub("398.00"), rub("398.00"))}


@pytest.mark.parametrize("response", [{}, [], {"users": []}, {"internalSquads": [{"name": "x"}]}])
@pytest.mark.parametrize("metadata", [{"version": "2.8.1"}, {"version": "3.3.2"}, {}, []])
async def test_an_answer_of_the_panel_that_lacks_a_part_is_trouble_of_the_panel(
    metadata: Any, response: Any
) -> None:
    async def answer(request: web.Request) -> web.Response:
        is_metadata = request.path == "/api/system/metadata"
        return web.json_response({"response": metadata if is_metadata else response})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving(app) as url:
        settings = PanelSettings(url=url, token=SecretStr("t"), squads=["x"])
        client = PanelClient(settings, ShopSettings(), owner="shop")

        async def users() -> None:
            async for _ in client.users():
                pass

        wanted = WantedAccess(subscription_id=1, user_id=101, end_date=NOW)
        for asked in (users(), client.devices("1"), client.usage("1"), client.create(wanted, "tg_101")):
            with pytest.raises(PanelError):
                await asked
        await client.close()
