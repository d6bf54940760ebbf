"""Subscriptions: the end that was paid for, and how far the panel has followed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Insert, Integer, Update, bindparam, func, insert, select, update

from getpro.platform.database import Session
from getpro.platform.prepared import Prepared, named
from getpro.subscriptions.models import subscription_changes, subscriptions
from getpro.subscriptions.rules import Change, extended_end, unused
from getpro.subscriptions.states import ChangeCause, DeliveryTrouble


@dataclass(frozen=True, slots=True)
class Subscription:
    subscription_id: int
    user_id: int
    provider: str
    is_active: bool
    start_date: datetime
    end_date: datetime
    wanted_version: int
    provisioned_version: int
    wanted_at: datetime
    delivery_trouble: str | None

    @property
    def is_delivered(self) -> bool:
        return self.provisioned_version == self.wanted_version

    @property
    def has_undelivered_before(self) -> bool:
        """Whether more than the last change is still to be delivered."""
        return self.wanted_version - self.provisioned_version > 1


_OF_CUSTOMER = Prepared(
    select(subscriptions)
    .where(subscriptions.c.user_id == bindparam("user_id"))
    .order_by(subscriptions.c.subscription_id)
    .limit(1)
)
_BY_ID = Prepared(select(subscriptions).where(subscriptions.c.subscription_id == bindparam("number")))


async def of_customer(session: Session, user_id: int) -> Subscription | None:
    """The customer's subscription: they have one today, the keys do not forbid more."""
    row = await _OF_CUSTOMER.first(session, user_id=user_id)
    return None if row is None else subscription_of(row)


async def by_id(session: Session, subscription_id: int) -> Subscription | None:
    row = await _BY_ID.first(session, number=subscription_id)
    return None if row is None else subscription_of(row)


def _changing(statement: Insert | Update) -> Prepared:
    """Make or change a subscription, and keep what that changed beside it."""
    after = statement.returning(subscriptions).cte("after")
    columns = ("changed_at", "cause", "payment_id", "days", "end_before", "end_after")
    values = [bindparam(name, type_=subscription_changes.c[name].type) for name in columns]
    change = insert(subscription_changes).from_select(
        ["subscription_id", *columns], select(after.c.subscription_id, *values)
    )
    return Prepared(select(after).add_cte(change.cte("change")))


_WANTED = named("provider", "end_date", "wanted_at", "next_reminder_at") | {"is_active": True}
_BEGIN = _changing(insert(subscriptions).values(named("user_id", "start_date", "first_paid_at") | _WANTED))
_EXTEND = _changing(
    update(subscriptions)
    .where(subscriptions.c.subscription_id == bindparam("number"))
    .values(
        {
            **_WANTED,
            "wanted_version": subscriptions.c.wanted_version + 1,
            "first_paid_at": func.coalesce(
                subscriptions.c.first_paid_at,
                bindparam("first_paid_at", type_=subscriptions.c.first_paid_at.type),
            ),
        }
    )
)


async def extend(
    session: Session,
    user_id: int,
    *,
    days: int,
    provider: str,
    cause: ChangeCause,
    payment_id: int | None,
    now: datetime,
) -> Subscription:
    """Add ``days`` to the customer's subscription, made if they have none, and want the next version.

    The caller holds the customer's lock: the end is read and written here.
    """
    before = await of_customer(session, user_id)
    end_after = extended_end(before.end_date if before else None, days, now=now)
    return await _change(
        session,
        user_id,
        before,
        end_after,
        days=days,
        provider=provider,
        cause=cause,
        payment_id=payment_id,
        now=now,
    )


async def adopt(
    session: Session, user_id: int, end_date: datetime, *, provider: str, now: datetime
) -> Subscription:
    """Take over a later end that the panel has, for a subscription that is made if the customer has none.

    ``provider`` stands with one that is made. The caller holds the customer's lock.
    """
    before = await of_customer(session, user_id)
    since = min(now.replace(microsecond=0), end_date) if before is None else before.end_date
    return await _change(
        session,
        user_id,
        before,
        end_date,
        days=(end_date - since).days,
        provider=provider if before is None else before.provider,
        cause=ChangeCause.ADOPTED,
        payment_id=None,
        now=min(now, end_date),
    )


async def _change(
    session: Session,
    user_id: int,
    before: Subscription | None,
    end_after: datetime,
    *,
    days: int,
    provider: str,
    cause: ChangeCause,
    payment_id: int | None,
    now: datetime,
) -> Subscription:
    change = {
        "changed_at": now,
        "cause": cause,
        "payment_id": payment_id,
        "days": days,
        "end_before": before.end_date if before else None,
        "end_after": end_after,
    }
    wanted = {
        "provider": provider,
        "end_date": end_after,
        "wanted_at": now,
        "next_reminder_at": now,
        "first_paid_at": None if payment_id is None else now,
    }
    if before is None:
        start = now.replace(microsecond=0)
        row = await _BEGIN.first(session, user_id=user_id, start_date=start, **wanted, **change)
    else:
        row = await _EXTEND.first(session, number=before.subscription_id, **wanted, **change)
    return subscription_of(row)


async def take_back(
    session: Session, payment_id: int, *, refund_id: int, days: int, now: datetime
) -> Subscription | None:
    """Take back up to ``days`` of what a payment has given, as far as they are unused; want the next version.

    None where nothing of it is left. The caller holds the customer's lock.
    """
    given = (
        await session.execute(
            select(subscription_changes.c.subscription_id).where(
                subscription_changes.c.payment_id == payment_id, subscription_changes.c.refund_id.is_(None)
            )
        )
    ).scalar_one()
    changes = await session.execute(
        select(subscription_changes)
        .where(subscription_changes.c.subscription_id == given)
        .order_by(subscription_changes.c.change_id)
    )
    history = [Change(row.payment_id, row.days, row.end_before, row.end_after) for row in changes]
    taken = min(timedelta(days=days), unused(history, payment_id, now=now))
    if not taken:
        return None
    end_date = subscriptions.c.end_date
    row = (
        await session.execute(
            update(subscriptions)
            .where(subscriptions.c.subscription_id == given)
            .values(
                end_date=end_date - taken,
                is_active=end_date - taken > now,
                wanted_version=subscriptions.c.wanted_version + 1,
                wanted_at=now,
                next_reminder_at=now,
            )
            .returning(subscriptions)
        )
    ).one()
    after = subscription_of(row)
    await session.execute(
        insert(subscription_changes).values(
            subscription_id=given,
            changed_at=now,
            cause=ChangeCause.REFUND,
            payment_id=payment_id,
            refund_id=refund_id,
            days=-days,
            end_before=after.end_date + taken,
            end_after=after.end_date,
        )
    )
    return after


async def want_again(session: Session, subscription_id: int, *, now: datetime) -> bool:
    """Want a delivered subscription that still runs once more, its end unchanged: the panel has lost it.

    False where a version waits for its delivery already: however often it is asked for, one is enough.
    """
    end_date = await session.scalar(
        update(subscriptions)
        .where(
            subscriptions.c.subscription_id == subscription_id,
            subscriptions.c.provisioned_version == subscriptions.c.wanted_version,
            subscriptions.c.end_date > now,
        )
        .values(wanted_version=subscriptions.c.wanted_version + 1, wanted_at=now)
        .returning(subscriptions.c.end_date)
    )
    if end_date is None:
        return False
    await _note_same_end(session, subscription_id, ChangeCause.REPAIR, end_date, now=now)
    return True


async def want_anew(session: Session, subscription_id: int, *, cause: ChangeCause, now: datetime) -> None:
    """Want the next version, the end unchanged: something else about the access has changed."""
    end_date = (
        await session.execute(
            update(subscriptions)
            .where(subscriptions.c.subscription_id == subscription_id)
            .values(wanted_version=subscriptions.c.wanted_version + 1, wanted_at=now)
            .returning(subscriptions.c.end_date)
        )
    ).scalar_one()
    await _note_same_end(session, subscription_id, cause, end_date, now=now)


async def _note_same_end(
    session: Session, subscription_id: int, cause: ChangeCause, end_date: datetime, *, now: datetime
) -> None:
    await session.execute(
        insert(subscription_changes).values(
            subscription_id=subscription_id,
            changed_at=now,
            cause=cause,
            days=0,
            end_before=end_date,
            end_after=end_date,
        )
    )


def _marking() -> Update:
    return (
        update(subscriptions)
        .where(
            subscriptions.c.subscription_id == bindparam("number"),
            subscriptions.c.wanted_version == bindparam("provisioned_version"),
        )
        .values(named("provisioned_version") | {"delivery_trouble": None, "delivery_trouble_text": None})
        .returning(subscriptions.c.subscription_id)
    )


def _delivering() -> Prepared:
    """Mark, and note at each change that the panel did not have before when it got it."""
    marked = _marking().cte("marked")
    changes = subscription_changes.c
    newest = (
        select(changes.change_id)
        .where(changes.subscription_id == bindparam("number"))
        .order_by(changes.change_id.desc())
        .limit(bindparam("missing", type_=Integer))
    )
    noted = (
        update(subscription_changes)
        .where(
            changes.change_id.in_(newest),
            changes.subscription_id == marked.c.subscription_id,
            changes.delivered_at.is_(None),
        )
        .values(named("delivered_at"))
    )
    return Prepared(select(marked).add_cte(noted.cte("noted")))


_MARK = Prepared(_marking())
_DELIVERED = _delivering()


async def mark_provisioned(session: Session, subscription_id: int, *, version: int) -> bool:
    """Note that the panel has ``version``, though nobody was given anything by it; as mark_delivered."""
    return await _MARK.first(session, number=subscription_id, provisioned_version=version) is not None


async def mark_delivered(session: Session, wanted: Subscription, *, now: datetime) -> bool:
    """Note that the panel has ``wanted``; False if more is wanted meanwhile: deliver again.

    A slower, older delivery may have landed last, so only the version that is still wanted counts.
    """
    row = await _DELIVERED.first(
        session,
        number=wanted.subscription_id,
        provisioned_version=wanted.wanted_version,
        missing=wanted.wanted_version - wanted.provisioned_version,
        delivered_at=now,
    )
    return row is not None


async def note_trouble(
    session: Session, subscription_id: int, *, version: int, trouble: DeliveryTrouble, text: str
) -> None:
    """Remember why the panel does not have the wanted state, with its own words or our error's name."""
    await session.execute(
        update(subscriptions)
        .where(
            subscriptions.c.subscription_id == subscription_id,
            subscriptions.c.wanted_version == version,
        )
        .values(delivery_trouble=trouble, delivery_trouble_text=text)
    )


async def expire_due(session: Session, *, now: datetime) -> int:
    """Make every subscription inactive whose end has come; return how many.

    One that somebody is changing right now is left for the next time: it holds up no other.
    """
    due = (
        select(subscriptions.c.subscription_id)
        .where(subscriptions.c.is_active, subscriptions.c.end_date <= now)
        .with_for_update(skip_locked=True)
    )
    expired = await session.execute(
        update(subscriptions)
        .where(subscriptions.c.subscription_id.in_(due))
        .values(is_active=False)
        .returning(subscriptions.c.subscription_id)
    )
    return len(expired.all())


def subscription_of(row: Any) -> Subscription:
    """Build a subscription from a row that has the columns of ``subscriptions``."""
    return Subscription(
        subscription_id=row.subscription_id,
        user_id=row.user_id,
        provider=row.provider,
        is_active=row.is_active,
        start_date=row.start_date,
        end_date=row.end_date,
        wanted_version=row.wanted_version,
        provisioned_version=row.provisioned_version,
        wanted_at=row.wanted_at,
        delivery_trouble=row.delivery_trouble,
    )
