"""Moments that a test chooses instead of waiting for luck: a failure, a task that waits, a lost queue."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from getpro.kit import crashpoints
from getpro.platform.database import Database, NoConnection


class Broken(NoConnection):
    """What a database gives that goes away in the middle."""


@contextlib.contextmanager
def broken_at(point: str) -> Iterator[None]:
    """Whoever reaches the crash point ``point`` inside the block fails there."""

    def fail(reached: str) -> None:
        if reached == point:
            raise Broken(point)

    crashpoints.listen(fail)
    try:
        yield
    finally:
        crashpoints.listen(None)


async def until_it_waits(db: Database, task: "asyncio.Task[Any]", *, behind: int = 0) -> None:
    """Return once ``task`` waits for a lock in the database, or is done because it waits for none.

    ``behind``: how many others wait for locks already.
    """
    while not task.done():
        async with db.begin("test") as session:
            waiting = await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            if waiting is not None and waiting > behind:
                return
        await asyncio.sleep(0.01)


async def lose_jobs(db: Database) -> None:
    """Empty the queue: what happens after this was not made up for by a job from before."""
    async with db.begin("test") as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))
