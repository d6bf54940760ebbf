"""Background entry points of selling, and when they run by themselves."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text

from getpro.messaging import partitions
from getpro.messaging.store import forget_old_marks, forget_old_notices
from getpro.panel.errors import PanelError
from getpro.payments import inbox
from getpro.payments.provider import ProviderUnavailable, ProviderUnreadable
from getpro.platform.jobs import Backoff, JobKind, RetryLater
from getpro.platform.restores import HELD_SECONDS, is_held
from getpro.platform.schedules import Schedule, job_of
from getpro.sales import delivery, polling, provider_books, reconcile, refunds, settle
from getpro.sales.deps import Deps
from getpro.sales.errors import UnknownProvider
from getpro.sales.names import COMPARE, DELIVER, POLL_PAYMENT, REFUND, SETTLE
from getpro.sales.reminders import remind
from getpro.sales.settle import Ending
from getpro.sales.sweep import sweep
from getpro.subscriptions import store as subscriptions

_FOR_EVER: Final = Backoff(longest_seconds=60)
"""An outside that is back is noticed within a minute."""
_BUGS_END: Final = Backoff(longest_seconds=60, attempts=8)
_FOR_HOURS: Final = Backoff(longest_seconds=1800, attempts=24)
_NEXT_TIME: Final = Backoff(attempts=1)
"""A routine that fails is not repeated: its schedule comes round."""
_OUTSIDE_AWAY: Final = (ProviderUnavailable, PanelError, UnknownProvider)
_FAILED_ROUTINES_KEPT: Final = timedelta(days=7)


def schedules(zone: str) -> list[Schedule]:
    """When the routines of selling run; ``zone`` is the operator's."""
    return [
        Schedule("poll_due", "every 5s"),
        Schedule("expire", "every 15s"),
        Schedule("sweep", "every 30s"),
        Schedule("remind", "every 60s"),
        Schedule("find_lost_charges", "every 600s"),
        Schedule("reconcile_panel", "every 900s"),
        Schedule("compare_yesterday", "20 4 * * *", zone),
        Schedule("keep_house", "10 4 * * *", zone),
    ]


def job_kinds(deps: Deps, *, zone: ZoneInfo) -> list[JobKind]:
    """What the names mean; each may run twice."""
    lost = partial(provider_books.find_lost_charges, deps)
    differing = partial(reconcile.reconcile_panel, deps)
    yesterday = partial(provider_books.compare_days, deps, zone=zone)

    def free(run: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        return partial(_unless_held, deps, run)

    return [
        JobKind(SETTLE, partial(_settle_event, deps), _FOR_EVER, _OUTSIDE_AWAY, leads_to=DELIVER),
        JobKind(DELIVER, partial(_deliver, deps), _FOR_EVER, _OUTSIDE_AWAY),
        JobKind(REFUND, free(partial(_refund, deps)), _FOR_EVER, _OUTSIDE_AWAY),
        JobKind(POLL_PAYMENT, free(partial(polling.poll_payment, deps)), _NEXT_TIME, _OUTSIDE_AWAY),
        JobKind(COMPARE, free(partial(reconcile.compare_one, deps)), _BUGS_END, _OUTSIDE_AWAY),
        JobKind(job_of("poll_due"), free(partial(polling.poll_due, deps)), _NEXT_TIME),
        JobKind(job_of("sweep"), free(partial(sweep, deps)), _NEXT_TIME),
        JobKind(job_of("remind"), free(partial(remind, deps, zone)), _NEXT_TIME),
        JobKind(job_of("expire"), partial(_expire, deps), _NEXT_TIME),
        JobKind(job_of("find_lost_charges"), free(lost), _NEXT_TIME, _OUTSIDE_AWAY),
        JobKind(job_of("reconcile_panel"), free(differing), _NEXT_TIME, _OUTSIDE_AWAY),
        JobKind(job_of("compare_yesterday"), free(yesterday), _FOR_HOURS, _OUTSIDE_AWAY),
        JobKind(job_of("keep_house"), partial(_keep_house, deps), _BUGS_END),
    ]


async def _unless_held(deps: Deps, run: Callable[..., Awaitable[None]], **arguments: Any) -> None:
    """Run a job, but not while the books are not whole after a restore; then it waits, as everybody does.

    Settling and delivering look for themselves, in a statement that they make anyway.
    """
    async with deps.db.read("held") as session:
        if await is_held(session):
            raise RetryLater(HELD_SECONDS, "the books are not whole after a restore")
    await run(**arguments)


async def _expire(deps: Deps) -> None:
    async with deps.db.begin("expire") as session:
        await subscriptions.expire_due(session, now=deps.clock())


async def _settle_event(deps: Deps, event_id: int) -> None:
    """Money is never given up: also an error of ours is tried again, but shown to the operator as ours."""
    try:
        await settle.settle_event(deps, event_id)
    except ProviderUnreadable:
        async with deps.db.begin("settle: unreadable") as session:
            await inbox.note_outcome(session, event_id, Ending.UNREADABLE, handled_at=None)
        raise
    except (RetryLater, *_OUTSIDE_AWAY):
        raise
    except Exception as error:
        async with deps.db.begin("settle: error") as session:
            await inbox.note_error(session, event_id, type(error).__name__)
        raise


async def _deliver(deps: Deps, subscription_id: int) -> None:
    try:
        await delivery.deliver(deps, subscription_id)
    except (RetryLater, *_OUTSIDE_AWAY):
        raise
    except Exception as error:
        await delivery.note_error(deps, subscription_id, error)
        raise


async def _refund(deps: Deps, refund_id: int) -> None:
    try:
        await refunds.make_refund(deps, refund_id)
    except (RetryLater, *_OUTSIDE_AWAY):
        raise
    except Exception as error:
        await refunds.note_error(deps, refund_id, error)
        raise


async def _keep_house(deps: Deps) -> None:
    now = deps.clock()
    async with deps.db.begin("keep house: partitions") as session:
        await session.execute(text("SET LOCAL lock_timeout = '5s'"))  # nobody queues behind us for longer
        existing = await session.scalars(text(partitions.EXISTING))
        for statement in (*partitions.statements(now), *partitions.old_ones(existing, now)):
            await session.execute(text(statement))
    async with deps.db.begin("keep house") as session:
        await forget_old_marks(session, now=now)
        await forget_old_notices(session, now=now)
        await inbox.forget_old(session, now=now)
        await deps.jobs.forget_failed(session, before=now - _FAILED_ROUTINES_KEPT)
