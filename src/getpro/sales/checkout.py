"""Checkout: an order is written and committed before the provider is asked."""

from datetime import timedelta
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.catalog import store as catalog
from getpro.customers import store as customers
from getpro.payments import store as payments
from getpro.payments.provider import Order, ProviderRefused, ProviderUnavailable
from getpro.payments.rules import CREATE_REPEATED_FOR
from getpro.payments.states import PaymentStatus
from getpro.payments.store import NewOrder, Payment
from getpro.platform.jobs import NOTICES
from getpro.sales.deps import Deps
from getpro.sales.errors import EmailNeeded
from getpro.sales.names import TURN_SCREEN

log = structlog.get_logger(__name__)

_ASKED_AGAIN_AFTER = timedelta(seconds=15)


async def write_order(
    session: AsyncSession, deps: Deps, *, user_id: int, plan_id: int, provider_code: str
) -> Payment:
    """Write a pending payment with everything the create call will say; a step, it does not commit.

    Raises PlanGone, UnknownProvider, EmailNeeded, CustomerGone.
    """
    now = deps.clock()
    provider = deps.provider(provider_code)
    plan = await catalog.active_plan(session, plan_id)
    customer = await customers.customer(session, user_id)
    if provider.needs_email and customer.email is None:
        raise EmailNeeded
    order = Order(
        order_key=uuid4(),
        user_id=user_id,
        title=f"VPN, {plan.days} дн.",
        description=f"{deps.rules.shop_name}: доступ на {plan.days} дн.",
        asked=provider.price(plan),
        email=customer.email,
        return_url=deps.rules.return_url,
    )
    return await payments.add_order(
        session,
        NewOrder(
            order_key=order.order_key,
            user_id=user_id,
            provider=provider.code,
            price=plan.price,
            asked=order.asked,
            duration_months=plan.duration_months,
            days=plan.days,
            plan_id=plan.plan_id,
            request=provider.request(order),
        ),
        now=now,
    )


async def ask_provider(deps: Deps, payment: Payment) -> Payment:
    """Make the payment at the provider's and return it with its ``pay_url``; a flow.

    Without an answer the payment comes back as it was: the same call, with the same key and body, is
    repeated by the poll of pending payments, which then turns the customer's screen. A refusal cancels.
    """
    assert payment.request is not None
    try:
        created = await deps.provider(payment.provider).create(payment.order_key, payment.request)
    except ProviderUnavailable as error:
        log.warning("checkout.provider_away", payment_id=payment.payment_id, error=str(error))
        return payment
    except ProviderRefused as error:
        log.error("checkout.refused", payment_id=payment.payment_id, error=str(error))
        async with deps.db.begin("checkout refused") as session:
            await payments.cancel(session, payment, reason=f"refused: {error}", now=deps.clock())
            return await _again(session, payment)
    async with deps.db.begin("checkout created") as session:
        await payments.note_created(session, payment.payment_id, created)
        return await _again(session, payment)


async def repeat_lost_call(deps: Deps, payment: Payment) -> None:
    """Repeat a create call whose answer we do not have, while the provider still knows its key; a flow."""
    now = deps.clock()
    age = now - payment.created_at
    if age < _ASKED_AGAIN_AFTER:
        return
    if age > CREATE_REPEATED_FOR:
        async with deps.db.begin("checkout given up") as session:
            await payments.cancel(session, payment, reason="the provider did not answer", now=now)
            await payments.set_next_poll(session, payment.payment_id, None)
        return
    asked = await ask_provider(deps, payment)
    if asked.pay_url is not None or asked.status is not PaymentStatus.PENDING:
        async with deps.db.begin("checkout repeated") as session:
            await deps.jobs.defer(session, TURN_SCREEN, queue=NOTICES, payment_id=payment.payment_id)


async def give_up(session: AsyncSession, deps: Deps, *, user_id: int, payment_id: int) -> bool:
    """Cancel the customer's own pending order; money that comes all the same is still delivered."""
    payment = await payments.by_id(session, payment_id)
    if payment is None or payment.user_id != user_id:
        return False
    return await payments.cancel(session, payment, reason="canceled by the customer", now=deps.clock())


async def _again(session: AsyncSession, payment: Payment) -> Payment:
    fresh = await payments.by_id(session, payment.payment_id)
    assert fresh is not None
    return fresh
