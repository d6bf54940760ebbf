"""Orders and what was paid for them: conditional updates, so that of two workers one wins."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Text, bindparam, insert, literal, or_, select, update

from getpro.kit.money import Money, roubles
from getpro.kit.states import sources_of
from getpro.payments.models import payment_moves, payments
from getpro.payments.provider import Charge, Created
from getpro.payments.rules import FIRST_POLL_AFTER, accounting_amount
from getpro.payments.states import MOVES, Actor, PaymentStatus
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared, named


@dataclass(frozen=True, slots=True)
class Payment:
    """An order and, once it succeeded, what was paid for it."""

    payment_id: int
    order_key: UUID
    user_id: int
    provider: str
    status: PaymentStatus
    amount: Money
    """In roubles."""
    asked: Money
    duration_months: int
    days: int
    plan_id: int | None
    created_at: datetime
    paid_at: datetime | None
    paid: Money | None
    """What the customer really paid, in what they paid with."""
    charge_id: str | None
    object_id: str | None
    pay_url: str | None
    request: dict[str, Any] | None
    screen_message_id: int | None
    cancel_reason: str | None
    follows_payment_id: int | None = None
    """The order for which this is a further charge."""

    @property
    def order_id(self) -> int:
        """The order that the customer has on a screen."""
        return self.follows_payment_id or self.payment_id


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What checkout writes before it asks the provider."""

    order_key: UUID
    user_id: int
    provider: str
    price: Money
    asked: Money
    duration_months: int
    days: int
    plan_id: int | None
    """None of an order whose plan the database does not know (any more)."""
    request: dict[str, Any] | None

    @classmethod
    def by_hand(
        cls,
        *,
        user_id: int,
        provider: str,
        price: Money,
        asked: Money,
        duration_months: int,
        days: int,
        plan_id: int,
    ) -> "NewOrder":
        """An order that an operator writes for money which is here already: nobody is asked for it."""
        return cls(uuid4(), user_id, provider, price, asked, duration_months, days, plan_id, request=None)


async def add_order(
    session: Session, order: NewOrder, *, now: datetime, actor: str = Actor.CUSTOMER
) -> Payment:
    """Write a pending payment; the provider is asked only after this has committed."""
    row = (
        await session.execute(
            insert(payments)
            .values(
                order_key=order.order_key,
                user_id=order.user_id,
                provider=order.provider,
                amount=order.price.value,
                status=PaymentStatus.PENDING,
                created_at=now,
                subscription_duration_months=order.duration_months,
                days=order.days,
                plan_id=order.plan_id,
                asked_amount=order.asked.value,
                asked_currency=order.asked.currency,
                request=order.request,
                next_poll_at=now + FIRST_POLL_AFTER,
            )
            .returning(payments)
        )
    ).one()
    await _note_move(session, row.payment_id, None, PaymentStatus.PENDING, "checkout", actor, now=now)
    return payment_of(row)


async def note_created(session: Session, payment_id: int, created: Created) -> None:
    """Keep what the provider answered last: a call that is repeated may bring another page to pay on."""
    await session.execute(
        update(payments)
        .where(payments.c.payment_id == payment_id)
        .values(object_id=created.object_id, pay_url=created.pay_url)
    )


_BY_ID = Prepared(select(payments).where(payments.c.payment_id == bindparam("payment_id")))
_BY_ORDER_KEY = Prepared(select(payments).where(payments.c.order_key == bindparam("order_key")))
_BY_CHARGE = Prepared(
    select(payments).where(
        payments.c.provider == bindparam("provider"), payments.c.charge_id == bindparam("charge_id")
    )
)


async def by_id(session: Session, payment_id: int) -> Payment | None:
    return _payment_or_none(await _BY_ID.first(session, payment_id=payment_id))


async def by_order_key(session: Session, order_key: UUID) -> Payment | None:
    return _payment_or_none(await _BY_ORDER_KEY.first(session, order_key=order_key))


async def by_charge(session: Session, provider: str, charge_id: str) -> Payment | None:
    """The payment that this charge has already been recorded as."""
    return _payment_or_none(await _BY_CHARGE.first(session, provider=provider, charge_id=charge_id))


async def succeed(
    session: Session, payment: Payment, charge: Charge, *, now: datetime, actor: str = Actor.SHOP
) -> bool:
    """Move the payment to succeeded with what was paid; False if another charge had done so before."""
    move = {"number": payment.payment_id, "moved_at": now, "reason": "paid", "actor": actor}
    return await _SUCCEED.first(session, **move, **_paid(payment, charge, now=now)) is not None


async def add_further_charge(
    session: Session, payment: Payment, charge: Charge, *, now: datetime, actor: str = Actor.SHOP
) -> Payment:
    """Record a second paid charge of an order that was paid already: a purchase of its own."""
    row = (
        await session.execute(
            insert(payments)
            .values(
                order_key=uuid4(),
                user_id=payment.user_id,
                provider=payment.provider,
                status=PaymentStatus.SUCCEEDED,
                created_at=now,
                subscription_duration_months=payment.duration_months,
                days=payment.days,
                plan_id=payment.plan_id,
                asked_amount=payment.asked.value,
                asked_currency=payment.asked.currency,
                follows_payment_id=payment.payment_id,
                **_paid(payment, charge, now=now),
            )
            .returning(payments)
        )
    ).one()
    target = PaymentStatus.SUCCEEDED
    await _note_move(session, row.payment_id, None, target, "further charge", actor, now=now)
    return payment_of(row)


async def cancel(
    session: Session, payment: Payment, *, reason: str, now: datetime, actor: str = Actor.SHOP
) -> bool:
    """Move a pending payment to canceled; False if it was not pending any more."""
    move = {"number": payment.payment_id, "moved_at": now, "reason": reason, "actor": actor}
    return await _CANCEL.first(session, **move, cancel_reason=reason) is not None


async def explain_cancel(session: Session, payment_id: int, *, reason: str) -> None:
    """Say of a canceled payment what has become of it since; how it was canceled stays among its moves."""
    await session.execute(
        update(payments)
        .where(payments.c.payment_id == payment_id, payments.c.status == PaymentStatus.CANCELED)
        .values(cancel_reason=reason)
    )


async def claim_due_polls(session: Session, *, now: datetime, until: datetime, most: int) -> list[int]:
    """Take the payments whose provider should be asked now, and put them off until ``until``."""
    due = (
        select(payments.c.payment_id)
        .where(payments.c.next_poll_at <= now)
        .order_by(payments.c.next_poll_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    claimed = await session.execute(
        update(payments)
        .where(payments.c.payment_id.in_(due))
        .values(next_poll_at=until)
        .returning(payments.c.payment_id)
    )
    return list(claimed.scalars())


async def set_next_poll(session: Session, payment_id: int, at: datetime | None) -> None:
    await session.execute(
        update(payments)
        .where(payments.c.payment_id == payment_id, payments.c.status != PaymentStatus.SUCCEEDED)
        .values(next_poll_at=at)
    )


async def set_screen(session: Session, payment_id: int, message_id: int) -> None:
    """Remember the message that shows this order, to turn it when the money comes."""
    await session.execute(
        update(payments).where(payments.c.payment_id == payment_id).values(screen_message_id=message_id)
    )


def _paid(payment: Payment, charge: Charge, *, now: datetime) -> dict[str, Any]:
    amount = accounting_amount(charge.taken, asked=payment.asked, price=payment.amount)
    return {
        "amount": amount.value,
        "charge_id": charge.charge_id,
        "paid_at": charge.paid_at or now,
        "recorded_at": now,
        "paid_amount": charge.taken.value,
        "paid_currency": charge.taken.currency,
        "rate": round(Decimal(amount.value) / charge.taken.value, 6),
    }


def _move(target: PaymentStatus, *columns: str, **fixed: Any) -> Prepared:
    """Claim the move of payment ``number`` to ``target`` and keep it; no row from a status that forbids it.

    The status before is the one under the row's lock: what the caller has read may be old.
    """
    before = (
        select(payments.c.payment_id, payments.c.status)
        .where(payments.c.payment_id == bindparam("number"))
        .with_for_update()
        .cte("before")
    )
    moved = (
        update(payments)
        .where(
            payments.c.payment_id == before.c.payment_id,
            or_(*(before.c.status == source for source in sources_of(target, MOVES))),
        )
        .values(status=target, **named(*columns), **fixed)
        .returning(before.c.payment_id, before.c.status)
        .cte("moved")
    )
    how = [bindparam(name, type_=payment_moves.c[name].type) for name in _MOVE]
    move = select(moved, literal(target, Text), *how)
    return Prepared(
        insert(payment_moves)
        .from_select(["payment_id", "from_status", "to_status", *_MOVE], move)
        .returning(payment_moves.c.move_id)
    )


_MOVE = ("moved_at", "reason", "actor")
_SUCCEED = _move(
    PaymentStatus.SUCCEEDED,
    *("amount", "charge_id", "paid_at", "recorded_at", "paid_amount", "paid_currency", "rate"),
    next_poll_at=None,
)
_CANCEL = _move(PaymentStatus.CANCELED, "cancel_reason")


async def _note_move(
    session: Session,
    payment_id: int,
    source: PaymentStatus | None,
    target: PaymentStatus,
    reason: str,
    actor: str,
    *,
    now: datetime,
) -> None:
    await session.execute(
        insert(payment_moves).values(
            payment_id=payment_id,
            from_status=source,
            to_status=target,
            moved_at=now,
            reason=reason,
            actor=actor,
        )
    )


def _payment_or_none(row: Any) -> Payment | None:
    return None if row is None else payment_of(row)


def payment_of(row: Any) -> Payment:
    """Build a payment from a row that has the columns of ``payments``."""
    return Payment(
        payment_id=row.payment_id,
        order_key=row.order_key,
        user_id=row.user_id,
        provider=row.provider,
        status=PaymentStatus(row.status),
        amount=roubles(row.amount),
        asked=Money.parse(str(row.asked_amount), row.asked_currency),
        duration_months=row.subscription_duration_months,
        days=row.days,
        plan_id=row.plan_id,
        created_at=row.created_at,
        paid_at=row.paid_at,
        paid=None if row.paid_amount is None else Money.parse(str(row.paid_amount), row.paid_currency),
        charge_id=row.charge_id,
        object_id=row.object_id,
        pay_url=row.pay_url,
        request=row.request,
        screen_message_id=row.screen_message_id,
        cancel_reason=row.cancel_reason,
        follows_payment_id=row.follows_payment_id,
    )
