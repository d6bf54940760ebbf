"""Deliver: put the panel into the wanted state, any number of times and in any order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.kit.money import Money
from getpro.messaging.store import add_notice
from getpro.panel import accounts
from getpro.panel.errors import PanelError, PanelUnavailable
from getpro.panel.service import WantedAccess, put
from getpro.payments import inbox
from getpro.payments.models import payments
from getpro.payments.provider import Charge, ChargeState
from getpro.payments.states import StuckMoney
from getpro.platform.jobs import MONEY, NOTICES
from getpro.sales.deps import Deps
from getpro.sales.names import DELIVER, TURN_SCREEN
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.models import subscription_changes
from getpro.subscriptions.states import DeliveryTrouble
from getpro.subscriptions.store import REPAIR, Subscription

log = structlog.get_logger(__name__)


async def defer_delivery(session: AsyncSession, deps: Deps, subscription_id: int) -> None:
    """Ask for a delivery in this transaction; deliveries of one subscription run one after another."""
    await deps.jobs.defer(
        session, DELIVER, queue=MONEY, lock=_lock(subscription_id), subscription_id=subscription_id
    )


async def bring_delivery_forward(session: AsyncSession, deps: Deps, subscription_id: int) -> None:
    """Deliver now: a delivery that waits for its next try holds the lock, so it is let run."""
    await deps.jobs.bring_forward(session, _lock(subscription_id))
    await defer_delivery(session, deps, subscription_id)


def _lock(subscription_id: int) -> str:
    return f"deliver:{subscription_id}"


async def deliver(deps: Deps, subscription_id: int) -> None:
    """Put the wanted state onto the panel and note the version that was put; a flow, run as a job.

    It always puts, also what seems to be there already: a delivery that was killed may have landed late.
    Raises PanelError: the job tries again, for days if need be.
    """
    async with deps.db.begin("deliver: read") as session:
        wanted = await subscriptions.by_id(session, subscription_id)
        known = await accounts.of_subscription(session, subscription_id)
        is_repair = wanted is not None and await _is_repair(session, wanted)
    if wanted is None:
        return
    if wanted.end_date <= deps.clock():
        await _give_up_expired(deps, wanted)
        return
    access = WantedAccess(subscription_id=subscription_id, user_id=wanted.user_id, end_date=wanted.end_date)
    try:
        account = await put(deps.panel, access, known, takes_nothing=is_repair)
    except PanelError as error:
        await _note_trouble(deps, wanted, error)
        raise
    async with deps.db.begin("deliver: mark") as session:
        now = deps.clock()
        await accounts.remember(session, subscription_id, account, now=now)
        if await subscriptions.mark_provisioned(session, subscription_id, version=wanted.wanted_version):
            await _tell_open(session, deps, wanted, now=now)
        else:
            await defer_delivery(session, deps, subscription_id)
    log.info("subscription.delivered", subscription_id=subscription_id, version=wanted.wanted_version)


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why the wanted version came to be: the last change of the subscription."""

    cause: str
    payment: Any


async def _is_repair(session: AsyncSession, wanted: Subscription) -> bool:
    return (await _last_cause(session, wanted.subscription_id)).cause == REPAIR


async def _last_cause(session: AsyncSession, subscription_id: int) -> _Cause:
    row = (
        await session.execute(
            select(
                subscription_changes.c.cause,
                payments.c.payment_id,
                payments.c.follows_payment_id,
                payments.c.asked_amount,
                payments.c.asked_currency,
                payments.c.paid_amount,
                payments.c.paid_currency,
            )
            .outerjoin(payments, payments.c.payment_id == subscription_changes.c.payment_id)
            .where(subscription_changes.c.subscription_id == subscription_id)
            .order_by(subscription_changes.c.change_id.desc())
            .limit(1)
        )
    ).one()
    return _Cause(row.cause, row if row.payment_id is not None else None)


async def _tell_open(session: AsyncSession, deps: Deps, wanted: Subscription, *, now: datetime) -> None:
    """Tell the customer once per version that access is open, and turn the waiting screens.

    A repair is our own matter: nothing was bought. Of a version that the panel had already nothing is new.
    """
    last = await _last_cause(session, wanted.subscription_id)
    if wanted.is_delivered or last.cause == REPAIR:
        return
    is_news = await add_notice(
        session,
        deps.jobs,
        user_id=wanted.user_id,
        kind="access_open",
        key=f"open:{wanted.subscription_id}:{wanted.wanted_version}",
        now=now,
        cause=last.cause,
        end_date=wanted.end_date.isoformat(),
        **_paid(last),
    )
    if is_news:
        for row in await _undelivered(session, wanted):
            order = row.follows_payment_id or row.payment_id
            await deps.jobs.defer(session, TURN_SCREEN, queue=NOTICES, payment_id=order)


async def _note_trouble(deps: Deps, wanted: Subscription, error: PanelError) -> None:
    """Remember why, and tell the customer once per version that the money is safe and access is coming."""
    is_away = isinstance(error, PanelUnavailable)
    trouble = DeliveryTrouble.AWAY if is_away else DeliveryTrouble.REFUSED
    log.warning(
        "subscription.not_delivered",
        subscription_id=wanted.subscription_id,
        trouble=trouble,
        error=str(error),
    )
    async with deps.db.begin("deliver: trouble") as session:
        await subscriptions.note_trouble(
            session,
            wanted.subscription_id,
            version=wanted.wanted_version,
            trouble=trouble,
            text=str(error),
        )
        last = await _last_cause(session, wanted.subscription_id)
        if wanted.is_delivered or last.cause == REPAIR:
            return
        await add_notice(
            session,
            deps.jobs,
            user_id=wanted.user_id,
            kind="access_delayed",
            key=f"delayed:{wanted.subscription_id}:{wanted.wanted_version}",
            now=deps.clock(),
            cause=last.cause,
            **_paid(last),
        )


async def _give_up_expired(deps: Deps, wanted: Subscription) -> None:
    """The end has passed: the panel refuses past dates, and there is nothing left to open.

    What was paid for and never reached the panel goes onto the operator's list.
    """
    if wanted.is_delivered:
        return
    log.error("subscription.expired_undelivered", subscription_id=wanted.subscription_id)
    async with deps.db.begin("deliver: expired") as session:
        version = wanted.wanted_version
        if await subscriptions.mark_provisioned(session, wanted.subscription_id, version=version):
            await _list_undelivered(session, wanted, now=deps.clock())


async def _undelivered(session: AsyncSession, wanted: Subscription) -> Sequence[Any]:
    """The payments behind the versions that the panel did not have yet: one change made each version."""
    changes = (
        select(subscription_changes.c.payment_id)
        .where(subscription_changes.c.subscription_id == wanted.subscription_id)
        .order_by(subscription_changes.c.change_id.desc())
        .limit(wanted.wanted_version - wanted.provisioned_version)
        .subquery()
    )
    rows = await session.execute(
        select(
            payments.c.payment_id,
            payments.c.follows_payment_id,
            payments.c.order_key,
            payments.c.provider,
            payments.c.charge_id,
            payments.c.paid_amount,
            payments.c.paid_currency,
            payments.c.paid_at,
        ).join(changes, changes.c.payment_id == payments.c.payment_id)
    )
    return rows.all()


async def _list_undelivered(session: AsyncSession, wanted: Subscription, *, now: datetime) -> None:
    """Open an entry for each payment that the panel never gave anything for."""
    for row in await _undelivered(session, wanted):
        taken = Money.parse(str(row.paid_amount), row.paid_currency)
        await inbox.open_stuck(
            session,
            kind=StuckMoney.EXPIRED_UNDELIVERED,
            charge=Charge(
                provider=row.provider,
                charge_id=row.charge_id,
                state=ChargeState.PAID,
                order_key=row.order_key,
                taken=taken,
                refunded=Money(0, taken.currency),
                paid_at=row.paid_at,
            ),
            details=f"Срок вышел {wanted.end_date:%d.%m.%Y}, а панель доступа так и не приняла.",
            now=now,
            user_id=wanted.user_id,
            payment_id=row.payment_id,
        )


def _paid(last: _Cause) -> dict[str, Any]:
    if last.payment is None:
        return {}
    return {
        "payment_id": last.payment.payment_id,
        "paid_amount": f"{last.payment.paid_amount:f}",
        "paid_currency": last.payment.paid_currency,
    }
