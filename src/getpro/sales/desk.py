"""What an operator does for one customer, and sees of the day; who and why are kept with each deed."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, or_, select

from getpro.customers import store as customers
from getpro.customers.models import users
from getpro.customers.store import CustomerGone
from getpro.kit.money import Money, roubles
from getpro.kit.numbers import BIGGEST_BIGINT
from getpro.messaging.states import NoticeKind
from getpro.messaging.store import add_notice
from getpro.panel.errors import PanelError
from getpro.panel.service import KnownAccount, PanelUser
from getpro.payments.models import payments, refunds
from getpro.payments.states import PaymentStatus, RefundStatus
from getpro.platform import audit
from getpro.platform.database import Session
from getpro.sales import reads, reminders
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.sales.errors import CannotDo
from getpro.sales.reads import Bought
from getpro.sales.staff import Operator, require
from getpro.sales.stuck import StuckItem, list_stuck
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.models import subscriptions as subscriptions_table
from getpro.subscriptions.states import GIFT, TRIAL, ChangeCause
from getpro.subscriptions.store import Subscription

log = structlog.get_logger(__name__)

LONGEST_GIFT: Final = 3650
LONGEST_MESSAGE: Final = 3000
_MOST_FOUND: Final = 5
_MOST_PAYMENTS: Final = 5


@dataclass(frozen=True, slots=True)
class Card:
    """All that an operator needs of one customer."""

    user_id: int
    first_name: str
    username: str | None
    language: str
    registered_at: datetime
    came_by: str | None
    blocked_at: datetime | None
    unreachable_reason: str | None
    subscription: Subscription | None
    account: KnownAccount | None
    payments: list[Bought]
    on_panel: PanelUser | None = None
    """None where there is no account, where it is gone, and where the panel did not answer."""
    panel_trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A customer who may be the one that is looked for."""

    user_id: int
    first_name: str
    subscription_until: datetime | None
    """Its end, in the past too; None for who never had one."""


@dataclass(frozen=True, slots=True)
class Today:
    """The shop's day so far; ``taken`` and ``given_back`` in roubles, by provider."""

    taken: dict[str, tuple[int, Money]]
    given_back: Money
    newcomers: int
    trials: int
    active: int


async def find(session: Session, deps: Deps, wanted: str, *, by: Operator) -> list[Match]:
    """The customers that ``wanted`` may mean: an id, @name, payment (p12), or a provider's number; a step.

    Raises NotAllowed.
    """
    require(deps, by)
    text = wanted.strip()
    number = _number(text)
    conditions = [func.lower(users.c.username) == text.removeprefix("@").lower()]
    if number is not None:
        conditions.append(users.c.user_id == number)
    bought = payments.c.charge_id == text
    if text[:1] in {"p", "п"} and (payment_id := _number(text[1:])) is not None:
        bought = or_(bought, payments.c.payment_id == payment_id)
    conditions.append(users.c.user_id.in_(select(payments.c.user_id).where(bought)))
    until = (
        select(func.max(subscriptions_table.c.end_date))
        .where(subscriptions_table.c.user_id == users.c.user_id)
        .scalar_subquery()
    )
    found = await session.execute(
        select(users.c.user_id, users.c.first_name, until.label("until"))
        .where(or_(*conditions))
        .order_by(users.c.user_id)
        .limit(_MOST_FOUND)
    )
    return [Match(row.user_id, row.first_name, row.until) for row in found]


def _number(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() else 0
    return number if 0 < number <= BIGGEST_BIGINT else None


async def card(deps: Deps, user_id: int, *, by: Operator) -> Card:
    """The customer as shop and panel have them; a flow. Raises NotAllowed, CustomerGone."""
    require(deps, by)
    async with deps.db.read("desk: card") as session:
        row = (await session.execute(select(users).where(users.c.user_id == user_id))).first()
        if row is None:
            raise CustomerGone(user_id)
        subscription, account = await reads.access(session, user_id)
        bought = await reads.newest_payments(session, user_id=user_id, most=_MOST_PAYMENTS)
    on_panel, trouble = None, None
    if account is not None:
        try:
            on_panel = await deps.panel.by_username(account.username)
        except PanelError as error:
            trouble = str(error)
    return Card(
        user_id=user_id,
        first_name=row.first_name,
        username=row.username,
        language=row.language or "ru",
        registered_at=row.registration_date,
        came_by=row.start_parameter,
        blocked_at=row.blocked_at,
        unreachable_reason=row.unreachable_reason,
        subscription=subscription,
        account=account,
        payments=bought,
        on_panel=on_panel,
        panel_trouble=trouble,
    )


async def payment(session: Session, deps: Deps, payment_id: int, *, by: Operator) -> Bought | None:
    """An order with what was given back of it; a step. Raises NotAllowed."""
    require(deps, by)
    return await reads.bought(session, payment_id)


async def stuck(deps: Deps, *, by: Operator) -> list[StuckItem]:
    """Everything that waits for a person, oldest first; a flow. Raises NotAllowed."""
    require(deps, by)
    return await list_stuck(deps)


async def give_days(
    session: Session, deps: Deps, user_id: int, *, days: int, by: Operator, reason: str
) -> Subscription:
    """Give days without money; a step. Raises NotAllowed, CannotDo, CustomerGone."""
    require(deps, by)
    if not 0 < days <= LONGEST_GIFT:
        raise CannotDo(f"дней может быть от 1 до {LONGEST_GIFT}")
    now = deps.clock()
    await customers.lock(session, user_id)
    before = await subscriptions.of_customer(session, user_id)
    after = await subscriptions.extend(
        session,
        user_id,
        days=days,
        provider=GIFT if before is None else before.provider,
        cause=ChangeCause.GIFT,
        payment_id=None,
        now=now,
    )
    await defer_delivery(session, deps, after.subscription_id)
    await _note(session, deps, "extend", user_id, by=by, reason=reason, outcome=f"{days} d")
    return after


async def block(session: Session, deps: Deps, user_id: int, *, by: Operator, reason: str) -> None:
    """Shut the customer out, here and on the panel; a step. Raises NotAllowed, CannotDo, CustomerGone."""
    require(deps, by)
    await customers.lock(session, user_id)
    if not await customers.block(session, user_id, now=deps.clock()):
        raise CannotDo("клиент уже заблокирован")
    await _deliver(session, deps, user_id, cause=ChangeCause.BLOCK)
    await _note(session, deps, "block", user_id, by=by, reason=reason, outcome="blocked")


async def unblock(session: Session, deps: Deps, user_id: int, *, by: Operator, reason: str) -> None:
    """Let the customer in again, with all that is left of their days; a step.

    Raises NotAllowed, CannotDo, CustomerGone.
    """
    require(deps, by)
    await customers.lock(session, user_id)
    if not await customers.unblock(session, user_id):
        raise CannotDo("клиент не заблокирован")
    await _deliver(session, deps, user_id, cause=ChangeCause.UNBLOCK)
    await reminders.look_again(session, user_id, now=deps.clock())
    await _note(session, deps, "unblock", user_id, by=by, reason=reason, outcome="unblocked")


async def write_to(session: Session, deps: Deps, user_id: int, text: str, *, by: Operator) -> None:
    """Have the bot tell the customer something; a step. Raises NotAllowed, CannotDo, CustomerGone."""
    require(deps, by)
    said = text.strip()
    if not said or len(said) > LONGEST_MESSAGE:
        raise CannotDo(f"в сообщении может быть от 1 до {LONGEST_MESSAGE} знаков")
    customer = await customers.customer(session, user_id)
    if customer.unreachable_reason is not None:
        raise CannotDo(f"клиенту не написать: {customer.unreachable_reason}")
    audit_id = await _note(session, deps, "message", user_id, by=by, reason=said, outcome="queued")
    await add_notice(
        session,
        deps.jobs,
        user_id=user_id,
        kind=NoticeKind.MESSAGE,
        key=f"message:{audit_id}",
        now=deps.clock(),
        text=said,
    )


async def today(session: Session, deps: Deps, zone: ZoneInfo, *, by: Operator) -> Today:
    """The figures since midnight in ``zone``; a step. Raises NotAllowed."""
    require(deps, by)
    now = deps.clock()
    since = datetime.combine(now.astimezone(zone).date(), time(), tzinfo=zone)
    sums = await session.execute(
        select(payments.c.provider, func.count().label("number"), func.sum(payments.c.amount).label("amount"))
        .where(payments.c.status == PaymentStatus.SUCCEEDED, payments.c.paid_at >= since)
        .group_by(payments.c.provider)
        .order_by(payments.c.provider)
    )
    taken = {row.provider: (row.number, roubles(row.amount)) for row in sums}
    given_back = select(func.coalesce(func.sum(refunds.c.amount), 0)).where(
        refunds.c.status == RefundStatus.SUCCEEDED, refunds.c.finished_at >= since
    )
    counts = (
        await session.execute(
            select(
                given_back.scalar_subquery().label("given_back"),
                _count(users.c.registration_date >= since).label("newcomers"),
                _count(users.c.trial_started_at >= since).label("trials"),
                select(func.count())
                .select_from(subscriptions_table)
                .where(subscriptions_table.c.is_active, subscriptions_table.c.provider != TRIAL)
                .scalar_subquery()
                .label("active"),
            )
        )
    ).one()
    return Today(
        taken=taken,
        given_back=roubles(counts.given_back),
        newcomers=counts.newcomers,
        trials=counts.trials,
        active=counts.active,
    )


def _count(condition: Any) -> Any:
    return select(func.count()).select_from(users).where(condition).scalar_subquery()


async def _deliver(session: Session, deps: Deps, user_id: int, *, cause: ChangeCause) -> None:
    found = await subscriptions.of_customer(session, user_id)
    if found is not None:
        await subscriptions.want_anew(session, found.subscription_id, cause=cause, now=deps.clock())
        await defer_delivery(session, deps, found.subscription_id)


async def _note(
    session: Session, deps: Deps, deed: str, user_id: int, *, by: Operator, reason: str, outcome: str
) -> int:
    if not reason.strip():
        raise CannotDo("причина пуста: она остаётся в записи")
    return await audit.note(
        session,
        actor=by.name,
        action=f"customers.{deed}",
        subject=f"u{user_id}",
        reason=reason,
        outcome=outcome,
        now=deps.clock(),
    )
