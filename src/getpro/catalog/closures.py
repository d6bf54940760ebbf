"""What is not sold just now: the whole shop, or one way to pay; with words for customers.

A row means closed. Only what is new is refused: whatever was begun goes on to its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from getpro.catalog.models import closures
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared

SHOP: Final = "shop"
_WAY: Final = "provider:"


@dataclass(frozen=True, slots=True)
class Closure:
    """Since when, by whom; ``words`` by language, without one: the bot's own."""

    closed_at: datetime
    closed_by: str
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Closures:
    """All that is closed. ``ways`` by the provider's code."""

    shop: Closure | None
    ways: Mapping[str, Closure]


def way(code: str) -> str:
    """What closing calls a way to pay."""
    return f"{_WAY}{code}"


_ALL: Final = Prepared(select(closures))


async def read(session: Session) -> Closures:
    found = {row.what: closure_of(row) for row in await _ALL.all(session)}
    ways = {what.removeprefix(_WAY): one for what, one in found.items() if what.startswith(_WAY)}
    return Closures(found.get(SHOP), ways)


async def close(session: Session, what: str, *, by: str, words: Mapping[str, str], now: datetime) -> bool:
    """False where it is closed already; its words then stay as they are."""
    closed = await session.scalar(
        insert(closures)
        .values(what=what, closed_at=now, closed_by=by, words_ru=words.get("ru"), words_en=words.get("en"))
        .on_conflict_do_nothing()
        .returning(closures.c.what)
    )
    return closed is not None


async def reopen(session: Session, what: str) -> bool:
    """False where it is open."""
    opened = await session.scalar(delete(closures).where(closures.c.what == what).returning(closures.c.what))
    return opened is not None


def closure_of(row: Any) -> Closure:
    """Of a row that has the columns of ``closures``."""
    words = {"ru": row.words_ru, "en": row.words_en}
    return Closure(row.closed_at, row.closed_by, {code: said for code, said in words.items() if said})
