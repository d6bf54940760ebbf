"""The message log: what cannot be written holds up nothing else."""

from sqlalchemy import text

from getpro.bot.message_log import MessageLog
from getpro.messaging import partitions
from getpro.platform.database import Database
from shop import NOW


async def test_a_row_that_no_table_can_hold_is_lost_alone(db: Database) -> None:
    message_log = MessageLog(db)
    for user_id in (1, 10**30, 2):
        message_log._waiting.append(
            {"user_id": user_id, "timestamp": NOW, "kind": "message", "content": None, "update_id": 1}
        )
    async with db.begin("test") as session:
        await session.execute(text(partitions.statements(NOW)[1]))
    await message_log.flush()
    async with db.begin("test") as session:
        kept = list(await session.scalars(text("SELECT user_id FROM message_logs ORDER BY user_id")))
    assert (kept, message_log.dropped) == ([1, 2], 1)
