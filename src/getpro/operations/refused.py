"""Table ``refusals``: how often the shop's doors have refused whom, by day; nothing of what was said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from getpro.operations.models import refusals
from getpro.platform.database import Session

KEPT: Final = timedelta(days=400)
"""A month is held against the same one of the year before."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Whom which door refused why, on which day (UTC)."""

    day: date
    door: str
    reason: str
    source: str


async def add(session: Session, times: Mapping[Refused, int], *, now: datetime) -> None:
    """Count these refusals on top of what is there; a step.

    In one order: two that add at once do not wait for each other.
    """
    statement = insert(refusals)
    statement = statement.on_conflict_do_update(
        index_elements=["day", "door", "reason", "source"],
        set_={
            "times": refusals.c.times + statement.excluded.times,
            "last_at": statement.excluded.last_at,
        },
    )
    rows = [
        {
            "day": one.day,
            "door": one.door,
            "reason": one.reason,
            "source": one.source,
            "times": count,
            "last_at": now,
        }
        for one, count in sorted(times.items(), key=lambda item: str(item[0]))
    ]
    if rows:
        await session.execute(statement, rows)


async def forget_old(session: Session, *, now: datetime) -> None:
    await session.execute(delete(refusals).where(refusals.c.day < (now - KEPT).date()))
