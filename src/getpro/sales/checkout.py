"""Checkout: an order is written and committed before the provider is asked."""

from datetime import timedelta
from typing import Final, NamedTuple
from uuid import uuid4

import structlog

from getpro.catalog import store as catalog
from getpro.customers import store as customers
from getpro.payments import store as payments
from getpro.payments.carried import CarriedOrder
from getpro.payments.provider import Order, ProviderRefused, ProviderUnavailable
from getpro.payments.rules import CREATE_REPEATED_FOR
from getpro.payments.states import Actor, CancelReason, PaymentStatus
from getpro.payments.store import NewOrder, Payment
from getpro.platform.database import Session
from getpro.sales import reads
from getpro.sales.closing import require_open
from getpro.sales.deps import Deps
from getpro.sales.errors import CustomerBlocked, EmailNeeded, WayClosed
from getpro.sales.names import TURN_SCREEN

log = structlog.get_logger(__name__)

_ASKED_AGAIN_AFTER = timedelta(seconds=15)


class _Words(NamedTuple):
    """What the payer reads at the provider's."""

    title: str
    description: str


_WORDS: Final = {
    "ru": _Words("VPN, {days} дн.", "{shop}: доступ на {days} дн."),
    "en": _Words("VPN, {days}-day access", "{shop}: {days}-day access"),
}


async def write_order(
    session: Session, deps: Deps, *, user_id: int, plan_id: int, provider_code: str
) -> Payment:
    """Write a pending payment with everything the create call will say; a step, it does not commit.

    Raises PlanGone, UnknownProvider, ShopClosed, WayClosed, EmailNeeded, CustomerBlocked, CustomerGone.
    """
    now = deps.clock()
    provider = deps.provider(provider_code)
    if provider.code in (await require_open(session)).ways:
        raise WayClosed
    plan = await catalog.active_plan(session, plan_id)
    customer = await customers.customer(session, user_id)
    if customer.is_blocked:
        raise CustomerBlocked
    if provider.needs_email and customer.email is None:
        raise EmailNeeded
    words = _WORDS.get(customer.language, _WORDS["en"])
    order_key, asked = uuid4(), provider.price(plan)
    order = Order(
        order_key=order_key,
        user_id=user_id,
        title=words.title.format(days=plan.days),
        description=words.description.format(shop=deps.rules.shop_name, days=plan.days),
        receipt_line=deps.rules.receipt_line(plan.days),
        asked=asked,
        email=customer.email,
        return_url=deps.rules.return_url,
        carried=CarriedOrder(
            order_key=order_key,
            bot_id=deps.rules.bot_id,
            user_id=user_id,
            language=customer.language,
            plan_id=plan.plan_id,
            days=plan.days,
            duration_months=plan.duration_months,
            price=plan.price,
            asked=asked,
            created_at=now,
        ),
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
            reason = f"{CancelReason.REFUSED}: {error}"
            await payments.cancel(session, payment, reason=reason, now=deps.clock())
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
            await time_out(session, deps, payment, reason=CancelReason.UNANSWERED)
        return
    asked = await ask_provider(deps, payment)
    if asked.pay_url is not None or asked.status is not PaymentStatus.PENDING:
        async with deps.db.begin("checkout repeated") as session:
            await turn_screen(session, deps, payment.payment_id)


async def give_up(session: Session, deps: Deps, *, user_id: int, payment_id: int) -> bool:
    """Cancel the customer's own pending order; money that comes all the same is still delivered."""
    payment = await payments.by_id(session, payment_id)
    if payment is None or payment.user_id != user_id:
        return False
    reason, now = CancelReason.BY_CUSTOMER, deps.clock()
    return await payments.cancel(session, payment, reason=reason, now=now, actor=Actor.CUSTOMER)


async def end_unpaid(
    session: Session, deps: Deps, payment: Payment, *, reason: str, actor: str = Actor.SHOP
) -> None:
    """Cancel an order about which nothing is left to ask, and turn its screen; one that is paid stays so.

    Money that comes for it all the same is taken as for any canceled order.
    """
    await payments.set_next_poll(session, payment.payment_id, None)
    if await payments.cancel(session, payment, reason=reason, now=deps.clock(), actor=actor):
        await turn_screen(session, deps, payment.payment_id)


async def time_out(session: Session, deps: Deps, payment: Payment, *, reason: CancelReason) -> None:
    """End an order that was not paid in time. Where money has come that a person looks at, they end it."""
    if await reads.is_money_kept(session, payment):
        await payments.set_next_poll(session, payment.payment_id, None)
    else:
        await end_unpaid(session, deps, payment, reason=reason)


async def turn_screen(session: Session, deps: Deps, payment_id: int) -> None:
    """Have the bot show the order as it then stands on the message that showed it; a step.

    One after the other: of two beside each other the slower could write last what it had read first.
    """
    await deps.jobs.defer(session, TURN_SCREEN, lock=f"screen:{payment_id}", payment_id=payment_id)


async def _again(session: Session, payment: Payment) -> Payment:
    fresh = await payments.by_id(session, payment.payment_id)
    assert fresh is not None
    return fresh
