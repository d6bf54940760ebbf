"""Transactions and prepared statements: whose turn it is, and what stands when a block breaks off."""

import asyncio
import os
import random
import socket
from datetime import UTC, datetime

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB

from getpro.messaging.models import telegram_updates
from getpro.platform.database import DATABASE_AWAY, Database, NoConnection, Session, driver_connection
from getpro.platform.prepared import Prepared, named
from shop import NOW

THINGS = Table("things", MetaData(), Column("number", Integer), Column("body", JSONB), Column("state", Text))
ADD = Prepared(insert(telegram_updates).values(named("update_id", "seen_at")))
SEEN = Prepared(select(telegram_updates.c.seen_at).where(telegram_updates.c.update_id == bindparam("number")))


class Broken(Exception):
    pass


async def seen(db: Database, number: int) -> datetime | None:
    async with db.read("test") as session:
        found = await SEEN.scalar(session, number=number)
    assert found is None or isinstance(found, datetime)
    return found


async def test_a_prepared_statement_stands_and_falls_with_its_transaction(db: Database) -> None:
    async def break_off() -> None:
        async with db.begin("test") as session:
            await ADD.run(session, update_id=1, seen_at=NOW)
            assert await SEEN.scalar(session, number=1) == NOW
            raise Broken

    with pytest.raises(Broken):
        await break_off()
    assert await seen(db, 1) is None
    async with db.begin("test") as session:
        await ADD.run(session, update_id=1, seen_at=NOW)
        by_sqlalchemy = await session.scalar(select(telegram_updates.c.seen_at))
    assert by_sqlalchemy == await seen(db, 1) == NOW
    assert NOW.tzinfo is UTC


async def test_a_parameter_that_is_forgotten_is_an_error_and_not_a_null(db: Database) -> None:
    async with db.begin("test") as session:
        with pytest.raises(KeyError, match="seen_at"):
            await ADD.run(session, update_id=1)
        assert await SEEN.first(session, number=1) is None


async def test_what_the_statement_fixes_and_what_is_json_arrive_as_they_are(db: Database) -> None:
    add = Prepared(insert(THINGS).values(named("number", "body") | {"state": "new"}))
    read = Prepared(select(THINGS).where(THINGS.c.state == "new").order_by(THINGS.c.number))
    async with db.begin("test") as session:
        await session.execute(insert(telegram_updates), [{"update_id": 1, "seen_at": NOW}])
        await session.exec_driver_sql(
            "CREATE TEMPORARY TABLE things (number integer, body jsonb, state text) ON COMMIT DROP"
        )
        for number, body in enumerate(({"a": [1, None]}, None)):
            await add.run(session, number=number, body=body)
        rows = await read.all(session)
    assert [(row.number, row.body, row.state) for row in rows] == [
        (0, {"a": [1, None]}, "new"),
        (1, None, "new"),
    ]


def test_a_statement_whose_text_depends_on_its_values_is_refused_when_it_is_written() -> None:
    with pytest.raises(AssertionError, match="a list must be an array"):
        Prepared(select(THINGS).where(THINGS.c.number.in_([1, 2])))


async def ask(db: Database) -> None:
    async with db.begin("test") as session:
        await SEEN.first(session, number=1)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:1", "no-such-host.invalid", "?host=/no/such/folder"],
    ids=["port", "name", "socket"],
)
async def test_a_server_that_is_not_there_is_a_database_that_is_away(address: str) -> None:
    host, _, query = address.partition("?")
    db = Database(f"postgresql://nobody@{host}/nothing" + (f"?{query}" if query else ""))
    with pytest.raises(DATABASE_AWAY):
        await ask(db)
    await db.close()


async def test_a_connection_that_is_cut_is_a_database_that_is_away_at_any_moment(database_url: str) -> None:
    db = Database(database_url)

    async def cut(session: Session) -> None:
        descriptor = os.dup((await driver_connection(session)).fileno())
        with socket.socket(fileno=descriptor) as beneath:
            beneath.shutdown(socket.SHUT_RDWR)

    async def cut_before_a_statement() -> None:
        async with db.begin("test") as session:
            await cut(session)
            await SEEN.first(session, number=1)

    async def cut_before_the_commit() -> None:
        async with db.begin("test") as session:
            await ADD.run(session, update_id=1, seen_at=NOW)
            await cut(session)

    for happening in (cut_before_a_statement, cut_before_the_commit):
        with pytest.raises(DATABASE_AWAY):
            await happening()
    await db.close()


async def test_whoever_gets_no_connection_in_time_is_told_that_it_is_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpro.platform.database._TURN_SECONDS", 0.05)
    db = Database(database_url, pool_size=1)
    async with db.read("test") as session:
        await SEEN.first(session, number=1)
        with pytest.raises(NoConnection):
            await ask(db)
    await ask(db)
    await db.close()
    assert NoConnection in DATABASE_AWAY


@pytest.mark.parametrize("error", [OSError("no space left"), TimeoutError()])
def test_what_another_meets_is_no_database_that_is_away(error: Exception) -> None:
    assert not isinstance(error, DATABASE_AWAY)


async def test_connections_are_given_in_the_order_of_asking(database_url: str) -> None:
    db = Database(database_url, pool_size=1)
    chance = random.Random(1)
    asked, served = [], []

    async def come_again_and_again(name: int) -> None:
        for at in range(10):
            await asyncio.sleep(chance.random() / 100)
            asked.append((name, at))
            async with db.read("test") as session:
                await SEEN.first(session, number=1)
                served.append((name, at))

    await asyncio.gather(*(come_again_and_again(name) for name in range(20)))
    await db.close()
    assert served == asked


async def backend(session: Session) -> int:
    """Which of the server's processes answers: one for each connection."""
    return (await driver_connection(session)).info.backend_pid


@pytest.mark.parametrize("how", ["raises", "cancelled", "left by a library"])
async def test_what_a_block_left_open_is_gone_before_the_connection_is_lent_again(
    database_url: str, how: str
) -> None:
    db = Database(database_url, pool_size=1)

    async def break_off() -> None:
        async with db.begin("test") as session:
            if how == "left by a library":
                await session.execute(insert(telegram_updates), [{"update_id": 1, "seen_at": NOW}])
            else:
                await ADD.run(session, update_id=1, seen_at=NOW)
            if how == "cancelled":
                await session.exec_driver_sql("SELECT pg_sleep(60)")
            raise Broken

    broken = asyncio.create_task(break_off())
    if how == "cancelled":
        await asyncio.sleep(0.3)
        broken.cancel()
    with pytest.raises(asyncio.CancelledError if how == "cancelled" else Broken):
        await broken
    assert await seen(db, 1) is None
    async with db.begin("test") as session:
        await ADD.run(session, update_id=1, seen_at=NOW)
    assert await seen(db, 1) == NOW
    await db.close()


async def test_one_connection_serves_whoever_comes_alone(database_url: str) -> None:
    db = Database(database_url)
    async with db.begin("test") as session:
        first = await backend(session)
    for block in (db.read, db.begin, db.read, db.read):
        async with block("test") as session:
            assert await backend(session) == first
    await db.close()


async def test_a_server_that_has_restarted_fails_one_asker_and_no_second(
    db: Database, database_url: str
) -> None:
    lent = Database(database_url)

    async def whoever() -> int:
        async with lent.read("test") as session:
            await session.exec_driver_sql("SELECT pg_sleep(0.2)")
            return await backend(session)

    backends = await asyncio.gather(*(whoever() for _ in range(3)))
    assert len(set(backends)) == len(backends)
    async with db.begin("test") as session:
        for process in backends:
            await session.execute(select(func.pg_terminate_backend(process)))
    with pytest.raises(DATABASE_AWAY):
        await ask(lent)
    for _ in range(3):
        await ask(lent)
    await lent.close()


async def test_a_connection_that_comes_back_to_a_closed_database_is_closed(database_url: str) -> None:
    db = Database(database_url)
    async with db.read("test") as session:
        driver = await driver_connection(session)
        await db.close()
        await SEEN.first(session, number=1)
    assert driver.closed
