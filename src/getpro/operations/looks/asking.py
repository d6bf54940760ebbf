"""What looks at the database share: where it does not answer, their line says so."""

import functools
from collections.abc import AsyncIterator, Callable
from typing import Final, ParamSpec

from sqlalchemy.exc import SQLAlchemyError

from getpro.checks.check import Finding, Line
from getpro.platform.database import DATABASE_AWAY

P = ParamSpec("P")
REMEDY: Final = "Проверьте базу: 2getpro doctor."


def asks_database(
    line: Line,
) -> Callable[[Callable[P, AsyncIterator[Finding]]], Callable[P, AsyncIterator[Finding]]]:
    """The look's ``line`` is red where the database does not answer; what it had found before is kept."""

    def wrap(look: Callable[P, AsyncIterator[Finding]]) -> Callable[P, AsyncIterator[Finding]]:
        @functools.wraps(look)
        async def told(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Finding]:
            try:
                async for finding in look(*args, **kwargs):
                    yield finding
            except (*DATABASE_AWAY, SQLAlchemyError) as error:
                yield line.unknown(f"база не ответила: {type(error).__name__}", REMEDY)

        return told

    return wrap
