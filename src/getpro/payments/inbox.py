"""The raw inbox of notices, and the list of money that found no end by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import CTE, BigInteger, ColumnElement, bindparam, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from getpro.kit.money import Money
from getpro.payments.models import provider_events, stuck_payments
from getpro.payments.provider import Charge, Notice, StoredNotice
from getpro.payments.states import Resolution, StuckMoney
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared, named
from getpro.platform.restores import HELD

EVENTS_KEPT: Final = timedelta(days=180)
"""Evidence for as long as a bank may ask about a payment."""
OUR_ERROR: Final = "our own error: "
"""How the outcome of a notice, or the trouble of a refund, begins at which our own code failed; the error's
name follows."""
_KEPT_HEADERS = frozenset({"content-type", "user-agent", "x-forwarded-for", "x-request-id"})


def _is_kept(header: str) -> bool:
    """Whether a header is evidence: each provider calls its signature something else."""
    return header in _KEPT_HEADERS or "signature" in header


@dataclass(frozen=True, slots=True)
class Event:
    event_id: int
    provider: str
    notice: StoredNotice
    is_handled: bool
    outcome: str | None
    """How settling ended last."""
    is_held: bool = False
    """The database was brought back, and nothing is settled until its books are whole."""


def _remembering() -> CTE:
    statement = insert(provider_events).values(
        named("provider", "object_id", "event", "body", "headers", "received_at", "last_received_at")
    )
    again = {
        "body": statement.excluded.body,
        "copies": provider_events.c.copies + 1,
        "last_received_at": statement.excluded.last_received_at,
        "dismissed_at": None,
    }
    return (
        statement.on_conflict_do_update(index_elements=["provider", "object_id", "event"], set_=again)
        .returning(provider_events)
        .cte("remembered")
    )


REMEMBERED: Final = _remembering()
"""Keeps a notice as it came, as the first part of a statement; one that was seen before is counted, and its
latest body kept. Its parameters: :func:`as_it_came`."""


def as_it_came(
    *, provider: str, notice: Notice, body: bytes, headers: Mapping[str, str], now: datetime
) -> dict[str, Any]:
    """The parameters of ``REMEMBERED``."""
    return {
        "provider": provider,
        "object_id": notice.object_id,
        "event": notice.event,
        "body": body,
        "headers": {name: value for name, value in headers.items() if _is_kept(name.lower())},
        "received_at": now,
        "last_received_at": now,
    }


_EVENT: Final = Prepared(
    select(provider_events, HELD.label("is_held")).where(provider_events.c.event_id == bindparam("event_id"))
)


async def event(session: Session, event_id: int) -> Event | None:
    row = await _EVENT.first(session, event_id=event_id)
    return (
        None
        if row is None
        else Event(
            event_id=row.event_id,
            provider=row.provider,
            notice=StoredNotice(row.object_id, row.event, row.body, row.received_at),
            is_handled=row.handled_at is not None,
            outcome=row.outcome,
            is_held=row.is_held,
        )
    )


async def note_outcome(session: Session, event_id: int, outcome: str, *, handled_at: datetime | None) -> None:
    """Write how settling ended; without ``handled_at`` the same notice, repeated, is settled again."""
    await session.execute(
        update(provider_events)
        .where(provider_events.c.event_id == event_id, provider_events.c.handled_at.is_(None))
        .values(outcome=outcome, handled_at=handled_at)
    )


async def note_error(session: Session, event_id: int, name: str) -> None:
    """Write that settling met an error of ours; nothing is known of the money, and it is tried again."""
    await note_outcome(session, event_id, OUR_ERROR + name, handled_at=None)


def is_unknown() -> ColumnElement[bool]:
    """The condition that nobody has found out yet what is behind a notice."""
    outcome = provider_events.c.outcome
    return provider_events.c.handled_at.is_(None) & (outcome.is_(None) | outcome.startswith(OUR_ERROR))


_CLOSE: Final = Prepared(
    update(provider_events)
    .where(
        provider_events.c.handled_at.is_(None),
        (
            (provider_events.c.provider == bindparam("its_provider"))
            & (provider_events.c.object_id == bindparam("its_object"))
        )
        | (provider_events.c.event_id == bindparam("number", type_=BigInteger)),
    )
    .values(named("outcome", "handled_at"))
)


async def close(
    session: Session,
    *,
    provider: str,
    object_id: str | None,
    event_id: int | None,
    outcome: str,
    now: datetime,
) -> None:
    """Handle every notice about an object that has found its end, and the one, if any, that told of it.

    Without ``object_id`` only the one.
    """
    await _CLOSE.run(
        session,
        its_provider=provider,
        its_object=object_id,
        number=event_id,
        outcome=outcome,
        handled_at=now,
    )


async def dismiss(session: Session, event_id: int, *, now: datetime) -> bool:
    """Take a notice that proved nothing off the list; it stays unhandled, and a new copy shows it again."""
    dismissed = await session.scalar(
        update(provider_events)
        .where(
            provider_events.c.event_id == event_id,
            provider_events.c.handled_at.is_(None),
            ~is_unknown(),
        )
        .values(dismissed_at=now)
        .returning(provider_events.c.event_id)
    )
    return dismissed is not None


async def open_stuck(
    session: Session,
    *,
    kind: StuckMoney,
    charge: Charge,
    details: str,
    now: datetime,
    user_id: int | None = None,
    payment_id: int | None = None,
    event_id: int | None = None,
) -> bool:
    """Put money on the operator's list; False if it stands there (or was resolved) already."""
    opened = await session.scalar(
        insert(stuck_payments)
        .values(
            kind=kind,
            provider=charge.provider,
            charge_id=charge.charge_id,
            user_id=user_id,
            payment_id=payment_id,
            event_id=event_id,
            amount=charge.taken.value,
            currency=charge.taken.currency,
            taken_at=charge.paid_at or now,
            details=details,
            opened_at=now,
        )
        .on_conflict_do_nothing(index_elements=["kind", "provider", "charge_id"])
        .returning(stuck_payments.c.stuck_id)
    )
    return opened is not None


async def keep_difference(
    session: Session, *, provider: str, name: str, difference: Money, details: str, now: datetime
) -> bool:
    """Put a difference of sums on the operator's list, or bring the entry called ``name`` up to date; a step.

    One that was resolved opens again once it is another, and says who had resolved which; one that is gone
    opens nothing, and an entry that is open then says so. True if a person has not seen this difference.
    """
    key = {"kind": StuckMoney.SUM_DIFFERS, "provider": provider, "charge_id": name}
    written: dict[str, Any] = {"amount": difference.value, "details": details}
    if difference.minor:
        opened = await session.scalar(
            insert(stuck_payments)
            .values(key | written | {"currency": difference.currency, "taken_at": now, "opened_at": now})
            .on_conflict_do_nothing(index_elements=list(key))
            .returning(stuck_payments.c.stuck_id)
        )
        if opened is not None:
            return True
    kept = (await session.execute(select(stuck_payments).filter_by(**key).with_for_update())).first()
    if kept is None:
        return False
    is_other = bool(kept.amount != difference.value)
    if kept.resolved_at is not None:
        if not (is_other and difference.minor):
            return False
        written |= _opened_again(kept, details, now=now)
    await session.execute(
        update(stuck_payments).where(stuck_payments.c.stuck_id == kept.stuck_id).values(written)
    )
    return is_other


def _opened_again(resolved: Any, details: str, *, now: datetime) -> dict[str, Any]:
    """What opens an entry again; what a person had decided about it goes on in its words."""
    before = Money.parse(str(resolved.amount), resolved.currency)
    day = resolved.resolved_at
    return {
        "details": f"{details} Разница была {before}, {day:%d.%m.%Y} её разобрал(а) "
        f"{resolved.resolved_by}: «{resolved.reason}».",
        "opened_at": now,
        "resolved_at": None,
        "resolution": None,
        "resolved_by": None,
        "reason": None,
    }


async def lock_stuck(session: Session, stuck_id: int) -> Any:
    """The row of the list, or None; whoever else decides about it waits until the transaction ends."""
    statement = select(stuck_payments).where(stuck_payments.c.stuck_id == stuck_id).with_for_update()
    return (await session.execute(statement)).first()


async def resolve_stuck(
    session: Session, stuck_id: int, *, resolution: Resolution, by: str, reason: str, now: datetime
) -> bool:
    """Take an entry off the list with who and why; False if somebody has done so before."""
    resolved = await session.scalar(
        update(stuck_payments)
        .where(stuck_payments.c.stuck_id == stuck_id, stuck_payments.c.resolved_at.is_(None))
        .values(resolved_at=now, resolution=resolution, resolved_by=by, reason=reason)
        .returning(stuck_payments.c.stuck_id)
    )
    return resolved is not None


async def forget_old(session: Session, *, now: datetime) -> None:
    """Delete old notices whose money has found its end, or that a person took off the list.

    One that is not handled stays, however old, and so does one that an entry of the list points to.
    A copy that comes still later is settled anew: its charge is known by its own number.
    """
    await session.execute(
        delete(provider_events).where(
            provider_events.c.last_received_at < now - EVENTS_KEPT,
            provider_events.c.handled_at.is_not(None) | provider_events.c.dismissed_at.is_not(None),
            ~exists().where(stuck_payments.c.event_id == provider_events.c.event_id),
        )
    )
