"""Read models for a customer's screens: one statement each."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.customers.store import Customer
from getpro.panel import accounts
from getpro.panel.service import PanelAccount
from getpro.payments.models import payments
from getpro.payments.store import Payment, payment_of
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.store import Subscription


@dataclass(frozen=True, slots=True)
class Home:
    """What the menu shows. ``trial_days`` is 0 where no trial is offered."""

    subscription: Subscription | None
    trial_days: int


async def home(session: AsyncSession, customer: Customer, *, trial_days: int) -> Home:
    subscription = await subscriptions.of_customer(session, customer.user_id)
    may_try = subscription is None and customer.trial_started_at is None
    return Home(subscription, trial_days if may_try else 0)


async def history(session: AsyncSession, user_id: int, *, most: int = 10) -> list[Payment]:
    """The customer's payments, newest first."""
    rows = await session.execute(
        select(payments)
        .where(payments.c.user_id == user_id)
        .order_by(payments.c.created_at.desc(), payments.c.payment_id.desc())
        .limit(most)
    )
    return [payment_of(row) for row in rows]


async def last_purchase(session: AsyncSession, user_id: int) -> Payment | None:
    """The customer's last paid order: its plan and way are offered first."""
    row = (
        await session.execute(
            select(payments)
            .where(payments.c.user_id == user_id, payments.c.status == "succeeded")
            .order_by(payments.c.paid_at.desc())
            .limit(1)
        )
    ).first()
    return None if row is None else payment_of(row)


async def access(session: AsyncSession, user_id: int) -> tuple[Subscription | None, PanelAccount | None]:
    """The subscription and the panel's account for it, if the panel has confirmed one."""
    subscription = await subscriptions.of_customer(session, user_id)
    if subscription is None:
        return None, None
    return subscription, await accounts.of_subscription(session, subscription.subscription_id)
