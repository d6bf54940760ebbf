"""The operator's list of what found no end by itself; the ways off it are in ``decisions``."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.kit.money import Money
from getpro.payments.models import provider_events, stuck_payments
from getpro.payments.states import StuckMoney
from getpro.platform.jobs import MONEY
from getpro.sales.deps import Deps
from getpro.subscriptions.models import subscriptions
from getpro.subscriptions.states import DeliveryTrouble

LATE: Final = timedelta(minutes=5)
"""A delivery or a notice that has waited this long is shown."""


class StuckWork(StrEnum):
    """What waits for a person though its money is where it belongs, or is none; money is StuckMoney."""

    NOT_DELIVERED_AWAY = "not_delivered_away"
    NOT_DELIVERED_REFUSED = "not_delivered_refused"
    NOT_DELIVERED_YET = "not_delivered_yet"
    NOTICE_DISPROVED = "notice_disproved"
    NOTICE_UNSETTLED = "notice_unsettled"
    JOB_FAILED = "job_failed"


_NOT_DELIVERED: Final = {
    None: StuckWork.NOT_DELIVERED_YET,
    DeliveryTrouble.AWAY: StuckWork.NOT_DELIVERED_AWAY,
    DeliveryTrouble.REFUSED: StuckWork.NOT_DELIVERED_REFUSED,
}


@dataclass(frozen=True, slots=True)
class StuckItem:
    """One line of the list. ``reference`` names it in commands: s12, d7, e9, j31."""

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
    async with deps.db.begin("stuck: list") as session:
        now = deps.clock()
        items = [
            *await _money(session),
            *await _undelivered(session, now=now),
            *await _unsettled(session, now=now),
            *await _failed_jobs(session, deps),
        ]
    return sorted(items, key=lambda item: item.since)


async def _money(session: AsyncSession) -> list[StuckItem]:
    rows = await session.execute(select(stuck_payments).where(stuck_payments.c.resolved_at.is_(None)))
    return [
        StuckItem(
            reference=f"s{row.stuck_id}",
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


async def _undelivered(session: AsyncSession, *, now: datetime) -> list[StuckItem]:
    rows = await session.execute(
        select(subscriptions).where(
            subscriptions.c.provisioned_version < subscriptions.c.wanted_version,
            subscriptions.c.wanted_at < now - LATE,
        )
    )
    return [
        StuckItem(
            reference=f"d{row.subscription_id}",
            kind=_NOT_DELIVERED[row.delivery_trouble],
            since=row.wanted_at,
            details=row.delivery_trouble_text or "Панель ещё не приняла доступ.",
            provider=row.provider,
            user_id=row.user_id,
        )
        for row in rows
    ]


async def _unsettled(session: AsyncSession, *, now: datetime) -> list[StuckItem]:
    rows = await session.execute(
        select(provider_events).where(
            provider_events.c.handled_at.is_(None),
            provider_events.c.dismissed_at.is_(None),
            provider_events.c.received_at < now - LATE,
        )
    )
    return [
        StuckItem(
            reference=f"e{row.event_id}",
            kind=StuckWork.NOTICE_DISPROVED if row.outcome else StuckWork.NOTICE_UNSETTLED,
            since=row.received_at,
            details=f"{row.event} {row.object_id}: {row.outcome or 'провайдер ещё не ответил'}",
            provider=row.provider,
        )
        for row in rows
    ]


async def _failed_jobs(session: AsyncSession, deps: Deps) -> list[StuckItem]:
    return [
        StuckItem(
            reference=f"j{job.job_id}",
            kind=StuckWork.JOB_FAILED,
            since=job.since,
            details=f"{job.name} {job.arguments}: ошибка, подробности в журнале",
        )
        for job in await deps.jobs.failed(session, MONEY)
    ]
