"""Notices to customers, and marks of the updates that were seen."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from getpro.messaging.models import notices, telegram_updates
from getpro.messaging.states import NoticeKind
from getpro.platform.database import Session
from getpro.platform.jobs import NOTICES, JobName, Jobs
from getpro.platform.prepared import Prepared, named

SEND_NOTICE = JobName("send_notice", NOTICES)
"""The job that sends one notice; the bot runs it."""
MARKS_KEPT = timedelta(days=8)
"""Telegram redelivers for a day and restarts its numbers at random after a week of silence."""
NOTICES_KEPT = timedelta(days=90)


_ADD = Prepared(
    insert(notices)
    .values(named("user_id", "kind", "key", "arguments", "created_at"))
    .on_conflict_do_nothing(index_elements=["key"])
    .returning(notices.c.notice_id)
)
_WAITING = Prepared(
    select(notices).where(
        notices.c.notice_id == bindparam("notice_id"),
        notices.c.sent_at.is_(None),
        notices.c.dropped_at.is_(None),
    )
)
_MARK_SENT = Prepared(
    update(notices).where(notices.c.notice_id == bindparam("number")).values(named("sent_at", "message_id"))
)


async def add_notice(
    session: Session,
    jobs: Jobs,
    *,
    user_id: int,
    kind: NoticeKind,
    key: str,
    now: datetime,
    **arguments: Any,
) -> bool:
    """Write a notice once per ``key`` and defer its sending; False if it had been written before."""
    notice_id = await _ADD.scalar(
        session, user_id=user_id, kind=kind, key=key, arguments=arguments, created_at=now
    )
    if notice_id is None:
        return False
    await jobs.defer(session, SEND_NOTICE, lock=f"notice:{user_id}", notice_id=notice_id)
    return True


async def waiting_notice(session: Session, notice_id: int) -> Any:
    """The row of a notice that is still to be sent, or None."""
    return await _WAITING.first(session, notice_id=notice_id)


async def claim(session: Session, notice_id: int, *, now: datetime) -> bool:
    """Take a notice that is told at most once; False if somebody has, and died before it was noted."""
    claimed = await session.scalar(
        update(notices)
        .where(
            notices.c.notice_id == notice_id, notices.c.claimed_at.is_(None), notices.c.dropped_at.is_(None)
        )
        .values(claimed_at=now)
        .returning(notices.c.notice_id)
    )
    return claimed is not None


async def give_back(session: Session, notice_id: int) -> None:
    """Undo a claim: the message has surely not gone out."""
    await session.execute(update(notices).where(notices.c.notice_id == notice_id).values(claimed_at=None))


async def withdraw(session: Session, key: str, *, trouble: str, now: datetime) -> bool:
    """Keep a notice from being sent; False where it has been, or may have been, or is forgotten."""
    withdrawn = await session.scalar(
        update(notices)
        .where(notices.c.key == key, notices.c.sent_at.is_(None), notices.c.claimed_at.is_(None))
        .values(
            dropped_at=func.coalesce(notices.c.dropped_at, now),
            trouble=func.coalesce(notices.c.trouble, trouble),
        )
        .returning(notices.c.notice_id)
    )
    return withdrawn is not None


async def mark_sent(session: Session, notice_id: int, *, message_id: int, now: datetime) -> None:
    await _MARK_SENT.run(session, number=notice_id, sent_at=now, message_id=message_id)


async def drop(session: Session, notice_id: int, *, trouble: str, now: datetime) -> None:
    """Give a notice up for good, for example because the customer blocked the bot."""
    await session.execute(
        update(notices).where(notices.c.notice_id == notice_id).values(dropped_at=now, trouble=trouble)
    )


async def note_failure(session: Session, notice_id: int, *, trouble: str) -> int:
    """Remember that a try to send the notice met a bug; return how many have."""
    failures = await session.scalar(
        update(notices)
        .where(notices.c.notice_id == notice_id)
        .values(failures=notices.c.failures + 1, trouble=trouble)
        .returning(notices.c.failures)
    )
    return failures or 0


async def mark_update(session: Session, update_id: int, *, now: datetime) -> bool:
    """Claim an update in the transaction of its effect; False if it was seen before."""
    marked = await session.scalar(
        insert(telegram_updates)
        .values(update_id=update_id, seen_at=now)
        .on_conflict_do_nothing()
        .returning(telegram_updates.c.update_id)
    )
    return marked is not None


async def forget_old_notices(session: Session, *, now: datetime) -> None:
    """Delete what was sent, or given up, long ago; what still waits to be sent stays."""
    done_at = func.coalesce(notices.c.sent_at, notices.c.dropped_at)
    await session.execute(delete(notices).where(done_at < now - NOTICES_KEPT))


async def forget_old_marks(session: Session, *, now: datetime) -> None:
    await session.execute(delete(telegram_updates).where(telegram_updates.c.seen_at < now - MARKS_KEPT))
