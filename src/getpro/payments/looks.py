"""Up to when we have looked through what each provider says that it took."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert

from getpro.kit.money import Money
from getpro.payments.models import provider_days, provider_looks
from getpro.platform.database import Session

_BEFORE_THE_FIRST: Final = timedelta(hours=3)
"""How far back the first look at a provider goes."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Two looks, each with its own mark: for charges without a notice, and for sums that differ."""

    since: datetime
    """What the provider's account took before is not this shop's."""
    settled_until: datetime
    compared_until: datetime


async def looks_at(session: Session, provider: str, *, now: datetime) -> Looked:
    """How far the looks at a provider have come; the first call makes the marks, from which they go on.

    A mark that lies ahead was made by a clock that went wrong, and is set right.
    """
    since, c = now - _BEFORE_THE_FIRST, provider_looks.c
    first = insert(provider_looks).values(
        provider=provider, since=since, settled_until=since, compared_until=since
    )
    set_right = {
        "since": func.least(c.since, since),
        "settled_until": func.least(c.settled_until, now),
        "compared_until": func.least(c.compared_until, now),
    }
    row = await session.execute(
        first.on_conflict_do_update(index_elements=["provider"], set_=set_right).returning(
            c.since, c.settled_until, c.compared_until
        )
    )
    return Looked(*row.one())


async def note_settled(session: Session, provider: str, until: datetime) -> None:
    """Everything before ``until`` was looked through."""
    await session.execute(
        update(provider_looks).where(provider_looks.c.provider == provider).values(settled_until=until)
    )


async def note_compared(session: Session, provider: str, until: datetime) -> None:
    """The sums of every day before ``until`` were compared."""
    await session.execute(
        update(provider_looks).where(provider_looks.c.provider == provider).values(compared_until=until)
    )


async def keep_day(
    session: Session, provider: str, day: date, sums: Iterable[tuple[Money, Money]], *, now: datetime
) -> None:
    """Keep a day's sums by currency, the provider's first; the last comparison is the one that counts."""
    own = provider_days.c
    await session.execute(delete(provider_days).where(own.provider == provider, own.day == day))
    rows = [
        {"currency": theirs.currency, "theirs": theirs.value, "ours": ours.value} for theirs, ours in sums
    ]
    await session.execute(
        insert(provider_days).values(
            [row | {"provider": provider, "day": day, "compared_at": now} for row in rows]
        )
    )
