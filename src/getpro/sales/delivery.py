"""Deliver: put the panel into the wanted state, any number of times and in any order."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Integer, bindparam, func, select, true

from getpro.customers.models import users
from getpro.kit.money import Money
from getpro.messaging.models import notices
from getpro.messaging.states import NoticeKind
from getpro.messaging.store import add_notice
from getpro.panel import accounts
from getpro.panel.errors import PanelError, PanelUnavailable
from getpro.panel.models import panel_accounts
from getpro.panel.service import KnownAccount, PanelAccount, WantedAccess, put, shut_out
from getpro.payments import inbox
from getpro.payments.models import payments
from getpro.payments.provider import Charge, ChargeState
from getpro.payments.refunds import given_back
from getpro.payments.states import StuckMoney
from getpro.payments.store import Payment, payment_of
from getpro.platform import audit
from getpro.platform.database import Session
from getpro.platform.jobs import RetryLater
from getpro.platform.metrics import DELIVERY_SECONDS
from getpro.platform.prepared import Prepared
from getpro.platform.restores import HELD, HELD_SECONDS
from getpro.sales.checkout import turn_screen
from getpro.sales.deps import Deps
from getpro.sales.names import DELIVER
from getpro.sales.staff import Operator, require
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.models import subscription_changes
from getpro.subscriptions.models import subscriptions as subscriptions_table
from getpro.subscriptions.states import ChangeCause, DeliveryTrouble
from getpro.subscriptions.store import Subscription, subscription_of

log = structlog.get_logger(__name__)

_SLOW_SECONDS: Final = 2.0
"""How long a customer who has paid may look at the waiting screen before it says more."""
_SILENT: Final = frozenset({ChangeCause.REPAIR, ChangeCause.REFUND, ChangeCause.BLOCK, ChangeCause.ADOPTED})
"""Nothing was bought: the customer is told nothing, or was told when it was decided."""


_CHANGES: Final = (
    select(subscription_changes)
    .where(subscription_changes.c.subscription_id == bindparam("subscription_id"))
    .order_by(subscription_changes.c.change_id.desc())
    .limit(bindparam("missing", type_=Integer))
    .subquery("changes")
)
"""What made the versions that the panel did not have yet: one change made each version."""
_UNDELIVERED: Final = Prepared(
    select(payments)
    .join(_CHANGES, _CHANGES.c.payment_id == payments.c.payment_id)
    .where(_CHANGES.c.refund_id.is_(None), given_back() < payments.c.paid_amount)
    .order_by(payments.c.payment_id)
)
_SHORTENED: Final = Prepared(select(_CHANGES.c.change_id).where(_CHANGES.c.refund_id.is_not(None)).limit(1))
_OVERTAKEN: Final = Prepared(
    select(notices.c.arguments["orders"].label("orders"))
    .where(
        notices.c.user_id == bindparam("user_id"),
        notices.c.kind == NoticeKind.ACCESS_OPEN,
        notices.c.dropped_at.is_(None),
        notices.c.sent_at.is_(None)
        | (notices.c.sent_at >= select(func.min(_CHANGES.c.changed_at)).scalar_subquery()),
    )
    .order_by(notices.c.notice_id)
)


async def defer_delivery(session: Session, deps: Deps, subscription_id: int) -> None:
    """Ask for a delivery in this transaction; deliveries of one subscription run one after another."""
    await deps.jobs.defer(session, DELIVER, lock=_lock(subscription_id), subscription_id=subscription_id)


async def bring_delivery_forward(session: Session, deps: Deps, subscription_id: int) -> None:
    """Deliver now: a delivery that waits for its next try holds the lock, so it is let run."""
    await deps.jobs.bring_forward(session, _lock(subscription_id))
    await defer_delivery(session, deps, subscription_id)


async def retry_undelivered(
    session: Session, deps: Deps, *, by: Operator, reason: str, most: int = 1000
) -> int:
    """Deliver now whatever the panel does not have, the longest waiting first; a step. Return how many.

    Raises NotAllowed.
    """
    require(deps, by)
    waiting = await session.scalars(
        select(subscriptions_table.c.subscription_id)
        .where(subscriptions_table.c.provisioned_version < subscriptions_table.c.wanted_version)
        .order_by(subscriptions_table.c.wanted_at)
        .limit(most)
    )
    found = waiting.all()
    for subscription_id in found:
        await bring_delivery_forward(session, deps, subscription_id)
    await audit.note(
        session,
        actor=by.name,
        action="sales.retry_undelivered",
        subject="deliveries",
        reason=reason,
        outcome=str(len(found)),
        now=deps.clock(),
    )
    return len(found)


def _lock(subscription_id: int) -> str:
    return f"deliver:{subscription_id}"


async def deliver(deps: Deps, subscription_id: int) -> None:
    """Put the wanted state onto the panel and note the version that was put; a flow, run as a job.

    It always puts, also what seems to be there already: a delivery that was killed may have landed late.
    Raises PanelError: the job tries again, for days if need be; RetryLater while the shop is held, for what
    the panel has may then be more than an older database knows.
    """
    async with deps.db.read("deliver") as session:
        row = await _STANDING.first(session, subscription_id=subscription_id)
    if row is None:
        return
    if row.is_held:
        raise RetryLater(HELD_SECONDS, "the books are not whole after a restore")
    wanted, known, last = _standing_of(row)
    structlog.contextvars.bind_contextvars(user_id=wanted.user_id)
    if row.blocked_at is not None:
        await _keep_out(deps, wanted, last, known)
        return
    if wanted.end_date <= deps.clock():
        await _end(deps, wanted, last, known)
        return
    access = WantedAccess(subscription_id=subscription_id, user_id=wanted.user_id, end_date=wanted.end_date)
    putting = put(deps.panel, access, known, takes_nothing=last.cause is ChangeCause.REPAIR)
    try:
        account = await _showing_if_slow(deps, wanted, putting)
    except PanelError as error:
        await _note_trouble(deps, wanted, last, error)
        raise
    await _mark(deps, wanted, last, account)
    log.info("subscription.delivered", subscription_id=subscription_id, version=wanted.wanted_version)


async def _showing_if_slow(
    deps: Deps, wanted: Subscription, putting: Coroutine[Any, Any, PanelAccount]
) -> PanelAccount:
    """Wait for the panel; where that takes long, the waiting screens say that the money has come.

    Where it does not, they turn once, when access is open.
    """
    call = asyncio.ensure_future(putting)
    try:
        await asyncio.wait({call}, timeout=_SLOW_SECONDS)
        if not call.done():
            await _show_coming(deps, wanted)
        return await call
    finally:
        call.cancel()


async def _show_coming(deps: Deps, wanted: Subscription) -> None:
    """Have the screens of what is paid and not delivered say so."""
    async with deps.db.begin("deliver: coming") as session:
        for payment in await _undelivered(session, wanted):
            await turn_screen(session, deps, payment.order_id)


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why the wanted version came to be: the last change of the subscription."""

    cause: ChangeCause
    payment_id: int | None
    paid: Money | None

    def as_arguments(self) -> dict[str, Any]:
        """For a notice: what was paid, if anything was."""
        if self.paid is None:
            return {"cause": self.cause}
        paid = {"paid_amount": str(self.paid.value), "paid_currency": self.paid.currency}
        return {"cause": self.cause, "payment_id": self.payment_id} | paid


def _standing() -> Prepared:
    """A subscription, why its wanted version came to be, the account on the panel, whether it is shut."""
    last = (
        select(subscription_changes.c.cause, subscription_changes.c.payment_id)
        .where(subscription_changes.c.subscription_id == subscriptions_table.c.subscription_id)
        .order_by(subscription_changes.c.change_id.desc())
        .limit(1)
        .lateral("last")
    )
    a, p = panel_accounts.c, payments.c
    return Prepared(
        select(
            subscriptions_table,
            *(
                last.c.cause,
                p.payment_id,
                p.paid_amount,
                p.paid_currency,
                users.c.blocked_at,
                HELD.label("is_held"),
            ),
            *(a.panel_user_id, a.username, a.short_uuid_sha256, a.encrypted_url),
        )
        .select_from(subscriptions_table)
        .join(last, true())
        .join(users, users.c.user_id == subscriptions_table.c.user_id)
        .outerjoin(payments, p.payment_id == last.c.payment_id)
        .outerjoin(panel_accounts, a.subscription_id == subscriptions_table.c.subscription_id)
        .where(subscriptions_table.c.subscription_id == bindparam("subscription_id"))
    )


_STANDING: Final = _standing()


def _standing_of(row: Any) -> tuple[Subscription, KnownAccount | None, _Cause]:
    account = None if row.panel_user_id is None else accounts.account_of(row)
    paid = None if row.payment_id is None else Money.parse(str(row.paid_amount), row.paid_currency)
    return subscription_of(row), account, _Cause(ChangeCause(row.cause), row.payment_id, paid)


async def _mark(deps: Deps, wanted: Subscription, last: _Cause, account: PanelAccount) -> None:
    """Note the version that the panel has, and tell of it; if more was wanted meanwhile, deliver again."""
    now, delivered = deps.clock(), list[Payment]()
    async with deps.db.begin("deliver: mark") as session:
        await accounts.remember(session, wanted.subscription_id, account, cipher=deps.cipher, now=now)
        if await subscriptions.mark_delivered(session, wanted, now=now):
            delivered = await _undelivered(session, wanted)
            await _tell_open(session, deps, wanted, last, delivered, now=now)
        else:
            await defer_delivery(session, deps, wanted.subscription_id)
    for payment in delivered:
        if payment.paid_at is not None:
            waited = (now - payment.paid_at).total_seconds()
            DELIVERY_SECONDS.observe(max(0.0, waited))  # the provider's clock may be ahead of ours


async def _tell_open(
    session: Session,
    deps: Deps,
    wanted: Subscription,
    last: _Cause,
    delivered: list[Payment],
    *,
    now: datetime,
) -> None:
    """Tell the customer once per version that access is open, and turn the waiting screens.

    A repair is our own matter, and of a refund the customer was told when it was made: nothing was bought.
    Of a version that the panel had already nothing is new.
    """
    orders = [payment.order_id for payment in delivered]
    if wanted.is_delivered or (last.cause in _SILENT and not orders):
        return
    overtaken = await _overtaken(session, wanted)
    is_news = await add_notice(
        session,
        deps.jobs,
        user_id=wanted.user_id,
        kind=NoticeKind.ACCESS_OPEN,
        key=f"open:{wanted.subscription_id}:{wanted.wanted_version}",
        now=now,
        end_date=wanted.end_date.isoformat(),
        orders=orders,
        **last.as_arguments(),
    )
    if is_news:
        for order_id in dict.fromkeys(overtaken + orders):
            if order_id != last.payment_id:  # on its screen the news themselves are told
                await turn_screen(session, deps, order_id)


async def _overtaken(session: Session, wanted: Subscription) -> list[int]:
    """Orders that were delivered before, but of which the customer was told after more was wanted.

    Their screens were turned while the panel had not confirmed that: they show that access is coming. Before
    the first version that the panel had, nobody was told of any.
    """
    if not wanted.provisioned_version:
        return []
    told = await _OVERTAKEN.all(session, user_id=wanted.user_id, **_versions(wanted))
    return [order_id for row in told for order_id in row.orders or []]


async def _note_trouble(deps: Deps, wanted: Subscription, last: _Cause, error: PanelError) -> None:
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
        if wanted.is_delivered or last.cause in _SILENT:
            return
        await add_notice(
            session,
            deps.jobs,
            user_id=wanted.user_id,
            kind=NoticeKind.ACCESS_DELAYED,
            key=f"delayed:{wanted.subscription_id}:{wanted.wanted_version}",
            now=deps.clock(),
            **last.as_arguments(),
        )


async def note_error(deps: Deps, subscription_id: int, error: Exception) -> None:
    """Remember that a delivery met an error of ours; by its name, for its text may hold secrets. A flow."""
    async with deps.db.begin("deliver: error") as session:
        wanted = await subscriptions.by_id(session, subscription_id)
        if wanted is not None and not wanted.is_delivered:
            await subscriptions.note_trouble(
                session,
                subscription_id,
                version=wanted.wanted_version,
                trouble=DeliveryTrouble.OURS,
                text=type(error).__name__,
            )


async def _end(deps: Deps, wanted: Subscription, last: _Cause, known: KnownAccount | None) -> None:
    """The end has passed: the panel refuses past dates, and there is nothing left to open.

    Where the panel has not heard of a refund, whatever was wanted since, it has a later end still: the
    account that we know is closed. What was paid for and never reached the panel goes onto the operator's
    list. Raises PanelError.
    """
    if wanted.is_delivered:
        return
    async with deps.db.read("deliver: ended") as session:
        is_shortened = await _SHORTENED.first(session, **_versions(wanted)) is not None
    await _shut(deps, wanted, last, known if is_shortened else None)
    log.warning("subscription.ended", subscription_id=wanted.subscription_id)
    async with deps.db.begin("deliver: expired") as session:
        version = wanted.wanted_version
        if await subscriptions.mark_provisioned(session, wanted.subscription_id, version=version):
            await _list_undelivered(session, wanted, now=deps.clock())


async def _keep_out(deps: Deps, wanted: Subscription, last: _Cause, known: KnownAccount | None) -> None:
    """An operator has shut the customer out: whatever they have paid for stays closed. Raises PanelError."""
    await _shut(deps, wanted, last, known)
    await _show_coming(deps, wanted)
    async with deps.db.begin("deliver: blocked") as session:
        version = wanted.wanted_version
        if not await subscriptions.mark_provisioned(session, wanted.subscription_id, version=version):
            await defer_delivery(session, deps, wanted.subscription_id)


async def _shut(deps: Deps, wanted: Subscription, last: _Cause, account: KnownAccount | None) -> None:
    try:
        if account is not None:
            await shut_out(deps.panel, wanted.user_id, account, now=deps.clock())
    except PanelError as error:
        await _note_trouble(deps, wanted, last, error)
        raise


async def _undelivered(session: Session, wanted: Subscription) -> list[Payment]:
    """The payments behind the versions that the panel did not have yet, but for those given back whole."""
    return [payment_of(row) for row in await _UNDELIVERED.all(session, **_versions(wanted))]


def _versions(wanted: Subscription) -> dict[str, int]:
    """The parameters of ``_CHANGES``."""
    missing = wanted.wanted_version - wanted.provisioned_version
    return {"subscription_id": wanted.subscription_id, "missing": missing}


async def _list_undelivered(session: Session, wanted: Subscription, *, now: datetime) -> None:
    """Open an entry for each payment that the panel never gave anything for."""
    for payment in await _undelivered(session, wanted):
        assert payment.charge_id is not None
        assert payment.paid is not None
        await inbox.open_stuck(
            session,
            kind=StuckMoney.EXPIRED_UNDELIVERED,
            charge=Charge(
                provider=payment.provider,
                charge_id=payment.charge_id,
                state=ChargeState.PAID,
                order_key=payment.order_key,
                taken=payment.paid,
                refunded=Money(0, payment.paid.currency),
                paid_at=payment.paid_at,
            ),
            details=f"Срок вышел {wanted.end_date:%d.%m.%Y}, а панель доступа так и не приняла.",
            now=now,
            user_id=wanted.user_id,
            payment_id=payment.payment_id,
        )
