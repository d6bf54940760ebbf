"""Asking providers about pending orders: money is found also when its notice never comes."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from getpro.payments import store as payments
from getpro.payments.provider import ChargeState, NoSuchCharge, ProviderUnavailable
from getpro.payments.rules import PENDING_FOR, next_poll
from getpro.payments.states import CancelReason, PaymentStatus
from getpro.payments.store import Payment
from getpro.sales.checkout import repeat_lost_call, time_out
from getpro.sales.deps import Deps
from getpro.sales.names import POLL_PAYMENT
from getpro.sales.settle import settle_charge

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 100
_LEASE: Final = timedelta(minutes=10)
"""How long a claimed poll may take before the order is claimed again: a provider that is away is slow."""


async def poll_due(deps: Deps) -> None:
    """Defer a poll for each pending payment whose time has come; a flow, run by schedule."""
    async with deps.db.begin("poll: claim") as session:
        now = deps.clock()
        due = await payments.claim_due_polls(session, now=now, until=now + _LEASE, most=_AT_ONCE)
        for payment_id in due:
            await deps.jobs.defer(session, POLL_PAYMENT, lock=f"poll:{payment_id}", payment_id=payment_id)


async def poll_payment(deps: Deps, payment_id: int) -> None:
    """Ask the provider about one order and act on the answer; a flow, run as a job.

    A provider that is away is asked again when the order's next poll comes: it holds up nobody else.
    """
    async with deps.db.read("poll") as session:
        payment = await payments.by_id(session, payment_id)
    if payment is None or payment.status is PaymentStatus.SUCCEEDED:
        return
    now = deps.clock()
    if now - payment.created_at >= PENDING_FOR:
        async with deps.db.begin("poll: give up") as session:
            await time_out(session, deps, payment, reason=CancelReason.NOT_PAID)
        return
    try:
        if await _ask(deps, payment):
            return
    except ProviderUnavailable as error:
        log.warning("payment.provider_away", payment_id=payment_id, error=str(error))
    async with deps.db.begin("poll: again") as session:
        await payments.set_next_poll(session, payment_id, _next(deps, payment, now=now))


async def _ask(deps: Deps, payment: Payment) -> bool:
    """Repeat a call that was lost, or find out how the object stands; whether nothing is left to ask."""
    if payment.provider not in deps.providers.by_code:  # switched off: asked again when it is back
        log.warning("payment.provider_off", payment_id=payment.payment_id, provider=payment.provider)
        return False
    if payment.pay_url is None and payment.status is PaymentStatus.PENDING:
        await repeat_lost_call(deps, payment)
        return False
    return payment.object_id is not None and await _is_over(deps, payment, payment.object_id)


def _next(deps: Deps, payment: Payment, *, now: datetime) -> datetime | None:
    """When to look again; None where nothing can be asked and nothing will change by itself."""
    provider = deps.providers.by_code.get(payment.provider)
    can_be_asked = provider is None or (provider.is_polled and payment.object_id is not None)
    if can_be_asked or (payment.status is PaymentStatus.PENDING and payment.pay_url is None):
        return next_poll(payment.created_at, now=now)
    return payment.created_at + PENDING_FOR if payment.status is PaymentStatus.PENDING else None


async def _is_over(deps: Deps, payment: Payment, object_id: str) -> bool:
    """Ask and settle; whether there is nothing left to ask."""
    provider = deps.provider(payment.provider)
    if not provider.is_polled:
        return False
    try:
        charge = await provider.find(object_id)
    except NoSuchCharge:
        log.error("payment.object_unknown", payment_id=payment.payment_id)
        return False
    if charge.state is ChargeState.PENDING:
        return False
    await settle_charge(deps, charge)
    async with deps.db.begin("poll: done") as session:
        await payments.set_next_poll(session, payment.payment_id, None)
    return True


async def check_now(deps: Deps, payment_id: int) -> Payment | None:
    """Ask the provider because the customer pressed the button; return the payment as it is after.

    A provider that is away is no error here: the payment comes back as it was.
    """
    await poll_payment(deps, payment_id)
    async with deps.db.read("check") as session:
        return await payments.by_id(session, payment_id)
