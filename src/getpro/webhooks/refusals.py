"""Counts whom the doors refuse, in memory, and writes it down now and then.

Whoever knocks a thousand times a second costs the database a row a minute, and a shop that is flooded from
everywhere a bounded number of them.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from getpro.kit.clock import utc_now
from getpro.operations import refused
from getpro.operations.refused import Refused
from getpro.platform.database import DATABASE_AWAY, Database

log = structlog.get_logger(__name__)

MOST_SOURCES: Final = 500
"""Between two writings; whoever comes after them is counted together."""
OTHERS: Final = "прочие"
_EVERY_SECONDS: Final = 60
_HOME: Final = 64
"""Bits of an IPv6 address by which one household, or one server, is known."""


class Refusals:
    """Lost with the process are those of its last minute."""

    def __init__(self) -> None:
        self._times: Counter[Refused] = Counter()

    def note(self, door: str, reason: str, address: str, *, now: datetime) -> None:
        one = Refused(now.astimezone(UTC).date(), door, reason, _source(address))
        if one not in self._times and len(self._times) >= MOST_SOURCES:
            one = Refused(one.day, door, reason, OTHERS)
        self._times[one] += 1

    async def run(self, db: Database) -> None:
        """Write until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(_EVERY_SECONDS)
                await self.flush(db)
        finally:
            await self.flush(db)

    async def flush(self, db: Database) -> None:
        """Write what has come; it waits for the next time while the database is away."""
        times, self._times = self._times, Counter()
        if not times:
            return
        try:
            async with db.begin("refusals") as session:
                await refused.add(session, times, now=utc_now())
        except (SQLAlchemyError, *DATABASE_AWAY) as error:
            log.warning("refusals.not_written", error=type(error).__name__)
            self._times.update(times)
        except asyncio.CancelledError:
            self._times.update(times)
            raise


def _source(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(ip_network((found, _HOME), strict=False))
    return str(found)
