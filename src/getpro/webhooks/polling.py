"""Telegram's door for a shop without a public address: updates are fetched instead of brought.

The guarantee is the same. Telegram keeps an update until a later one is asked for, and that happens only
when this one has been handled, or, if there is money in it, stored.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

import psycopg
import structlog
from psycopg import AsyncConnection

from getpro.platform.database import DATABASE_AWAY, SESSION_OPTIONS
from getpro.platform.postgres.address import impatient
from getpro.webhooks.deps import Doors
from getpro.webhooks.telegram import take

log = structlog.get_logger(__name__)

_LOCK: Final = 7_201_534
"""Advisory lock: of several processes one polls. Telegram serves one and refuses the others."""
_AGAIN_SECONDS: Final = 1
_LOOKED_AGAIN_SECONDS: Final = 0.2
"""For new updates, while old ones are handled: Telegram answers at once as long as one is not confirmed."""
_LOCK_TRIED_AGAIN_SECONDS: Final = 5


class Mailbox(Protocol):
    """Telegram's side: what waits for the bot, and how it is answered."""

    async def fetch(self, offset: int) -> list[dict[str, Any]]:
        """The updates from ``offset`` on, which confirms those before; waits a while for the first."""

    async def answer(self, reply: dict[str, Any]) -> None:
        """Make the call that a webhook would have got as its answer."""


async def poll_for_ever(doors: Doors, mailbox: Mailbox, *, database_url: str) -> None:
    """Fetch and handle updates until cancelled; a lost database is waited for."""
    while True:
        try:
            async with _alone(database_url) as lock:
                await _poll(doors, mailbox, lock)
        except (*DATABASE_AWAY, psycopg.Error) as error:
            log.warning("polling.database_away", error=type(error).__name__)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _poll(doors: Doors, mailbox: Mailbox, lock: AsyncConnection[Any]) -> None:
    """Handle updates beside each other, one person's in their order, and go on fetching meanwhile.

    A slow one holds up nobody: Telegram waits ten seconds only for the answer to a pre-checkout. But it is
    the oldest that is not done which is asked for, so none is confirmed before it.
    """
    handling: dict[int, asyncio.Task[None]] = {}
    last_of: dict[int | None, asyncio.Task[None]] = {}
    next_one = 0
    try:
        while True:
            updates = await mailbox.fetch(min(handling, default=next_one))
            await lock.execute("SELECT 1")  # the lock went with its connection: somebody else may poll by now
            fresh = [update for update in updates if update["update_id"] >= next_one]
            for update in fresh:
                sender, number = _sender(update), update["update_id"]
                task = asyncio.create_task(_handle(doors, mailbox, update, after=last_of.get(sender)))
                handling[number] = last_of[sender] = task
                next_one = number + 1
            if handling and not fresh:
                await asyncio.wait(handling.values(), timeout=_LOOKED_AGAIN_SECONDS)
            for number in [number for number, task in handling.items() if task.done()]:
                handling.pop(number).result()
            last_of = {sender: task for sender, task in last_of.items() if not task.done()}
    finally:
        for task in handling.values():
            task.cancel()
        await asyncio.gather(*handling.values(), return_exceptions=True)


async def _handle(
    doors: Doors, mailbox: Mailbox, update: dict[str, Any], *, after: asyncio.Task[None] | None
) -> None:
    """Handle one update once the sender's one before is done; raises what says that the database is away.

    One that fails otherwise is done with and blocks nobody: money in it is found in the list of charges.
    """
    if after is not None:
        await after
    structlog.contextvars.bind_contextvars(door="polling", update_id=update["update_id"])  # its own task's
    try:
        reply = await take(doors, update, json.dumps(update).encode())
        if reply is not None:
            await mailbox.answer(reply)
    except DATABASE_AWAY:
        raise
    except Exception:
        log.exception("polling.update_failed")


def _sender(update: dict[str, Any]) -> int | None:
    events = (event for name, event in update.items() if name != "update_id" and isinstance(event, dict))
    return next(((event.get("from") or {}).get("id") for event in events), None)


@contextlib.asynccontextmanager
async def _alone(database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Wait until nobody else polls; the lock is held by the connection that is given."""
    connection = await AsyncConnection.connect(
        impatient(database_url), autocommit=True, options=SESSION_OPTIONS
    )
    async with connection:
        while True:
            found = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])).fetchone()
            if found is not None and found[0]:
                break
            log.info("polling.somebody_else_polls")
            await asyncio.sleep(_LOCK_TRIED_AGAIN_SECONDS)
        yield connection
