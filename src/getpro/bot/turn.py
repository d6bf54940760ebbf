"""One update's turn: its mark, its customer and its effect in one transaction."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiogram.types import User
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.bot.texts import language_of
from getpro.customers.store import Customer, customer_of
from getpro.sales.deps import Deps

_LONGEST_NAME = 128

# The mark, the customer and what changed of them, in one round trip. A later deep link is kept only
# where none was: the first one is who brought the customer. Whoever does something else than answer
# has left the question behind. The row is written at each press, also where nothing changes: a statement
# reads as of its beginning, and only a write waits for the customer's other press, a newcomer's first one
# too, and returns the row as that press has left it. No row comes back exactly where the mark was there.
_BEGIN = text("""
WITH mark AS (
  INSERT INTO telegram_updates (update_id, seen_at) VALUES (:update_id, :now)
  ON CONFLICT DO NOTHING RETURNING update_id
)
INSERT INTO users (user_id, username, first_name, registration_date, language, start_parameter)
SELECT :user_id, :username, :first_name, :now, :language, :start_parameter FROM mark
ON CONFLICT (user_id) DO UPDATE SET
  username = excluded.username, first_name = excluded.first_name,
  start_parameter = coalesce(users.start_parameter, excluded.start_parameter),
  dialog = CASE WHEN :is_answer THEN users.dialog END,
  unreachable_since = NULL, unreachable_reason = NULL
RETURNING *
""")


class SeenBefore(Exception):
    """Telegram sent this update again: its effect has been committed."""


@dataclass(slots=True)
class Turn:
    """Handed to each handler. Money on the way: the update counts as seen only if its effect commits."""

    deps: Deps
    update_id: int
    person: User
    is_answer: bool
    """A message that is no command: it may answer what the bot has asked."""
    _customer: Customer | None = None

    @property
    def customer(self) -> Customer:
        """Who pressed; known inside and after the first :meth:`begin`."""
        assert self._customer is not None
        return self._customer

    @property
    def language(self) -> str:
        """The customer's own choice once it is known, till then Telegram's."""
        return self._customer.language if self._customer else language_of(self.person.language_code)

    @contextlib.asynccontextmanager
    async def begin(self, name: str, *, start_parameter: str | None = None) -> AsyncIterator[AsyncSession]:
        """Open a transaction; the first of a turn also marks the update and finds or makes the customer.

        Raises SeenBefore.
        """
        async with self.deps.db.begin(name) as session:
            if self._customer is None:
                self._customer = await self._claim(session, start_parameter)
            yield session

    async def _claim(self, session: AsyncSession, start_parameter: str | None) -> Customer:
        row = (
            await session.execute(
                _BEGIN,
                {
                    "update_id": self.update_id,
                    "now": self.deps.clock(),
                    "user_id": self.person.id,
                    "username": self.person.username,
                    "first_name": self.person.first_name[:_LONGEST_NAME],
                    "language": language_of(self.person.language_code),
                    "start_parameter": start_parameter,
                    "is_answer": self.is_answer,
                },
            )
        ).first()
        if row is None:
            raise SeenBefore
        return customer_of(row)
