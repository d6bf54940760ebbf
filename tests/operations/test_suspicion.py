"""Suspicious activity: what no customer does and no honest provider sends is named, the usual is not."""

from datetime import UTC, timedelta
from ipaddress import ip_network
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import insert, text, update

from getpro.checks.check import Level
from getpro.customers.models import users
from getpro.messaging import partitions
from getpro.messaging.models import message_logs
from getpro.operations import refused
from getpro.operations.looks import suspicion
from getpro.operations.models import refusals
from getpro.operations.refused import Refused
from getpro.payments.models import refunds
from getpro.platform.database import Database
from getpro.webhooks.refusals import MOST_SOURCES, OTHERS, Refusals
from shop import NOW, Shop

MOSCOW = ZoneInfo("Europe/Moscow")
MONTH, DAY, HOUR = timedelta(days=31), timedelta(days=1), timedelta(hours=1)
Seen = dict[str, tuple[Level, str]]


async def notices(db: Database) -> Seen:
    found = suspicion.look_at_notices(db, now=NOW, span=MONTH)
    return {one.name: (one.level, one.seen) async for one in found}


async def trials(db: Database) -> Seen:
    found = suspicion.look_at_trials(db, now=NOW, span=MONTH, zone=MOSCOW)
    return {one.name: (one.level, one.seen) async for one in found}


async def refunded(db: Database) -> Seen:
    found = suspicion.look_at_refunds(db, now=NOW, span=MONTH, zone=MOSCOW)
    return {one.name: (one.level, one.seen) async for one in found}


async def floods(db: Database) -> Seen:
    found = suspicion.look_at_floods(db, now=NOW, span=MONTH, zone=MOSCOW)
    return {one.name: (one.level, one.seen) async for one in found}


async def refuse(db: Database, source: str, times: int, *, reason: str = "signature", ago: int = 1) -> None:
    one = Refused((NOW - ago * DAY).date(), "cryptopay", reason, source)
    async with db.begin("test") as session:
        await refused.add(session, {one: times}, now=NOW)


async def test_a_source_whose_notices_are_refused_again_and_again_is_named(db: Database) -> None:
    await refuse(db, "203.0.113.7", 4)
    await refuse(db, "203.0.113.7", 5)
    assert await notices(db) == {
        "suspicious.notices": (Level.OK, "всего 9, от кого-то одного немного"),
    }
    await refuse(db, "203.0.113.7", 1, ago=40)  # of another month
    assert list(await notices(db)) == ["suspicious.notices"]
    await refuse(db, "203.0.113.7", 1)
    await refuse(db, "198.51.100.1", 12, reason="size")
    assert await notices(db) == {
        "suspicious.notices.198.51.100.1": (Level.ATTENTION, "cryptopay (size) 12"),
        "suspicious.notices.203.0.113.7": (Level.WRONG, "cryptopay (signature) 10"),
    }


async def test_refusals_are_counted_by_source_and_written_once(db: Database) -> None:
    counting = Refusals()
    for address in ("203.0.113.7", "203.0.113.7", "2001:db8:1:2:3::9", "2001:db8:1:2:4::9", "unknown"):
        counting.note("yookassa", "address", address, now=NOW)
    for _ in range(2):
        await counting.flush(db)
    async with db.read("test") as session:
        rows = (await session.execute(refusals.select().order_by(refusals.c.source))).all()
    assert [(row.source, row.times) for row in rows] == [
        ("2001:db8:1:2::/64", 2),
        ("203.0.113.7", 2),
        ("unknown", 1),
    ]
    assert rows[0].day == NOW.astimezone(UTC).date()


async def test_a_flood_from_everywhere_takes_a_bounded_number_of_rows(db: Database) -> None:
    counting = Refusals()
    for address in list(ip_network("10.0.0.0/21"))[: MOST_SOURCES + 300]:
        counting.note("yookassa", "address", str(address), now=NOW)
    await counting.flush(db)
    async with db.read("test") as session:
        rows = (await session.execute(refusals.select())).all()
    assert len(rows) == MOST_SOURCES + 1
    assert [row.times for row in rows if row.source == OTHERS] == [300]
    async with db.begin("test") as session:
        await refused.forget_old(session, now=NOW + refused.KEPT + 2 * DAY)
    async with db.read("test") as session:
        assert (await session.execute(refusals.select())).all() == []


async def on_trial(shop: Shop, first: int, many: int, *, ago: timedelta, link: str | None = None) -> None:
    rows = [
        {"user_id": number, "trial_started_at": NOW - ago, "start_parameter": link}
        for number in range(first, first + many)
    ]
    async with shop.db.begin("test") as session:
        await session.execute(insert(users), rows)


async def test_trials_that_come_in_a_burst_are_named(shop: Shop) -> None:
    for hour in range(20):
        await on_trial(shop, 1000 + hour, 1, ago=(hour + 5) * HOUR)
    assert await trials(shop.db) == {"suspicious.trials": (Level.OK, "взято 20, всплесков нет")}
    await on_trial(shop, 5000, 12, ago=100 * HOUR)
    [(name, found)] = (await trials(shop.db)).items()
    assert name == f"suspicious.trials.{NOW - 100 * HOUR:%Y-%m-%dT%H}"
    assert found == (Level.ATTENTION, "за час 12")


async def test_a_shop_that_is_always_busy_has_no_bursts(shop: Shop) -> None:
    rows = [
        {"user_id": 10_000 + number, "trial_started_at": NOW - number // 12 * HOUR}
        for number in range(31 * 24 * 12)
    ]
    async with shop.db.begin("test") as session:
        await session.execute(insert(users), rows)
    assert list(await trials(shop.db)) == ["suspicious.trials"]


async def test_a_link_that_brings_trials_and_never_a_payment_is_named(shop: Shop) -> None:
    for number in range(12):
        await on_trial(shop, 1000 + number, 1, ago=(24 + 5 * number) * HOUR, link="farm")
        await on_trial(shop, 2000 + number, 1, ago=(24 + 5 * number) * HOUR, link="honest")
    await shop.purchase(2003)
    assert await trials(shop.db) == {
        "suspicious.trials.farm": (Level.ATTENTION, "взято 12, не купил никто"),
    }


async def give_back(shop: Shop, payment_id: int, many: int, *, ago: timedelta, origin: str = "shop") -> None:
    rows = [
        {
            "payment_id": payment_id,
            "refund_key": uuid4(),
            "status": "pending",
            "origin": origin,
            "refunded_amount": 1,
            "refunded_currency": "RUB",
            "asked_by": "olga",
            "reason": "x",
            "created_at": NOW - ago,
        }
        for _ in range(many)
    ]
    async with shop.db.begin("test") as session:
        await session.execute(insert(refunds), rows)


async def test_a_week_with_many_more_refunds_than_before_is_named(shop: Shop) -> None:
    paid = (await shop.purchase(await shop.customer("alice"))).payment_id
    for week in range(1, 10):
        await give_back(shop, paid, 2, ago=week * 7 * DAY + DAY)
    await give_back(shop, paid, 4, ago=2 * DAY)
    assert await refunded(shop.db) == {"suspicious.refunds": (Level.OK, "за 31 дн. 12, как обычно")}
    await give_back(shop, paid, 3, ago=2 * DAY)
    assert await refunded(shop.db) == {
        "suspicious.refunds.2026-02-23": (Level.ATTENTION, "7, обычно 2,0"),
    }


async def test_a_refund_made_past_the_shop_is_named(shop: Shop) -> None:
    paid = (await shop.purchase(await shop.customer("alice"))).payment_id
    await give_back(shop, paid, 1, ago=DAY, origin="cabinet")
    assert await refunded(shop.db) == {
        "suspicious.refunds.cabinet": (Level.ATTENTION, "сделано в кабинете: 1"),
    }


async def test_whoever_presses_faster_than_people_do_is_named(db: Database) -> None:
    row = {"user_id": 42, "timestamp": NOW - 3 * HOUR, "kind": "button", "content": "go:menu"}
    async with db.begin("test") as session:
        for statement in partitions.statements(NOW):
            await session.execute(text(statement))
        await session.execute(insert(message_logs), [row] * 599)
    assert await floods(db) == {"suspicious.floods": (Level.OK, "ни от кого")}
    async with db.begin("test") as session:
        await session.execute(insert(message_logs), [row])
    assert await floods(db) == {
        "suspicious.floods.42": (Level.ATTENTION, "до 600 за час, в последний раз 01.03.2026 12:00"),
    }


async def test_a_burst_of_before_is_none_of_this_month(shop: Shop) -> None:
    await on_trial(shop, 5000, 12, ago=40 * DAY)
    async with shop.db.begin("test") as session:
        await session.execute(update(users).values(registration_date=NOW - 40 * DAY))
    assert list(await trials(shop.db)) == ["suspicious.trials"]
