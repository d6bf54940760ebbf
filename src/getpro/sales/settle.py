"""Settle: what a paid charge means for the customer, decided once, in one transaction.

Source: docs/decisions/0003-settling.md.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import structlog

from getpro.customers import store as customers
from getpro.payments import inbox
from getpro.payments import store as payments
from getpro.payments.provider import Charge, ChargeState, NoSuchCharge
from getpro.payments.states import CancelReason, StuckMoney
from getpro.payments.store import Payment
from getpro.platform.database import Session
from getpro.platform.jobs import RetryLater
from getpro.platform.metrics import CHARGES
from getpro.platform.restores import HELD_SECONDS
from getpro.sales.checkout import end_unpaid, turn_screen
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.sales.errors import UnknownEvent
from getpro.sales.rebuild import rebuild_order
from getpro.sales.refunds import note_refunded
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.states import ChangeCause

log = structlog.get_logger(__name__)


class Ending(StrEnum):
    """How looking at a charge, or deciding about it, ended."""

    SETTLED = "settled"
    SEEN_BEFORE = "seen before"
    PREMATURE = "premature"
    CANCELED = "canceled"
    DISPROVED = "no such charge"
    """The provider does not know the object: the notice was forged or early; repeated, it is settled anew."""
    UNREADABLE = "unreadable"
    """What the provider says has a shape that this program does not know."""
    NO_ORDER = "no order of ours"
    STUCK = "stuck"
    BROUGHT_FORWARD = "brought forward"
    """What a worker does is done now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``is_final`` is false where a repeated notice must be looked at again."""

    ending: Ending
    is_final: bool = True
    kind: StuckMoney | None = None
    """Of what is stuck: why."""

    def __str__(self) -> str:
        return self.ending if self.kind is None else f"{self.ending}: {self.kind}"

    @classmethod
    def of_handled(cls, written: str) -> "Outcome":
        """How a notice ended that is handled, out of what stands with it."""
        ending, _, kind = written.partition(": ")
        outcome = cls(Ending(ending), kind=StuckMoney(kind) if kind else None)
        return SEEN_BEFORE if outcome == SETTLED else outcome


PREMATURE: Final = Outcome(Ending.PREMATURE, is_final=False)
SETTLED: Final = Outcome(Ending.SETTLED)
SEEN_BEFORE: Final = Outcome(Ending.SEEN_BEFORE)
CANCELED: Final = Outcome(Ending.CANCELED)
DISPROVED: Final = Outcome(Ending.DISPROVED, is_final=False)


async def settle_event(deps: Deps, event_id: int) -> Outcome:
    """Find out what is behind a stored notice and act on it; a flow, run as a job.

    Raises UnknownEvent; ProviderUnavailable and UnknownProvider: the job tries again.
    """
    found = await look_behind(deps, event_id)
    async with deps.db.begin("settle") as session:
        outcome = await settle(session, deps, found, event_id=event_id)
    _count(found, outcome)
    return outcome


async def look_behind(deps: Deps, event_id: int) -> Charge | Outcome:
    """The charge behind a stored notice, or how it ended where there is none (any more); it changes nothing.

    Raises UnknownEvent, ProviderUnavailable, UnknownProvider; RetryLater while the shop is held.
    """
    async with deps.db.read("settle") as session:
        event = await inbox.event(session, event_id)
    if event is None:
        raise UnknownEvent(str(event_id))
    if event.is_held:
        raise RetryLater(HELD_SECONDS, "the books are not whole after a restore")
    if event.is_handled:
        return Outcome.of_handled(event.outcome or Ending.SEEN_BEFORE)
    try:
        return await deps.provider(event.provider).prove(event.notice)
    except NoSuchCharge:
        log.warning("payment.notice_disproved", event_id=event_id, provider=event.provider)
        return DISPROVED


async def settle_charge(deps: Deps, charge: Charge) -> Outcome:
    """Act on what a provider says of one object that we heard of without a notice; a flow."""
    async with deps.db.begin("settle") as session:
        outcome = await settle(session, deps, charge)
    _count(charge, outcome)
    return outcome


def _count(found: Charge | Outcome, outcome: Outcome) -> None:
    provider = found.provider if isinstance(found, Charge) else "unknown"
    CHARGES.labels(provider, str(outcome)).inc()


async def settle(
    session: Session,
    deps: Deps,
    found: Charge | Outcome,
    *,
    event_id: int | None = None,
    is_forgotten: bool = False,
) -> Outcome:
    """Act on what was found out, and note it with the notice that told of it; a step.

    The same charge twice is nothing, however we heard of it. What the provider was asked for answers every
    notice about the charge; what stood in one notice answers that one: another may tell of a refund.
    ``is_forgotten``: the shop had settled it in its time, before the database was brought back; what has
    gone back of it since then goes back again, and no person need look at it.
    """
    now = deps.clock()
    if isinstance(found, Outcome):
        outcome = found
    else:
        outcome = await _settle(session, deps, found, event_id=event_id, is_forgotten=is_forgotten, now=now)
        log.info(
            "payment.looked_at", provider=found.provider, charge_id=found.charge_id, outcome=str(outcome)
        )
        if outcome.is_final:
            await inbox.close(
                session,
                provider=found.provider,
                object_id=None if found.is_of_notice else found.charge_id,
                event_id=event_id,
                outcome=str(outcome),
                now=now,
            )
            return outcome
    if event_id is not None:
        await inbox.note_outcome(
            session, event_id, str(outcome), handled_at=now if outcome.is_final else None
        )
    return outcome


async def _settle(
    session: Session,
    deps: Deps,
    charge: Charge,
    *,
    event_id: int | None,
    is_forgotten: bool,
    now: datetime,
) -> Outcome:
    payment = None if charge.order_key is None else await payments.by_order_key(session, charge.order_key)
    if payment is None:
        payment = await payments.by_charge(session, charge.provider, charge.charge_id)
    if payment is None and charge.state is ChargeState.PAID:
        payment = await rebuild_order(session, deps, charge)
    if payment is None:
        return await _without_order(session, deps, charge, event_id=event_id, now=now)
    if event_id is not None:  # the job of one notice: in its log, whose it was
        structlog.contextvars.bind_contextvars(user_id=payment.user_id, payment_id=payment.payment_id)
    await customers.lock(session, payment.user_id)
    recorded = await payments.by_charge(session, charge.provider, charge.charge_id)
    if recorded is not None:
        if recorded.user_id != payment.user_id:  # an operator has credited it to somebody else
            await customers.lock(session, recorded.user_id)
        await note_refunded(session, deps, recorded, charge)
        return SEEN_BEFORE
    if charge.state is ChargeState.PENDING:
        return PREMATURE
    if charge.state is ChargeState.CANCELED:
        return await _cancel(session, deps, payment, charge)
    trouble = _trouble(payment, charge, is_forgotten=is_forgotten)
    if trouble is None:
        return await _take(session, deps, payment, charge, event_id=event_id, now=now)
    kind, details = trouble
    return await _keep(session, deps, charge, kind, details, event_id=event_id, payment=payment, now=now)


async def _without_order(
    session: Session, deps: Deps, charge: Charge, *, event_id: int | None, now: datetime
) -> Outcome:
    if charge.state is not ChargeState.PAID:
        return Outcome(Ending.NO_ORDER, is_final=charge.state is ChargeState.CANCELED)
    details = "Деньги пришли, но такого заказа у нас нет."
    kind = StuckMoney.UNKNOWN_ORDER
    return await _keep(session, deps, charge, kind, details, event_id=event_id, payment=None, now=now)


def _trouble(payment: Payment, charge: Charge, *, is_forgotten: bool) -> tuple[StuckMoney, str] | None:
    """Why this money must be looked at by a person before anything is given for it; None if it is fine."""
    if charge.taken.currency != payment.asked.currency:
        return StuckMoney.FOREIGN_CURRENCY, f"Ждали {payment.asked}, пришло {charge.taken}."
    if charge.refunded.minor > 0 and not is_forgotten:
        return StuckMoney.REFUNDED_BEFORE_SETTLED, f"Из {charge.taken} уже возвращено {charge.refunded}."
    if charge.taken < payment.asked:
        return StuckMoney.UNDERPAID, f"Ждали {payment.asked}, пришло {charge.taken}."
    if charge.payer_id is not None and charge.payer_id != payment.user_id:
        return StuckMoney.WRONG_PAYER, f"Заказ клиента {payment.user_id} оплатил {charge.payer_id}."
    return None


async def _keep(
    session: Session,
    deps: Deps,
    charge: Charge,
    kind: StuckMoney,
    details: str,
    *,
    event_id: int | None,
    payment: Payment | None,
    now: datetime,
) -> Outcome:
    """Put the money on the operator's list: it is neither dropped nor delivered by itself."""
    opened = await inbox.open_stuck(
        session,
        kind=kind,
        charge=charge,
        details=details,
        now=now,
        user_id=payment.user_id if payment else charge.payer_id,
        payment_id=payment.payment_id if payment else None,
        event_id=event_id,
    )
    if opened:
        if payment is not None:
            await turn_screen(session, deps, payment.payment_id)
        log.error("payment.stuck", kind=kind, provider=charge.provider, charge_id=charge.charge_id)
    return Outcome(Ending.STUCK, kind=kind)


async def _cancel(session: Session, deps: Deps, payment: Payment, charge: Charge) -> Outcome:
    """A provider object ended without money: the order ends if it shows this object, or none as yet."""
    if payment.object_id in {None, charge.charge_id}:
        await end_unpaid(session, deps, payment, reason=charge.reason or CancelReason.AT_PROVIDER)
    return CANCELED


async def _take(
    session: Session,
    deps: Deps,
    payment: Payment,
    charge: Charge,
    *,
    event_id: int | None,
    now: datetime,
) -> Outcome:
    """Record the charge and give the days: the caller holds the customer's lock."""
    if await payments.succeed(session, payment, charge, now=now):
        recorded = payment.payment_id
    else:
        recorded = (await payments.add_further_charge(session, payment, charge, now=now)).payment_id
    await grant(session, deps, payment, recorded_id=recorded, cause=ChangeCause.PAYMENT, now=now)
    if payment.asked < charge.taken:
        details = f"Ждали {payment.asked}, пришло {charge.taken}; срок выдан."
        kind = StuckMoney.OVERPAID
        await _keep(session, deps, charge, kind, details, event_id=event_id, payment=payment, now=now)
    if charge.refunded.minor > 0:
        taken = await payments.by_id(session, recorded)
        assert taken is not None
        await note_refunded(session, deps, taken, charge)
    return SETTLED


async def grant(
    session: Session, deps: Deps, order: Payment, *, recorded_id: int, cause: ChangeCause, now: datetime
) -> None:
    """Extend by what the order bought and have it delivered; the caller holds the customer's lock.

    ``recorded_id``: the payment as which the money is recorded, the order itself or a further charge.
    """
    subscription = await subscriptions.extend(
        session,
        order.user_id,
        days=order.days,
        provider=order.provider,
        cause=cause,
        payment_id=recorded_id,
        now=now,
    )
    await defer_delivery(session, deps, subscription.subscription_id)
    if subscription.has_undelivered_before:  # the panel seems to be away: the news may be long in coming
        await turn_screen(session, deps, order.payment_id)
