"""What the clock can be moved to: the moments at which something happens in the shop by itself."""

from datetime import datetime
from typing import Final

import psycopg

from getpro.sandbox.shop.clock import CannotMove

MOMENTS: Final = {
    "next_expiry": (
        "SELECT min(end_date) FROM subscriptions WHERE is_active AND end_date > clock_timestamp()",
        "Ни у кого нет действующей подписки.",
    ),
    "next_routine": (
        "SELECT min(next_run_at) FROM schedules WHERE name ^@ 'ops_' AND next_run_at > clock_timestamp()",
        "Магазин ещё не завёл своих проверок.",
    ),
}
"""How the next one is found, and what is said where there is none."""


async def next_moment(database_url: str, what: str) -> datetime:
    """The next one of ``what``, a name in ``MOMENTS``; raises CannotMove where there is none to be seen."""
    query, otherwise = MOMENTS[what]
    try:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            row = await (await connection.execute(query)).fetchone()
    except psycopg.OperationalError:
        raise CannotMove("База сейчас не отвечает.") from None
    if row is None or row[0] is None:
        raise CannotMove(otherwise)
    moment: datetime = row[0]
    return moment
