"""The message log: written in batches, off the path of the reply."""

import asyncio
from collections import deque
from datetime import datetime
from typing import Any, Final

import structlog
from aiogram.types import Update
from sqlalchemy import bindparam, insert, select
from sqlalchemy.exc import DataError, SQLAlchemyError

from getpro.messaging.models import message_logs
from getpro.platform.database import DATABASE_AWAY, Database, Session
from getpro.platform.prepared import Prepared

log = structlog.get_logger(__name__)

BATCH: Final = 500
LONGEST_QUEUE: Final = 20_000
_EVERY_SECONDS: Final = 1.0
_LONGEST_CONTENT: Final = 64


class MessageLog:
    """Keeps what customers did: the command or the button, never a text that they wrote."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: deque[dict[str, Any]] = deque(maxlen=LONGEST_QUEUE)
        self.dropped = 0
        """Rows lost because the database was away for long."""

    def note(self, update: Update, *, now: datetime) -> None:
        """Put an update of a person into the queue."""
        event = update.event
        person = getattr(event, "from_user", None)
        if person is None:
            return
        if len(self._waiting) == LONGEST_QUEUE:
            self.dropped += 1
        kind, content = _kind(update)
        self._waiting.append(
            {
                "user_id": person.id,
                "timestamp": now,
                "kind": kind,
                "content": content,
                "update_id": update.update_id,
            }
        )

    async def run(self) -> None:
        """Write until cancelled; what still waits is written at the end."""
        try:
            while True:
                await asyncio.sleep(_EVERY_SECONDS)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits; rows come back into the queue when the database is away.

        They do, too, when the writing is cancelled: some may then be written twice, but none is lost.
        """
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._write(batch)
            except (SQLAlchemyError, *DATABASE_AWAY) as error:
                log.warning("message_log.not_written", rows=len(batch), error=type(error).__name__)
                self._waiting.extendleft(reversed(batch))
                return
            except asyncio.CancelledError:
                self._waiting.extendleft(reversed(batch))
                raise

    async def _write(self, batch: list[dict[str, Any]]) -> None:
        try:
            async with self._db.begin("message log") as session:
                await session.execute(insert(message_logs), batch)
        except DataError:
            await self._write_one_by_one(batch)

    async def _write_one_by_one(self, batch: list[dict[str, Any]]) -> None:
        """Lose only the row that no table can hold, such as one with an id of thirty digits."""
        for row in batch:
            try:
                async with self._db.begin("message log") as session:
                    await session.execute(insert(message_logs), [row])
            except (SQLAlchemyError, *DATABASE_AWAY) as error:
                self.dropped += 1
                log.warning("message_log.row_dropped", error=type(error).__name__)


_WRITTEN: Final = Prepared(
    select(message_logs.c.user_id)
    .where(
        message_logs.c.user_id == bindparam("user_id"),
        message_logs.c.timestamp > bindparam("since"),
        message_logs.c.kind == "message",
    )
    .limit(1)
)


async def has_written(session: Session, user_id: int, *, since: datetime) -> bool:
    """Whether the customer has sent a message since then: each is answered, by a screen that stands below."""
    return await _WRITTEN.first(session, user_id=user_id, since=since) is not None


def _kind(update: Update) -> tuple[str, str | None]:
    if update.callback_query is not None:
        return "button", (update.callback_query.data or "")[:_LONGEST_CONTENT]
    if update.message is not None and (update.message.text or "").startswith("/"):
        return "message", (update.message.text or "").split()[0][:_LONGEST_CONTENT]
    return ("message" if update.message is not None else update.event_type), None
