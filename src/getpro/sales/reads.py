"""Read models for the screens: one statement each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Exists,
    bindparam,
    column,
    exists,
    select,
    true,
    values,
)

from getpro.catalog.closures import SHOP, Closure, closure_of
from getpro.catalog.models import closures, plans
from getpro.customers.models import users
from getpro.customers.store import Customer, customer_of
from getpro.kit.money import Money, roubles
from getpro.panel.accounts import account_of
from getpro.panel.models import panel_accounts
from getpro.panel.service import KnownAccount
from getpro.payments.models import payments, stuck_payments
from getpro.payments.refunds import given_back
from getpro.payments.states import PaymentStatus
from getpro.payments.store import Payment, payment_of
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared, last_parts
from getpro.platform.restores import HELD
from getpro.subscriptions.models import subscriptions
from getpro.subscriptions.store import Subscription, subscription_of


@dataclass(frozen=True, slots=True)
class Home:
    """What the menu shows. ``trial_days`` is 0 where no trial is offered; ``closed``: nothing new is sold."""

    subscription: Subscription | None
    trial_days: int
    closed: Closure | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    """A line of the history; ``is_money_kept``: money has come for it that a person is looking at."""

    payment: Payment
    is_money_kept: bool
    given_back: Money | None

    @property
    def left(self) -> Money:
        """What could still be given back."""
        paid = self.payment.paid or self.payment.asked
        return paid if self.given_back is None else paid - self.given_back


@dataclass(frozen=True, slots=True)
class Prices:
    """What a plan costs: in roubles and in Stars."""

    price: Money
    stars: Money


_HOME = Prepared(
    select(closures, subscriptions)
    .select_from(values(column("is_here", Boolean), name="one").data([(True,)]))
    .outerjoin(closures, closures.c.what == SHOP)
    .outerjoin(subscriptions, subscriptions.c.user_id == bindparam("user_id", type_=BigInteger))
    .order_by(subscriptions.c.subscription_id)
    .limit(1)
)
"""One row, whatever there is: a menu is the most shown of screens, and asks once."""


async def home(session: Session, customer: Customer, *, trial_days: int) -> Home:
    row = await _HOME.first(session, user_id=customer.user_id)
    closed, given = last_parts(row, closures, subscriptions)
    subscription = None if given.subscription_id is None else subscription_of(given)
    may_try = subscription is None and customer.trial_started_at is None and closed.what is None
    return Home(
        subscription,
        trial_days if may_try else 0,
        None if closed.what is None else closure_of(closed),
    )


async def history(session: Session, user_id: int, *, most: int = 10) -> list[Bought]:
    """What the customer has paid, or may still pay, newest first; what came to nothing is left out."""
    shown = (payments.c.status != PaymentStatus.CANCELED) | _is_kept()
    return await _newest(session, (payments.c.user_id == user_id) & shown, most=most)


async def newest_payments(session: Session, *, user_id: int | None, most: int) -> list[Bought]:
    """The newest orders of a customer, or of everybody, for an operator: also those that came to nothing."""
    return await _newest(session, true() if user_id is None else payments.c.user_id == user_id, most=most)


def _open_entry(payment_id: Any) -> Exists:
    """Whether an entry of the operator's list names this payment."""
    return exists().where(stuck_payments.c.payment_id == payment_id, stuck_payments.c.resolved_at.is_(None))


def _is_kept() -> ColumnElement[bool]:
    return (payments.c.status != PaymentStatus.SUCCEEDED) & _open_entry(payments.c.payment_id)


_ALL_BOUGHT = select(payments, _is_kept().label("is_money_kept"), given_back().label("given_back"))
_BOUGHT = Prepared(_ALL_BOUGHT.where(payments.c.payment_id == bindparam("payment_id")))


async def bought(session: Session, payment_id: int) -> Bought | None:
    row = await _BOUGHT.first(session, payment_id=payment_id)
    return None if row is None else _bought_of(row)


class OnScreen(NamedTuple):
    """All that the screen of an order shows."""

    bought: Bought
    is_last: bool
    """No later order has been shown on the message that shows this one."""
    customer: Customer
    subscription: Subscription | None


_LATER = payments.alias("later")
_ON_SCREEN = Prepared(
    _ALL_BOUGHT.add_columns(
        (
            ~exists().where(
                _LATER.c.user_id == payments.c.user_id,
                _LATER.c.screen_message_id == payments.c.screen_message_id,
                _LATER.c.payment_id > payments.c.payment_id,
            )
        ).label("is_last"),
        *users.c,
        *subscriptions.c,
    )
    .select_from(payments)
    .join(users, users.c.user_id == payments.c.user_id)
    .outerjoin(subscriptions, subscriptions.c.user_id == users.c.user_id)
    .where(payments.c.payment_id == bindparam("payment_id"))
    .order_by(subscriptions.c.subscription_id)
    .limit(1)
)


async def on_screen(session: Session, payment_id: int) -> OnScreen | None:
    """The order as it stands now."""
    row = await _ON_SCREEN.first(session, payment_id=payment_id)
    if row is None:
        return None
    whose, given = last_parts(row, users, subscriptions)
    subscription = None if given.subscription_id is None else subscription_of(given)
    return OnScreen(_bought_of(row), row.is_last, customer_of(whose), subscription)


async def _newest(session: Session, condition: ColumnElement[bool], *, most: int) -> list[Bought]:
    rows = await session.execute(
        _ALL_BOUGHT.where(condition)
        .order_by(payments.c.created_at.desc(), payments.c.payment_id.desc())
        .limit(most)
    )
    return [_bought_of(row) for row in rows]


def _bought_of(row: Any) -> Bought:
    back = Money.parse(str(row.given_back), row.paid_currency) if row.given_back else None
    return Bought(payment_of(row), row.is_money_kept, back)


async def last_purchase(session: Session, user_id: int) -> Payment | None:
    """The customer's last paid order: its plan and way are offered first."""
    row = (
        await session.execute(
            select(payments)
            .where(payments.c.user_id == user_id, payments.c.status == PaymentStatus.SUCCEEDED)
            .order_by(payments.c.paid_at.desc())
            .limit(1)
        )
    ).first()
    return None if row is None else payment_of(row)


async def order_on_screen(
    session: Session, user_id: int, *, message_id: int, plan_id: int, provider: str, since: datetime
) -> Payment | None:
    """The same order, still waiting, that this message has shown ``since`` then: no second one is needed."""
    row = (
        await session.execute(
            select(payments)
            .where(
                payments.c.user_id == user_id,
                payments.c.created_at > since,
                payments.c.screen_message_id == message_id,
                payments.c.plan_id == plan_id,
                payments.c.provider == provider,
                payments.c.status == PaymentStatus.PENDING,
            )
            .order_by(payments.c.created_at.desc())
            .limit(1)
        )
    ).first()
    return None if row is None else payment_of(row)


async def is_money_kept(session: Session, payment: Payment) -> bool:
    """Whether money has come for an unpaid order that a person must look at before anything is given."""
    if payment.status is PaymentStatus.SUCCEEDED:
        return False
    return bool(await session.scalar(select(_open_entry(payment.payment_id))))


class Asked(NamedTuple):
    """An order, what its plan costs now, and whether the shop sells at all."""

    payment: Payment
    prices: Prices | None
    """None if the plan is no longer sold, or not to this customer."""
    is_held: bool
    """The database was brought back, and its books are not whole yet."""


async def order_and_prices(session: Session, order_key: UUID) -> Asked | None:
    row = (
        await session.execute(
            select(payments, plans.c.price, plans.c.stars, HELD.label("is_held"))
            .join(users, users.c.user_id == payments.c.user_id)
            .outerjoin(
                plans,
                (plans.c.plan_id == payments.c.plan_id) & plans.c.is_active & users.c.blocked_at.is_(None),
            )
            .where(payments.c.order_key == order_key)
        )
    ).first()
    if row is None:
        return None
    prices = None if row.price is None else Prices(roubles(row.price), Money(row.stars, "XTR"))
    return Asked(payment_of(row), prices, row.is_held)


async def access(session: Session, user_id: int) -> tuple[Subscription | None, KnownAccount | None]:
    """The subscription and the panel's account for it, if the panel has confirmed one."""
    row = (
        await session.execute(
            select(
                subscriptions,
                panel_accounts.c.panel_user_id,
                panel_accounts.c.username,
                panel_accounts.c.short_uuid_sha256,
                panel_accounts.c.encrypted_url,
            )
            .outerjoin(panel_accounts, panel_accounts.c.subscription_id == subscriptions.c.subscription_id)
            .where(subscriptions.c.user_id == user_id)
            .order_by(subscriptions.c.subscription_id)
            .limit(1)
        )
    ).first()
    if row is None:
        return None, None
    if row.panel_user_id is None:
        return subscription_of(row), None
    return subscription_of(row), account_of(row)
