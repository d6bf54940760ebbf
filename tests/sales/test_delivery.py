import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from getpro.panel.errors import PanelRefused
from getpro.sales import delivery, reconcile, stuck, trial
from getpro.sales.errors import TrialUsed
from getpro.sales.reconcile import Difference
from getpro.subscriptions import store as subscriptions
from moments import lose_jobs
from shop import NOW, Shop, days


async def subscription_id(shop: Shop, user_id: int) -> int:
    async with shop.db.begin("test") as session:
        found = await subscriptions.of_customer(session, user_id)
    assert found is not None
    return found.subscription_id


async def test_an_older_delivery_that_lands_last_does_not_win(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    older_end, newer_end = NOW + days(60), NOW + days(90)
    await shop.notice(shop.pay(await shop.order(alice)))
    await shop.run_jobs("settle")
    number = await subscription_id(shop, alice)
    shop.panel.held[older_end] = asyncio.Event()
    older = asyncio.create_task(delivery.deliver(shop.deps, number))
    while shop.panel.calls["change"] == 0:
        await asyncio.sleep(0.01)
    await shop.notice(shop.pay(await shop.order(alice)))
    await shop.run_jobs("settle")
    await delivery.deliver(shop.deps, number)
    assert shop.panel.expiry_of(alice) == newer_end
    await lose_jobs(shop.db)  # both deliveries run here: no job may make up for them
    shop.panel.held[older_end].set()
    await older
    assert shop.panel.expiry_of(alice) == older_end
    await shop.run_jobs()
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice) == newer_end


async def test_two_orders_delivered_at_once_turn_both_their_screens(shop: Shop) -> None:
    alice = await shop.customer("alice")
    before, first, second = [await shop.order(alice) for _ in range(3)]
    await shop.notice(shop.pay(before))
    await shop.run_jobs()
    await tell(shop)
    shop.clock.forward(seconds=1)
    for order in (first, second):
        await shop.notice(shop.pay(order))
    await shop.run_jobs("settle")
    await lose_jobs(shop.db)
    await delivery.deliver(shop.deps, await subscription_id(shop, alice))
    assert await turned(shop) == [first.payment_id, second.payment_id]
    assert await shop.told(alice) == ["access_open", "access_open"]


async def tell(shop: Shop) -> None:
    """Every notice is sent."""
    async with shop.db.begin("test") as session:
        await session.execute(text("UPDATE notices SET sent_at = :now"), {"now": shop.clock()})


async def turned(shop: Shop) -> list[int]:
    """The orders whose screens are to be turned, by themselves or with the news that are told on them."""
    async with shop.db.begin("test") as session:
        rows = await session.scalars(
            text(
                "SELECT args->'payment_id' FROM procrastinate_jobs WHERE task_name = 'turn_screen'"
                " UNION ALL SELECT arguments->'payment_id' FROM notices JOIN procrastinate_jobs"
                " ON (args->>'notice_id')::bigint = notice_id WHERE task_name = 'send_notice'"
            )
        )
        return sorted(rows)


async def test_a_delivery_at_once_turns_the_waiting_screen_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    order = await shop.order(alice)
    await shop.notice(shop.pay(order))
    await shop.run_jobs("settle")
    assert await turned(shop) == []
    await shop.run_jobs("deliver")
    assert await turned(shop) == [order.payment_id]


async def test_a_panel_that_takes_long_lets_the_screen_say_meanwhile_that_the_money_has_come(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_SLOW_SECONDS", 0.01)
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    order = await shop.order(alice)
    await shop.notice(shop.pay(order))
    await shop.run_jobs("settle")
    await lose_jobs(shop.db)
    end = await shop.subscription_end(alice)
    assert end is not None
    shop.panel.held[end] = asyncio.Event()
    delivering = asyncio.create_task(delivery.deliver(shop.deps, await subscription_id(shop, alice)))
    await until_async(lambda: turned(shop), [order.payment_id])
    assert shop.panel.expiry_of(alice) != end
    shop.panel.held[end].set()
    await delivering
    assert shop.panel.expiry_of(alice) == end


async def test_an_order_paid_while_an_earlier_one_waits_for_the_panel_says_that_its_money_has_come(
    shop: Shop,
) -> None:
    alice = await shop.customer("alice")
    first, second = [await shop.order(alice) for _ in range(2)]
    for order in (first, second):
        await shop.notice(shop.pay(order))
        await shop.run_jobs("settle")
    assert await turned(shop) == [second.payment_id]


async def until_async(read: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(10):
        while await read() != wanted:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_told", [False, True])
async def test_an_order_that_was_overtaken_before_it_was_told_of_turns_its_screen_in_the_end(
    shop: Shop, *, is_told: bool
) -> None:
    alice = await shop.customer("alice")
    first, second, third = [await shop.order(alice) for _ in range(3)]
    for order in (first, second):
        await shop.notice(shop.pay(order))
        await shop.run_jobs("settle")
    await shop.run_jobs("deliver")
    await shop.notice(shop.pay(third))
    await shop.run_jobs("settle")
    if is_told:
        shop.clock.forward(seconds=1)
        await tell(shop)  # their screens say now that access is being updated
    await lose_jobs(shop.db)
    await delivery.deliver(shop.deps, await subscription_id(shop, alice))
    assert await turned(shop) == [first.payment_id, second.payment_id, third.payment_id]


async def test_a_delivery_that_runs_again_and_again_changes_nothing(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    number = await subscription_id(shop, alice)
    for _ in range(3):
        await delivery.deliver(shop.deps, number)
    assert await shop.subscription_end(alice) == shop.panel.expiry_of(alice) == NOW + days(30)
    assert await shop.told(alice) == ["access_open"]


async def test_the_panel_away_during_fifty_purchases_delivers_all_after(shop: Shop) -> None:
    shop.panel.is_away = True
    people = range(1000, 1050)
    for user_id in people:
        await shop.new_customer(user_id)
        await shop.notice(shop.pay(await shop.order(user_id)))
    await shop.run_jobs()
    await shop.run_jobs()
    assert all([await shop.told(user_id) == ["access_delayed"] for user_id in people])
    shop.panel.is_away = False
    assert await shop.run_jobs() == []
    for user_id in people:
        assert shop.panel.expiry_of(user_id) == await shop.subscription_end(user_id) == NOW + days(30)
        assert await shop.told(user_id) == ["access_delayed", "access_open"]


async def test_a_refusal_of_the_panel_is_shown_after_five_minutes(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.panel.trouble = PanelRefused("500 A018 Failed to create user")
    await shop.notice(shop.pay(await shop.order(alice)))
    await shop.run_jobs()
    assert await stuck.list_stuck(shop.deps) == []
    shop.clock.forward(minutes=6)
    items = await stuck.list_stuck(shop.deps)
    assert [item.kind for item in items] == ["not_delivered_refused"]
    assert "A018" in items[0].details


async def test_a_lost_answer_of_the_panel_makes_no_second_user(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.panel.loses_answers = True
    await shop.notice(shop.pay(await shop.order(alice)))
    await shop.run_jobs()
    shop.panel.loses_answers = False
    await shop.run_jobs()
    assert len(shop.panel.users_by_id) == 1
    assert shop.panel.expiry_of(alice) == NOW + days(30)


async def test_a_foreign_user_with_our_name_is_never_taken_over(shop: Shop) -> None:
    alice = await shop.customer("alice")
    foreign = shop.panel.foreign_user(f"tg_{alice}", telegram_id=alice)
    await shop.purchase(alice)
    assert shop.panel.users_by_id[foreign.account.panel_user_id] == foreign
    assert shop.panel.expiry_of(alice) == NOW + days(30)


async def test_a_user_deleted_on_the_panel_is_made_again(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.panel.users_by_id.clear()
    comparison = await reconcile.compare_panel(shop.deps)
    assert [finding.difference for finding in comparison.findings] == [Difference.MISSING]
    assert await reconcile.apply(shop.deps, comparison) == 1
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == NOW + days(30)
    assert await shop.told(alice) == ["access_open"]


async def test_the_reconciler_never_shortens_and_never_deletes(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    number = next(iter(shop.panel.users_by_id))
    gift = shop.panel.users_by_id[number].expire_at + days(10)
    shop.panel.set_expiry(number, gift)
    shop.panel.foreign_user("somebody")
    comparison = await reconcile.compare_panel(shop.deps)
    assert [finding.difference for finding in comparison.findings] == [Difference.LONGER]
    assert await reconcile.apply(shop.deps, comparison) == 0


async def test_a_repair_opens_access_and_takes_nothing_that_a_person_gave(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    gift = NOW + days(40)
    shop.panel.users_by_id["1"] = replace(shop.panel.users_by_id["1"], status="DISABLED", expire_at=gift)
    comparison = await reconcile.compare_panel(shop.deps)
    assert [finding.difference for finding in comparison.findings] == [
        Difference.DISABLED,
        Difference.LONGER,
    ]
    assert (await reconcile.apply(shop.deps, comparison), comparison.to_decide) == (1, 1)
    await shop.run_jobs()
    assert (shop.panel.users_by_id["1"].status, shop.panel.users_by_id["1"].expire_at) == ("ACTIVE", gift)
    await shop.purchase(alice)
    assert shop.panel.expiry_of(alice) == NOW + days(60)


async def test_a_trial_is_given_once_and_leaves_no_payment(shop: Shop) -> None:
    alice = await shop.customer("alice")

    async def start() -> str:
        try:
            async with shop.db.begin("test") as session:
                await trial.start_trial(session, shop.deps, user_id=alice)
        except TrialUsed:
            return "used"
        return "started"

    assert sorted(await asyncio.gather(*(start() for _ in range(5)))) == ["started"] + ["used"] * 4
    await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == await shop.subscription_end(alice) == NOW + days(3)
    assert await shop.succeeded(alice) == []


async def test_days_bought_during_a_trial_are_added_to_it(shop: Shop) -> None:
    alice = await shop.customer("alice")
    async with shop.db.begin("test") as session:
        await trial.start_trial(session, shop.deps, user_id=alice)
    await shop.purchase(alice)
    assert shop.panel.expiry_of(alice) == NOW + days(33)


async def test_an_expired_subscription_is_inactive_and_a_purchase_counts_from_now(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.clock.forward(days=31)
    async with shop.db.begin("test") as session:
        assert await subscriptions.expire_due(session, now=shop.clock()) == 1
        assert await subscriptions.expire_due(session, now=shop.clock()) == 0
    await shop.purchase(alice)
    assert shop.panel.expiry_of(alice) == NOW + days(61)
    async with shop.db.begin("test") as session:
        found = await subscriptions.of_customer(session, alice)
    assert found is not None
    assert found.is_active
