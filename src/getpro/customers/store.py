"""Customers as they stand in the table ``users``."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from getpro.customers.models import users
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who has pressed Start."""

    user_id: int
    language: str
    first_name: str
    email: str | None
    platform: str | None
    zone: str | None
    """The time zone's name; None is the shop's."""
    is_reminded: bool
    trial_started_at: datetime | None
    trial_screen_id: int | None
    """The message on which they wait for their trial, if they have done nothing else since."""
    is_blocked: bool
    """An operator has shut them out: nothing is sold, nothing stays open."""
    dialog: str | None
    unreachable_reason: str | None
    """Why messages do not arrive; None where they do."""


class CustomerGone(LookupError):
    """There is no customer with this id."""


_CUSTOMER = Prepared(select(users).where(users.c.user_id == bindparam("user_id")))
_LOCK = Prepared(
    select(users.c.user_id).where(users.c.user_id == bindparam("user_id")).with_for_update(key_share=True)
)


async def customer(session: Session, user_id: int) -> Customer:
    """Return the customer; raises CustomerGone."""
    row = await _CUSTOMER.first(session, user_id=user_id)
    if row is None:
        raise CustomerGone(user_id)
    return customer_of(row)


async def ensure(session: Session, user_id: int, *, language: str | None, since: datetime) -> None:
    """Make the customer whom the database has lost; their name comes with their next press.

    ``language``: None where nobody knows it, until then as well.
    """
    await session.execute(
        insert(users)
        .values(user_id=user_id, language=language, registration_date=since)
        .on_conflict_do_nothing()
    )


async def dialog_of(session: Session, user_id: int) -> str | None:
    """What the customer's next text message answers, if anything."""
    found: str | None = await session.scalar(select(users.c.dialog).where(users.c.user_id == user_id))
    return found


async def lock(session: Session, user_id: int) -> None:
    """Make everything that concerns this customer's money wait until the transaction ends.

    Rows that only name the customer may still be written: a delivery that writes its notice, with the
    subscription locked, would otherwise wait for a settle that waits for the subscription.
    Raises CustomerGone.
    """
    if await _LOCK.first(session, user_id=user_id) is None:
        raise CustomerGone(user_id)


async def set_language(session: Session, user_id: int, language: str) -> None:
    await _set(session, user_id, language=language)


async def set_email(session: Session, user_id: int, email: str) -> None:
    await _set(session, user_id, email=email, dialog=None)


async def set_platform(session: Session, user_id: int, platform: str) -> None:
    await _set(session, user_id, platform=platform)


async def set_trial_screen(session: Session, user_id: int, message_id: int) -> None:
    """Remember the message that shows the trial, to turn it when it works."""
    await _set(session, user_id, trial_screen_id=message_id)


async def set_zone(session: Session, user_id: int, zone: str) -> None:
    await _set(session, user_id, zone=zone)


async def set_reminded(session: Session, user_id: int, *, is_reminded: bool) -> None:
    await _set(session, user_id, is_reminded=is_reminded)


async def set_dialog(session: Session, user_id: int, dialog: str | None) -> None:
    """Remember what the customer's next text message will answer; None: nothing."""
    await _set(session, user_id, dialog=dialog)


async def ask_again(session: Session, user_id: int, dialog: str) -> None:
    """Open a question whose answer was refused; one that was opened meanwhile stays."""
    await session.execute(
        update(users).where(users.c.user_id == user_id, users.c.dialog.is_(None)).values(dialog=dialog)
    )


async def set_unreachable(session: Session, user_id: int, *, reason: str, now: datetime) -> None:
    """Remember that messages do not arrive; what was paid is still delivered."""
    await session.execute(
        update(users)
        .where(users.c.user_id == user_id, users.c.unreachable_since.is_(None))
        .values(unreachable_since=now, unreachable_reason=reason)
    )


async def block(session: Session, user_id: int, *, now: datetime) -> bool:
    """Shut the customer out; False if they are."""
    blocked = await session.scalar(
        update(users)
        .where(users.c.user_id == user_id, users.c.blocked_at.is_(None))
        .values(blocked_at=now)
        .returning(users.c.user_id)
    )
    return blocked is not None


async def unblock(session: Session, user_id: int) -> bool:
    """Let the customer in again; False if nobody has shut them out."""
    unblocked = await session.scalar(
        update(users)
        .where(users.c.user_id == user_id, users.c.blocked_at.is_not(None))
        .values(blocked_at=None)
        .returning(users.c.user_id)
    )
    return unblocked is not None


async def note_trial(session: Session, user_id: int, *, at: datetime) -> None:
    """Remember that the customer has had their trial, where that was forgotten."""
    await session.execute(
        update(users)
        .where(users.c.user_id == user_id, users.c.trial_started_at.is_(None))
        .values(trial_started_at=at)
    )


async def start_trial(session: Session, user_id: int, *, now: datetime) -> bool:
    """Claim the customer's only trial; False when they have had it."""
    claimed = await session.scalar(
        update(users)
        .where(users.c.user_id == user_id, users.c.trial_started_at.is_(None))
        .values(trial_started_at=now)
        .returning(users.c.user_id)
    )
    return claimed is not None


async def _set(session: Session, user_id: int, **values: Any) -> None:
    await session.execute(update(users).where(users.c.user_id == user_id).values(**values))


def customer_of(row: Any) -> Customer:
    """Build a customer from a row that has the columns of ``users``."""
    return Customer(
        user_id=row.user_id,
        language=row.language or "ru",
        first_name=row.first_name,
        email=row.email,
        platform=row.platform,
        zone=row.zone,
        is_reminded=row.is_reminded,
        trial_started_at=row.trial_started_at,
        trial_screen_id=row.trial_screen_id,
        is_blocked=row.blocked_at is not None,
        dialog=row.dialog,
        unreachable_reason=row.unreachable_reason,
    )
