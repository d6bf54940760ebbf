"""The message log: what cannot be written holds up nothing else."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from getpro.bot import message_log as module
from getpro.bot.message_log import MessageLog
from getpro.messaging import partitions
from getpro.platform.database import Database
from moments import until_it_waits
from shop import NOW


def row(user_id: int) -> dict[str, Any]:
    return {"user_id": user_id, "timestamp": NOW, "kind": "message", "content": None, "update_id": 1}


async def kept(db: Database) -> list[int]:
    async with db.begin("test") as session:
        return list(await session.scalars(text("SELECT user_id FROM message_logs ORDER BY user_id")))


async def make_partition(db: Database) -> None:
    async with db.begin("test") as session:
        await session.execute(text(partitions.statements(NOW)[1]))


async def test_a_row_that_no_table_can_hold_is_lost_alone(db: Database) -> None:
    message_log = MessageLog(db)
    message_log._waiting.extend(row(user_id) for user_id in (1, 10**30, 2))
    await make_partition(db)
    await message_log.flush()
    assert (await kept(db), message_log.dropped) == ([1, 2], 1)


async def test_what_is_being_written_when_the_shop_stops_is_written(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EVERY_SECONDS", 0)
    await make_partition(db)
    message_log = MessageLog(db)
    message_log._waiting.extend(row(user_id) for user_id in (1, 2))
    async with db.begin("test") as session:
        await session.execute(text("LOCK TABLE message_logs"))
        running = asyncio.create_task(message_log.run())
        await until_it_waits(db, running)
        running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await kept(db) == [1, 2]
