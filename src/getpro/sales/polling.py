"""Asking providers about pending orders: money is found also when its notice never comes."""

import structlog

from getpro.payments import store as payments
from getpro.payments.provider import ChargeState, NoSuchCharge, ProviderUnavailable
from getpro.payments.rules import PENDING_FOR, next_poll
from getpro.payments.states import PaymentStatus
from getpro.payments.store import Payment
from getpro.platform.jobs import MONEY, NOTICES
from getpro.sales.checkout import repeat_lost_call
from getpro.sales.deps import Deps
from getpro.sales.names import POLL_PAYMENT, TURN_SCREEN
from getpro.sales.settle import settle_charge

log = structlog.get_logger(__name__)

_AT_ONCE = 100


async def poll_due(deps: Deps) -> None:
    """Defer a poll for each pending payment whose time has come; a flow, run by schedule."""
    async with deps.db.begin("poll: claim") as session:
        now = deps.clock()
        # Put off as if each were new, so that a poll that is lost is soon made up for.
        due = await payments.claim_due_polls(session, now=now, until=next_poll(now, now=now), most=_AT_ONCE)
        for payment_id in due:
            await deps.jobs.defer(
                session, POLL_PAYMENT, queue=MONEY, lock=f"poll:{payment_id}", payment_id=payment_id
            )


async def poll_payment(deps: Deps, payment_id: int) -> None:
    """Ask the provider about one order and act on the answer; a flow, run as a job.

    Raises ProviderUnavailable.
    """
    async with deps.db.begin("poll: read") as session:
        payment = await payments.by_id(session, payment_id)
    if payment is None or payment.status is PaymentStatus.SUCCEEDED:
        return
    now = deps.clock()
    if now - payment.created_at > PENDING_FOR:
        await _give_up(deps, payment)
        return
    if payment.provider not in deps.providers.by_code:  # switched off: asked again when it is back
        log.warning("payment.provider_off", payment_id=payment_id, provider=payment.provider)
    elif payment.pay_url is None and payment.status is PaymentStatus.PENDING:
        await repeat_lost_call(deps, payment)
    elif payment.object_id is not None and await _is_over(deps, payment, payment.object_id):
        return
    async with deps.db.begin("poll: again") as session:
        await payments.set_next_poll(session, payment_id, next_poll(payment.created_at, now=now))


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


async def _give_up(deps: Deps, payment: Payment) -> None:
    async with deps.db.begin("poll: give up") as session:
        await payments.set_next_poll(session, payment.payment_id, None)
        if await payments.cancel(session, payment, reason="not paid in time", now=deps.clock()):
            await deps.jobs.defer(session, TURN_SCREEN, queue=NOTICES, payment_id=payment.payment_id)


async def check_now(deps: Deps, payment_id: int) -> Payment | None:
    """Ask the provider because the customer pressed the button; return the payment as it is after.

    A provider that is away is no error here: the payment comes back as it was.
    """
    try:
        await poll_payment(deps, payment_id)
    except ProviderUnavailable:
        log.warning("payment.check_without_answer", payment_id=payment_id)
    async with deps.db.begin("check: read") as session:
        return await payments.by_id(session, payment_id)
