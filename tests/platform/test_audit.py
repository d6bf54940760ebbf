"""The chain of the audit log: whatever is done to it behind the product's back is found."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from getpro import migrations
from getpro.platform import audit
from getpro.platform.audit import Claim, Head, Verified
from getpro.platform.database import Database, Session

NOW = datetime(2026, 11, 2, 9, 0, 0, 123_456, tzinfo=UTC)
SPECIAL = 'ё "\\ \n\t\r\b\f/\x01\x1f\x7f\u2028 🔑'

SLIPPED_IN = (
    "INSERT INTO audit_log (at, actor, action, subject, reason, outcome)"
    " VALUES (now(), 'x', 'x', 'x', 'x', 'x')"
)
REORDERED = (
    "UPDATE audit_chain SET audit_id = -1 WHERE position = 1;"
    "UPDATE audit_chain SET audit_id = 1 WHERE position = 2;"
    "UPDATE audit_chain SET audit_id = 2 WHERE position = 1"
)


async def note(session: Session, reason: str = "проба", *, after: int = 0) -> int:
    return await audit.note(
        session,
        actor="@alice (101)",
        action="customers.extend",
        subject="u42",
        reason=reason,
        outcome="7 days",
        now=NOW + timedelta(seconds=after),
    )


async def noted(db: Database, many: int = 3) -> list[int]:
    found = []
    for number in range(many):
        async with db.begin("test") as session:
            found.append(await note(session, f"причина {number}", after=number))
    return found


async def verified(db: Database, *claims: Claim) -> Verified:
    async with db.read("test") as session:
        return await audit.verified(session, claims)


@asynccontextmanager
async def past_the_rule(db: Database) -> AsyncIterator[Session]:
    """As somebody who holds the database, and has switched its triggers off."""
    async with db.begin("test") as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        yield session


async def test_what_was_written_is_whole_whatever_signs_are_in_it(db: Database) -> None:
    assert (await verified(db)).head == Head()
    async with db.begin("test") as session:
        await note(session, SPECIAL)
        await note(session, "")
    found = await verified(db)
    assert found.is_whole
    assert found.head.position == 2
    async with db.read("test") as session:
        assert await audit.head(session) == found.head


@pytest.mark.parametrize(
    ("deed", "seen"),
    [
        ("UPDATE audit_log SET reason = 'другая' WHERE audit_id = 2", lambda it: it.changed == [2]),
        ("UPDATE audit_log SET at = at + interval '1 microsecond' WHERE audit_id = 2",
         lambda it: it.changed == [2]),
        ("DELETE FROM audit_log WHERE audit_id = 2", lambda it: it.gone == [2]),
        ("TRUNCATE audit_log", lambda it: it.gone == [1, 2, 3]),
        (SLIPPED_IN, lambda it: it.slipped_in == [4]),
        ("DELETE FROM audit_chain WHERE position = 2",
         lambda it: it.gaps == [2] and it.slipped_in == [2]),
        (REORDERED, lambda it: it.changed == [2, 1]),
    ],
    ids=["changed", "moved in time", "deleted", "truncated", "slipped in", "link deleted", "reordered"],
)  # fmt: skip
async def test_what_is_done_past_the_rule_is_found(
    db: Database, deed: str, seen: Callable[[Verified], bool]
) -> None:
    assert await noted(db) == [1, 2, 3]
    async with past_the_rule(db) as session:
        for each in deed.split(";"):
            await session.execute(text(each))
    found = await verified(db)
    assert not found.is_whole
    assert seen(found), found


async def test_an_end_that_is_cut_off_is_found_by_a_head_that_lies_elsewhere(db: Database) -> None:
    await noted(db)
    before = (await verified(db)).head
    known = Claim(Head.parse(str(before)), "отчёт за октябрь")
    async with past_the_rule(db) as session:
        await session.execute(text("DELETE FROM audit_log WHERE audit_id = 3"))
        await session.execute(text("DELETE FROM audit_chain WHERE position = 3"))
    assert (await verified(db)).is_whole  # by itself it cannot know
    assert (await verified(db, known)).belied == [known]
    async with db.begin("test") as session:
        await note(session, "вместо неё")
    assert (await verified(db, known)).belied == [known]


async def test_a_head_that_the_chain_has_grown_past_is_still_true(db: Database) -> None:
    await noted(db)
    known = Claim((await verified(db)).head, "копия")
    await noted(db)
    assert (await verified(db, known, Claim(Head(), "пустая база"))).is_whole


async def test_rows_are_neither_changed_nor_deleted_by_the_rule(db: Database) -> None:
    await noted(db, 1)
    for deed in (
        "UPDATE audit_log SET reason = ''",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_chain SET position = 7",
        "DELETE FROM audit_chain",
        "TRUNCATE audit_chain",
    ):
        with pytest.raises(DBAPIError, match="neither changed nor deleted"):
            async with db.begin("test") as session:
                await session.execute(text(deed))


async def test_those_who_write_at_once_make_one_chain_and_wait_for_nobody_before_they_commit(
    db: Database,
) -> None:
    first_wrote, second_is_done = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with db.begin("test") as session:
            await note(session, "медленная")
            first_wrote.set()
            await asyncio.wait_for(second_is_done.wait(), 20)

    async def fast() -> None:
        await first_wrote.wait()
        async with db.begin("test") as session:
            await note(session, "быстрая")
        second_is_done.set()

    await asyncio.gather(slow(), fast())
    await asyncio.gather(*(noted(db, 3) for _ in range(8)))
    found = await verified(db)
    assert (found.is_whole, found.head.position) == (True, 26)


async def test_a_log_of_many_pages_is_gone_through_to_its_end(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_BATCH", 2)
    await noted(db, 5)
    known = [Claim(Head(at, "0" * 64), "x") for at in (3, 6)]
    assert [one.head.position for one in (await verified(db, *known)).belied] == [3, 6]
    assert (await verified(db)).is_whole
    async with past_the_rule(db) as session:
        await session.execute(text("UPDATE audit_log SET actor = 'eve' WHERE audit_id IN (3, 5)"))
    assert (await verified(db)).changed == [3, 5]


async def test_what_is_rolled_back_leaves_no_hole(db: Database) -> None:
    await noted(db, 1)

    async def fails() -> None:
        async with db.begin("test") as session:
            await note(session)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    await noted(db, 1)
    found = await verified(db)
    assert (found.is_whole, found.head.position) == (True, 2)


async def test_rows_of_before_the_chain_are_linked_as_they_are(server: str) -> None:
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        config = migrations.alembic_config(f"{server}/{name}")
        command.upgrade(config, "0019")
        with psycopg.connect(f"{server}/{name}") as database:
            database.execute("SET TIME ZONE 'Asia/Tokyo'")
            database.cursor().executemany(
                "INSERT INTO audit_log (at, actor, action, subject, reason, outcome)"
                " VALUES (%s, 'bob', 'x', 'u1', %s, 'y')",
                [(NOW, SPECIAL), (NOW, "вторая")],
            )
        command.upgrade(config, "head")
        db = Database(f"{server}/{name}")
        found = await verified(db)
        await db.close()
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    assert (found.is_whole, found.head.position) == (True, 2)


@pytest.mark.parametrize("said", ["", "7", "7:", "7:abc", "x:0123456789abcdef", "7:0123456789abcdeg"])
def test_what_is_no_head_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="no head"):
        Head.parse(said)
