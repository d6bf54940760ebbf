"""Deferring again what has no job, though it must happen."""

from datetime import timedelta
from typing import Final

from sqlalchemy import select

from getpro.payments import inbox
from getpro.payments.models import provider_events, refunds
from getpro.payments.states import RefundStatus
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.sales.names import DELIVER, REFUND, SETTLE
from getpro.sales.refunds import defer_refund
from getpro.subscriptions.models import subscriptions

_FORGOTTEN_AFTER: Final = timedelta(seconds=30)


async def sweep(deps: Deps) -> None:
    """Defer a settle for notices, a delivery for versions, a call for refunds that nobody is at; a flow.

    The queue only makes things fast; what must happen stands in our own tables. Run by schedule. A settle
    that failed for good stands on the operator's list: another one would only fail beside it.
    """
    async with deps.db.begin("sweep") as session:
        before = deps.clock() - _FORGOTTEN_AFTER
        unsettled = await session.scalars(
            select(provider_events.c.event_id).where(
                inbox.is_unknown(),
                provider_events.c.last_received_at < before,
                deps.jobs.none_for(SETTLE, provider_events.c.event_id, failed_counts=True),
            )
        )
        for event_id in unsettled.all():
            await deps.jobs.defer(session, SETTLE, event_id=event_id)
        undelivered = await session.scalars(
            select(subscriptions.c.subscription_id).where(
                subscriptions.c.provisioned_version < subscriptions.c.wanted_version,
                subscriptions.c.wanted_at < before,
                deps.jobs.none_for(DELIVER, subscriptions.c.subscription_id),
            )
        )
        for subscription_id in undelivered.all():
            await defer_delivery(session, deps, subscription_id)
        unasked = await session.scalars(
            select(refunds.c.refund_id).where(
                refunds.c.status == RefundStatus.PENDING,
                refunds.c.created_at < before,
                deps.jobs.none_for(REFUND, refunds.c.refund_id),
            )
        )
        for refund_id in unasked.all():
            await defer_refund(session, deps, refund_id)
