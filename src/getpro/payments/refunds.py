"""Money that goes back: rows beside the payment, which stays succeeded."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, insert, select, update

from getpro.kit.money import Money, roubles
from getpro.kit.states import sources_of
from getpro.payments.models import payments, refunds
from getpro.payments.states import REFUND_MOVES, RefundOrigin, RefundStatus
from getpro.platform.database import Session


@dataclass(frozen=True, slots=True)
class RefundRow:
    """A refund as it stands in the table."""

    refund_id: int
    payment_id: int
    refund_key: UUID
    status: RefundStatus
    origin: RefundOrigin
    refunded: Money
    """In what the customer had paid with."""
    amount: Money | None
    """In roubles, once it is given back."""
    days: int
    request: dict[str, Any] | None
    asked_by: str
    reason: str
    created_at: datetime
    finished_at: datetime | None
    trouble: str | None


async def add(
    session: Session,
    *,
    payment_id: int,
    refund_key: UUID,
    money: Money,
    origin: RefundOrigin,
    request: dict[str, Any] | None,
    by: str,
    reason: str,
    now: datetime,
) -> RefundRow:
    """Write a pending refund; the provider is asked only after this has committed."""
    row = (
        await session.execute(
            insert(refunds)
            .values(
                payment_id=payment_id,
                refund_key=refund_key,
                status=RefundStatus.PENDING,
                origin=origin,
                refunded_amount=money.value,
                refunded_currency=money.currency,
                request=request,
                asked_by=by,
                reason=reason,
                created_at=now,
            )
            .returning(refunds)
        )
    ).one()
    return _refund_of(row)


async def by_id(session: Session, refund_id: int) -> RefundRow | None:
    row = (await session.execute(select(refunds).where(refunds.c.refund_id == refund_id))).first()
    return None if row is None else _refund_of(row)


async def of_payment(session: Session, payment_id: int) -> list[RefundRow]:
    """Oldest first."""
    rows = await session.execute(
        select(refunds).where(refunds.c.payment_id == payment_id).order_by(refunds.c.refund_id)
    )
    return [_refund_of(row) for row in rows]


def given_back() -> ColumnElement[Decimal]:
    """Beside ``payments``: how much of what was paid has been given back; zero for nothing."""
    found = select(func.sum(refunds.c.refunded_amount)).where(
        refunds.c.payment_id == payments.c.payment_id, refunds.c.status == RefundStatus.SUCCEEDED
    )
    return func.coalesce(found.correlate(payments).scalar_subquery(), 0)


async def succeed(session: Session, refund_id: int, *, amount: Money, days: int, now: datetime) -> bool:
    """Note that the money is given back; False if that was noted before."""
    values = {"amount": amount.value, "days": days, "finished_at": now, "trouble": None}
    return await _move(session, refund_id, RefundStatus.SUCCEEDED, values)


async def refuse(session: Session, refund_id: int, *, trouble: str) -> bool:
    """Note the provider's no; False if the money was given back meanwhile."""
    return await _move(session, refund_id, RefundStatus.REFUSED, {"trouble": trouble})


async def try_again(session: Session, refund_id: int) -> bool:
    """Ask the provider once more after its no; False where it has not said one.

    With another key: under the old one a provider repeats its no, also once the reason for it is gone.
    """
    return await _move(session, refund_id, RefundStatus.PENDING, {"trouble": None, "refund_key": uuid4()})


async def withdraw(session: Session, refund_id: int) -> bool:
    """Give a refund up after the provider's no; False where it has not said one."""
    return await _move(session, refund_id, RefundStatus.WITHDRAWN, {})


async def note_trouble(session: Session, refund_id: int, *, trouble: str) -> None:
    """Remember why a pending refund is not through yet."""
    await session.execute(
        update(refunds)
        .where(refunds.c.refund_id == refund_id, refunds.c.status == RefundStatus.PENDING)
        .values(trouble=trouble)
    )


async def _move(session: Session, refund_id: int, target: RefundStatus, values: dict[str, Any]) -> bool:
    moved = await session.scalar(
        update(refunds)
        .where(refunds.c.refund_id == refund_id, refunds.c.status.in_(sources_of(target, REFUND_MOVES)))
        .values(status=target, **values)
        .returning(refunds.c.refund_id)
    )
    return moved is not None


def _refund_of(row: Any) -> RefundRow:
    return RefundRow(
        refund_id=row.refund_id,
        payment_id=row.payment_id,
        refund_key=row.refund_key,
        status=RefundStatus(row.status),
        origin=RefundOrigin(row.origin),
        refunded=Money.parse(str(row.refunded_amount), row.refunded_currency),
        amount=None if row.amount is None else roubles(row.amount),
        days=row.days or 0,
        request=row.request,
        asked_by=row.asked_by,
        reason=row.reason,
        created_at=row.created_at,
        finished_at=row.finished_at,
        trouble=row.trouble,
    )
