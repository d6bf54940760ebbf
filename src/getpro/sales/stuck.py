"""The operator's list of what found no end by itself; the ways off it are in ``decisions``."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import func, select

from getpro.kit.money import Money
from getpro.payments import inbox
from getpro.payments.models import payments, provider_events, refunds, stuck_payments
from getpro.payments.states import RefundStatus, StuckMoney
from getpro.platform.database import Session
from getpro.platform.jobs import MONEY
from getpro.sales.deps import Deps
from getpro.sales.names import DELIVER, REFUND, SETTLE
from getpro.sales.reference import Listed, Reference
from getpro.sales.settle import Ending
from getpro.subscriptions.models import subscriptions
from getpro.subscriptions.states import DeliveryTrouble

LATE: Final = timedelta(minutes=5)
"""A delivery or a notice that has waited this long is shown."""


_IN_THE_LOG: Final = "подробности в журнале"


class StuckWork(StrEnum):
    """What waits for a person though its money is where it belongs, or is none; money is StuckMoney."""

    NOT_DELIVERED_AWAY = "not_delivered_away"
    NOT_DELIVERED_REFUSED = "not_delivered_refused"
    NOT_DELIVERED_YET = "not_delivered_yet"
    REFUND_REFUSED = "refund_refused"
    REFUND_NOT_YET = "refund_not_yet"
    NOTICE_DISPROVED = "notice_disproved"
    NOTICE_UNSETTLED = "notice_unsettled"
    JOB_FAILED = "job_failed"
    """Our own error: of a job that is tried again all the same, or of one that is not."""


_NOT_PROVED: Final[dict[str, str]] = {
    Ending.PREMATURE: "деньги ещё не пришли",
    Ending.UNREADABLE: "ответ провайдера не читается: обновите программу или уберите запись",
    Ending.DISPROVED: "провайдер такого платежа не знает",
    Ending.NO_ORDER: "нет ни заказа, ни денег",
}
_NOT_DELIVERED: Final = {
    None: StuckWork.NOT_DELIVERED_YET,
    DeliveryTrouble.AWAY: StuckWork.NOT_DELIVERED_AWAY,
    DeliveryTrouble.REFUSED: StuckWork.NOT_DELIVERED_REFUSED,
    DeliveryTrouble.OURS: StuckWork.JOB_FAILED,
}


@dataclass(frozen=True, slots=True)
class StuckItem:
    """One line of the list. ``reference`` names it in commands."""

    reference: str
    kind: StuckMoney | StuckWork
    since: datetime
    details: str
    provider: str = ""
    user_id: int | None = None
    payment_id: int | None = None
    money: Money | None = None


async def list_stuck(deps: Deps) -> list[StuckItem]:
    """Everything that waits for a person, oldest first; a flow."""
    async with deps.db.read("stuck") as session:
        now = deps.clock()
        items = [
            *await _money(session),
            *await _undelivered(session, now=now),
            *await _not_given_back(session, now=now),
            *await _unsettled(session, now=now),
            *await _failed_jobs(session, deps),
        ]
    return sorted(items, key=lambda item: item.since)


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """Accesses that the panel has still to take, none of them late."""

    count: int
    oldest: datetime | None
    """None where there is none."""


async def on_the_way(deps: Deps) -> OnTheWay:
    """What is delivered just now, and will be in the list if it does not arrive; a flow."""
    async with deps.db.begin("stuck: on the way") as session:
        row = (
            await session.execute(
                select(func.count(), func.min(subscriptions.c.wanted_at)).where(
                    subscriptions.c.provisioned_version < subscriptions.c.wanted_version,
                    subscriptions.c.wanted_at >= deps.clock() - LATE,
                )
            )
        ).one()
    return OnTheWay(*row)


async def _money(session: Session) -> list[StuckItem]:
    rows = await session.execute(select(stuck_payments).where(stuck_payments.c.resolved_at.is_(None)))
    return [
        StuckItem(
            reference=str(Reference(Listed.MONEY, row.stuck_id)),
            kind=StuckMoney(row.kind),
            since=row.opened_at,
            details=f"{row.details} Платёж у провайдера: {row.charge_id}",
            provider=row.provider,
            user_id=row.user_id,
            payment_id=row.payment_id,
            money=Money.parse(str(row.amount), row.currency),
        )
        for row in rows
    ]


async def _undelivered(session: Session, *, now: datetime) -> list[StuckItem]:
    rows = await session.execute(
        select(subscriptions).where(
            subscriptions.c.provisioned_version < subscriptions.c.wanted_version,
            subscriptions.c.wanted_at < now - LATE,
        )
    )
    return [
        StuckItem(
            reference=str(Reference(Listed.DELIVERY, row.subscription_id)),
            kind=_NOT_DELIVERED[row.delivery_trouble],
            since=row.wanted_at,
            details=_why_undelivered(row.delivery_trouble, row.delivery_trouble_text),
            provider=row.provider,
            user_id=row.user_id,
        )
        for row in rows
    ]


def _why_undelivered(trouble: str | None, words: str | None) -> str:
    if trouble == DeliveryTrouble.OURS:
        return f"{DELIVER.name}: {words}, {_IN_THE_LOG}"
    return words or "Панель ещё не приняла доступ."


async def _not_given_back(session: Session, *, now: datetime) -> list[StuckItem]:
    rows = await session.execute(
        select(refunds, payments.c.user_id, payments.c.provider)
        .join(payments, payments.c.payment_id == refunds.c.payment_id)
        .where(
            (refunds.c.status == RefundStatus.REFUSED)
            | (refunds.c.status == RefundStatus.PENDING) & (refunds.c.created_at < now - LATE)
        )
    )
    return [
        StuckItem(
            reference=str(Reference(Listed.REFUND, row.refund_id)),
            kind=kind,
            since=row.created_at,
            details=why,
            provider=row.provider,
            user_id=row.user_id,
            payment_id=row.payment_id,
            money=Money.parse(str(row.refunded_amount), row.refunded_currency),
        )
        for row in rows
        for kind, why in [_why_not_given_back(row.status, row.trouble)]
    ]


def _why_not_given_back(status: str, trouble: str | None) -> tuple[StuckWork, str]:
    if status == RefundStatus.REFUSED:
        return StuckWork.REFUND_REFUSED, trouble or ""
    if trouble is not None and trouble.startswith(inbox.OUR_ERROR):
        return StuckWork.JOB_FAILED, f"{REFUND.name}: {trouble.removeprefix(inbox.OUR_ERROR)}, {_IN_THE_LOG}"
    return StuckWork.REFUND_NOT_YET, trouble or "Провайдер ещё возвращает деньги."


async def _unsettled(session: Session, *, now: datetime) -> list[StuckItem]:
    rows = await session.execute(
        select(provider_events).where(
            provider_events.c.handled_at.is_(None),
            provider_events.c.dismissed_at.is_(None),
            provider_events.c.received_at < now - LATE,
        )
    )
    return [
        StuckItem(
            reference=str(Reference(Listed.NOTICE, row.event_id)),
            kind=kind,
            since=row.received_at,
            details=f"{row.event} {row.object_id}: {why}",
            provider=row.provider,
        )
        for row in rows
        for kind, why in [_why_unsettled(row.outcome)]
    ]


def _why_unsettled(outcome: str | None) -> tuple[StuckWork, str]:
    if outcome is None:
        return StuckWork.NOTICE_UNSETTLED, "провайдер ещё не ответил"
    if outcome.startswith(inbox.OUR_ERROR):
        error = outcome.removeprefix(inbox.OUR_ERROR)
        return StuckWork.JOB_FAILED, f"{SETTLE.name}: {error}, {_IN_THE_LOG}"
    return StuckWork.NOTICE_DISPROVED, _NOT_PROVED.get(outcome, outcome)


async def _failed_jobs(session: Session, deps: Deps) -> list[StuckItem]:
    return [
        StuckItem(
            reference=str(Reference(Listed.JOB, job.job_id)),
            kind=StuckWork.JOB_FAILED,
            since=job.since,
            details=f"{job.name} {job.arguments}: {_IN_THE_LOG}",
        )
        for job in await deps.jobs.failed(session, MONEY)
    ]
