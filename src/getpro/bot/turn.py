"""One update's turn: its mark, its customer and its effect in one transaction."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiogram.types import User

from getpro.bot.texts import language_of
from getpro.customers import store as customers
from getpro.customers.store import Customer
from getpro.platform.database import Session
from getpro.sales.arrivals import Person, welcome
from getpro.sales.deps import Deps

_LONGEST_NAME = 128


class ShutOut(Exception):
    """An operator has shut the customer out: whatever they press, they see that."""


class SeenBefore(Exception):
    """Telegram sent this update again: its effect has been committed, its answer perhaps lost."""


@dataclass(slots=True)
class Turn:
    """Handed to each handler. Money on the way: the update counts as seen only if its effect commits."""

    deps: Deps
    update_id: int
    person: User
    is_answer: bool
    """A message that is no command: it may answer what the bot has asked."""
    is_repeated: bool = False
    """The update's effect is committed already: it is to show how things stand, and to change nothing."""
    _customer: Customer | None = None

    @property
    def customer(self) -> Customer:
        """Who pressed; known inside and after the first :meth:`begin` or :meth:`look`."""
        assert self._customer is not None
        return self._customer

    @property
    def language(self) -> str:
        """The customer's own choice once it is known, till then Telegram's."""
        return self._customer.language if self._customer else language_of(self.person.language_code)

    @contextlib.asynccontextmanager
    async def begin(self, name: str, *, start_parameter: str | None = None) -> AsyncIterator[Session]:
        """Open a transaction; the first of a turn also marks the update and finds or makes the customer.

        Raises SeenBefore, ShutOut, ShopHeld.
        """
        async with self.deps.db.begin(name) as session:
            await self._know(session, start_parameter)
            yield session

    @contextlib.asynccontextmanager
    async def look(self, name: str, *, start_parameter: str | None = None) -> AsyncIterator[Session]:
        """As :meth:`begin` for a screen that only shows: without a transaction, which costs two calls.

        The mark stands as soon as it is made: Telegram, sending the update again, is shown how things stand.
        """
        async with self.deps.db.alone(name) as session:
            await self._know(session, start_parameter)
            yield session

    async def _know(self, session: Session, start_parameter: str | None) -> None:
        if self._customer is None:
            self._customer = await self._claim(session, start_parameter)
        if self._customer.is_blocked:
            raise ShutOut

    async def _claim(self, session: Session, start_parameter: str | None) -> Customer:
        if self.is_repeated:
            return await customers.customer(session, self.person.id)
        person = Person(
            user_id=self.person.id,
            username=self.person.username,
            first_name=self.person.first_name[:_LONGEST_NAME],
            language=language_of(self.person.language_code),
        )
        customer = await welcome(
            session,
            self.update_id,
            person,
            start_parameter=start_parameter,
            is_answer=self.is_answer,
            now=self.deps.clock(),
        )
        if customer is None:
            raise SeenBefore
        return customer
