"""Reminders of an end: three days and one day before, at the end, a day after; by day where the customer is.

Source: docs/decisions/0013-reminders.md.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update

from getpro.customers.models import users
from getpro.messaging.states import NoticeKind
from getpro.messaging.store import add_notice
from getpro.platform.database import Session
from getpro.sales.deps import Deps
from getpro.subscriptions.models import subscription_changes, subscriptions
from getpro.subscriptions.states import TRIAL

_MORNING: Final = time(9)
_NOON: Final = time(12)
_EVENING: Final = time(21)
_AT_ONCE: Final = 200
_AFTER_A_PURCHASE: Final = timedelta(days=1)
"""Whoever has just bought knows when it ends."""


class Reminder(StrEnum):
    IN_THREE_DAYS = "in three days"
    TOMORROW = "tomorrow"
    ENDED = "ended"
    DAY_AFTER = "day after"


class Due(NamedTuple):
    reminder: Reminder
    at: datetime
    until: datetime
    """After this it would come by night, or too late to be of use: it is left out."""


def due_for(end_date: datetime, *, changed_at: datetime, zone: ZoneInfo) -> Iterator[Due]:
    """The reminders of an end in their order, aware, UTC; none for an end that was put into the past.

    ``changed_at``: when the end came to be. Of a purchase nobody is reminded within a day.
    """
    if changed_at >= end_date:
        return
    day = end_date.astimezone(zone).date()
    for reminder, before in ((Reminder.IN_THREE_DAYS, 3), (Reminder.TOMORROW, 1)):
        at = _at(day - timedelta(days=before), _NOON, zone)
        if at - changed_at >= _AFTER_A_PURCHASE:
            yield Due(reminder, at, _at(day - timedelta(days=before), _EVENING, zone))
    ended = end_date
    if ended < _at(day, _MORNING, zone):
        ended = _at(day, _MORNING, zone)
    elif ended >= _at(day, _EVENING, zone):
        day += timedelta(days=1)
        ended = _at(day, _MORNING, zone)
    yield Due(Reminder.ENDED, ended, _at(day, _EVENING, zone))
    day += timedelta(days=1)
    yield Due(Reminder.DAY_AFTER, _at(day, _NOON, zone), _at(day, _EVENING, zone))


def _at(day: date, hour: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, hour, tzinfo=zone).astimezone(UTC)


async def remind(deps: Deps, shop_zone: ZoneInfo) -> None:
    """Write the reminders whose time has come, and when the next one is looked at; a flow, by schedule.

    Its cost grows with the reminders that are due, not with the subscriptions there are.
    """
    while await _remind_some(deps, shop_zone) == _AT_ONCE:
        pass


async def _remind_some(deps: Deps, shop_zone: ZoneInfo) -> int:
    async with deps.db.begin("remind") as session:
        now = deps.clock()
        changed_at = (
            select(func.max(subscription_changes.c.changed_at))
            .where(
                subscription_changes.c.subscription_id == subscriptions.c.subscription_id,
                subscription_changes.c.end_before.is_distinct_from(subscription_changes.c.end_after),
            )
            .scalar_subquery()
        )
        rows = await session.execute(
            select(
                subscriptions,
                users.c.zone,
                (users.c.is_reminded & users.c.blocked_at.is_(None)).label("is_reminded"),
                changed_at.label("changed_at"),
            )
            .join(users, users.c.user_id == subscriptions.c.user_id)
            .where(subscriptions.c.next_reminder_at <= now)
            .order_by(subscriptions.c.next_reminder_at)
            .limit(_AT_ONCE)
            .with_for_update(of=subscriptions, skip_locked=True)
        )
        looked_at = rows.all()
        for row in looked_at:
            zone = ZoneInfo(row.zone) if row.zone else shop_zone
            dues = [
                due for due in due_for(row.end_date, changed_at=row.changed_at, zone=zone) if due.until > now
            ]
            if dues and dues[0].at <= now and row.is_reminded:
                await _write(session, deps, row, dues[0], now=now)
            await session.execute(
                update(subscriptions)
                .where(subscriptions.c.subscription_id == row.subscription_id)
                .values(next_reminder_at=next((due.at for due in dues if due.at > now), None))
            )
    return len(looked_at)


async def _write(session: Session, deps: Deps, row: Any, due: Due, *, now: datetime) -> None:
    """Once per end: whoever switches reminders off and on, or travels, is not reminded again."""
    end_date = row.end_date.isoformat()
    await add_notice(
        session,
        deps.jobs,
        user_id=row.user_id,
        kind=NoticeKind.REMINDER,
        key=f"reminder:{row.subscription_id}:{end_date}:{due.reminder}",
        now=now,
        reminder=due.reminder,
        is_trial=row.provider == TRIAL,
        end_date=end_date,
        until=due.until.isoformat(),
    )


async def look_again(session: Session, user_id: int, *, now: datetime) -> None:
    """Count the customer's reminders anew: in another zone, wanted again, or let in again; a step."""
    await session.execute(
        update(subscriptions).where(subscriptions.c.user_id == user_id).values(next_reminder_at=now)
    )
