"""Reminders of an end: by day where the customer is, each at most once, none after a renewal."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from getpro.customers import store as customers
from getpro.messaging.models import notices
from getpro.sales import desk, refunds, reminders, trial
from getpro.sales.reminders import Reminder, due_for
from getpro.subscriptions import store as subscriptions
from shop import OLGA, Shop, days

MOSCOW = ZoneInfo("Europe/Moscow")
KAMCHATKA = ZoneInfo("Asia/Kamchatka")


def moscow(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=MOSCOW)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("04-30 15:00", ["04-27 12:00", "04-29 12:00", "04-30 15:00", "05-01 12:00"]),
        ("04-30 03:00", ["04-27 12:00", "04-29 12:00", "04-30 09:00", "05-01 12:00"]),
        ("04-30 21:00", ["04-27 12:00", "04-29 12:00", "05-01 09:00", "05-02 12:00"]),
        ("04-30 23:59", ["04-27 12:00", "04-29 12:00", "05-01 09:00", "05-02 12:00"]),
    ],
)
def test_reminders_come_by_day_in_their_order(end: str, expected: list[str]) -> None:
    dues = list(due_for(moscow(end), changed_at=moscow("03-31 15:00"), zone=MOSCOW))
    assert [due.reminder for due in dues] == list(Reminder)
    assert [due.at for due in dues] == [moscow(at) for at in expected]


@pytest.mark.parametrize(
    ("changed_at", "expected"),
    [
        ("04-26 11:00", list(Reminder)),
        ("04-26 13:00", list(Reminder)[1:]),
        ("04-28 13:00", list(Reminder)[2:]),
        ("04-30 15:00", []),
    ],
)
def test_whoever_has_just_bought_is_not_reminded(changed_at: str, expected: list[Reminder]) -> None:
    dues = due_for(moscow("04-30 15:00"), changed_at=moscow(changed_at), zone=MOSCOW)
    assert [due.reminder for due in dues] == expected


ZONES = st.sampled_from(
    ["Europe/Moscow", "Asia/Kamchatka", "Europe/Berlin", "Etc/GMT+12", "Etc/GMT-14", "UTC"]
)
ENDS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 -- the strategy adds the zone


@given(ENDS, ZONES)
def test_none_comes_by_night_and_none_after_its_day(end: datetime, zone: str) -> None:
    there = ZoneInfo(zone)
    dues = list(due_for(end, changed_at=end - timedelta(days=30), zone=there))
    for due in dues:
        at, until = due.at.astimezone(there), due.until.astimezone(there)
        assert 9 <= at.hour < 21
        assert at < until
        assert at.date() == until.date()
        is_before = due.reminder in {Reminder.IN_THREE_DAYS, Reminder.TOMORROW}
        assert (due.at < end) is is_before
    assert [due.at for due in dues] == sorted(due.at for due in dues)


async def reminded(shop: Shop, user_id: int) -> list[str]:
    async with shop.db.begin("test") as session:
        rows = await session.scalars(
            select(notices.c.arguments["reminder"].astext)
            .where(notices.c.user_id == user_id, notices.c.kind == "reminder")
            .order_by(notices.c.notice_id)
        )
        return list(rows)


async def live(shop: Shop, time: timedelta, *, step: timedelta = timedelta(minutes=30)) -> None:
    """Time goes by, and the routine comes round."""
    until = shop.clock() + time
    while shop.clock() < until:
        shop.clock.now += step
        await reminders.remind(shop.deps, MOSCOW)


async def test_a_month_has_four_reminders_and_then_silence(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await live(shop, days(26))
    assert await reminded(shop, alice) == []
    await live(shop, days(40), step=timedelta(hours=1))
    assert await reminded(shop, alice) == list(Reminder)


async def test_a_renewal_brings_new_reminders_and_no_old_ones(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await live(shop, days(28))
    await shop.purchase(alice)
    await live(shop, days(28))
    assert await reminded(shop, alice) == [Reminder.IN_THREE_DAYS]
    await live(shop, days(2))
    assert await reminded(shop, alice) == [Reminder.IN_THREE_DAYS] * 2


async def test_a_shop_that_was_away_over_a_reminders_day_leaves_it_out(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await live(shop, days(26))
    shop.clock.forward(days=1, hours=10)
    await live(shop, days(4))
    assert await reminded(shop, alice) == [Reminder.TOMORROW, Reminder.ENDED, Reminder.DAY_AFTER]


async def test_a_shop_that_was_away_for_hours_reminds_on_the_same_day(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.clock.now = datetime(2026, 3, 28, 17, 59, tzinfo=UTC)  # 20:59 in Moscow, three days before
    await reminders.remind(shop.deps, MOSCOW)
    assert await reminded(shop, alice) == [Reminder.IN_THREE_DAYS]


async def test_reminders_come_by_the_customers_own_clock(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    for user_id in (alice, bob):
        await shop.purchase(user_id)
    async with shop.db.begin("test") as session:
        await customers.set_zone(session, alice, "Asia/Kamchatka")
    shop.clock.now = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)  # 11:30 on Kamchatka, 2:30 in Moscow
    await reminders.remind(shop.deps, MOSCOW)
    assert (await reminded(shop, alice), await reminded(shop, bob)) == ([], [])
    shop.clock.forward(hours=1)
    await reminders.remind(shop.deps, MOSCOW)
    assert (await reminded(shop, alice), await reminded(shop, bob)) == ([Reminder.IN_THREE_DAYS], [])
    shop.clock.now = datetime(2026, 3, 30, 9, 30, tzinfo=UTC)  # 21:30 on Kamchatka, 12:30 in Moscow
    await reminders.remind(shop.deps, MOSCOW)
    assert (await reminded(shop, alice), await reminded(shop, bob)) == (
        [Reminder.IN_THREE_DAYS],
        [Reminder.TOMORROW],
    )


async def test_whoever_does_not_want_reminders_has_none_until_they_do(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    async with shop.db.begin("test") as session:
        await customers.set_reminded(session, alice, is_reminded=False)
    await live(shop, days(28))
    assert await reminded(shop, alice) == []
    async with shop.db.begin("test") as session:
        await customers.set_reminded(session, alice, is_reminded=True)
        await reminders.look_again(session, alice, now=shop.clock())
    await live(shop, days(4))
    assert await reminded(shop, alice) == list(Reminder)[1:]


async def test_looking_again_tells_nothing_twice(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    for _ in range(64):
        await live(shop, timedelta(hours=12), step=timedelta(hours=1))
        async with shop.db.begin("test") as session:
            await reminders.look_again(session, alice, now=shop.clock())
    assert await reminded(shop, alice) == list(Reminder)


async def test_an_access_that_was_given_back_is_not_spoken_of_again(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    await refunds.ask_refund(shop.deps, payment.payment_id, by=OLGA, reason="просили")
    await live(shop, days(5))
    assert await reminded(shop, alice) == []


async def test_a_repair_of_the_panel_is_no_purchase(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.clock.now = datetime(2026, 3, 28, 8, 0, tzinfo=UTC)
    async with shop.db.begin("test") as session:
        found = await subscriptions.of_customer(session, alice)
        assert found is not None
        assert await subscriptions.want_again(session, found.subscription_id, now=shop.clock())
    await live(shop, timedelta(hours=2))
    assert await reminded(shop, alice) == [Reminder.IN_THREE_DAYS]


async def blocked(shop: Shop, user_id: int) -> None:
    async with shop.db.begin("test") as session:
        await desk.block(session, shop.deps, user_id, by=OLGA, reason="спам")


async def let_in_again(shop: Shop, user_id: int) -> None:
    async with shop.db.begin("test") as session:
        await desk.unblock(session, shop.deps, user_id, by=OLGA, reason="ошиблись")


async def test_whoever_is_shut_out_is_not_reminded(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await blocked(shop, alice)
    await live(shop, days(40), step=timedelta(hours=1))
    assert await reminded(shop, alice) == []


async def test_to_be_let_in_again_is_no_purchase(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await blocked(shop, alice)
    shop.clock.now = datetime(2026, 3, 28, 8, 0, tzinfo=UTC)  # 11:00 in Moscow, three days before
    await let_in_again(shop, alice)
    await live(shop, days(5))
    assert await reminded(shop, alice) == list(Reminder)


async def test_whoever_is_let_in_on_a_reminders_day_has_it_still(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await blocked(shop, alice)
    shop.clock.now = datetime(2026, 3, 28, 8, 0, tzinfo=UTC)
    await live(shop, timedelta(hours=4))
    await let_in_again(shop, alice)
    await live(shop, timedelta(hours=1))
    assert await reminded(shop, alice) == [Reminder.IN_THREE_DAYS]


async def test_a_trial_is_reminded_a_day_before_and_when_it_ends(shop: Shop) -> None:
    alice = await shop.customer("alice")
    async with shop.db.begin("test") as session:
        await trial.start_trial(session, shop.deps, user_id=alice)
    await live(shop, days(6))
    assert await reminded(shop, alice) == [Reminder.TOMORROW, Reminder.ENDED, Reminder.DAY_AFTER]


async def test_the_routine_looks_only_at_what_is_due(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await reminders.remind(shop.deps, MOSCOW)
    async with shop.db.begin("test") as session:
        assert await session.scalar(text("SELECT next_reminder_at FROM subscriptions")) == datetime(
            2026, 3, 28, 9, 0, tzinfo=UTC
        )
        await session.execute(text("UPDATE subscriptions SET end_date = end_date + interval '1 year'"))
    shop.clock.now = datetime(2026, 3, 28, 8, 59, tzinfo=UTC)
    await reminders.remind(shop.deps, MOSCOW)
    async with shop.db.begin("test") as session:
        assert await session.scalar(text("SELECT next_reminder_at FROM subscriptions")) == datetime(
            2026, 3, 28, 9, 0, tzinfo=UTC
        )
