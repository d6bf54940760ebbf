"""Background entry points of the bot: notices, and screens that turn by themselves."""

from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from aiogram.exceptions import (
    AiogramError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramRetryAfter,
)

from getpro.bot.app import ShopBot
from getpro.bot.context import Context
from getpro.bot.message_log import has_written
from getpro.bot.orders import turn_message
from getpro.bot.screens.notices import notice
from getpro.bot.screens.screen import Screen
from getpro.bot.showing import edit, send
from getpro.customers import store as customers
from getpro.customers.store import Customer
from getpro.messaging import store as messaging
from getpro.messaging.states import NoticeKind
from getpro.messaging.store import SEND_NOTICE
from getpro.platform.database import DATABASE_AWAY, Session
from getpro.platform.jobs import Backoff, JobKind, RetryLater
from getpro.platform.telegram import TELEGRAM_AWAY, is_unsent
from getpro.sales import reads
from getpro.sales.names import TURN_SCREEN
from getpro.sales.reads import OnScreen
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.states import ChangeCause

log = structlog.get_logger(__name__)

_FOR_EVER: Final = Backoff(longest_seconds=600)
_FOR_AN_HOUR: Final = Backoff(longest_seconds=300, attempts=20)
"""Whoever still waits later has a button that shows the present state."""
_MOST_FAILURES: Final = 8
"""Two minutes of tries."""
_LOOKED_AT_FOR: Final = timedelta(minutes=1)
"""After the payment; later the customer has put the phone away."""


def job_kinds(bot: ShopBot) -> list[JobKind]:
    context = bot.context

    async def send(notice_id: int) -> None:
        await send_notice(context, notice_id)

    async def turn(payment_id: int) -> None:
        await turn_message(context, payment_id)

    return [
        JobKind(SEND_NOTICE, send, _FOR_EVER, TELEGRAM_AWAY),
        JobKind(TURN_SCREEN, turn, _FOR_AN_HOUR, TELEGRAM_AWAY),
    ]


async def send_notice(context: Context, notice_id: int) -> None:
    """Tell one piece of news; one that meets a bug again and again is given up.

    All the customer's later news would wait behind it for ever, for example behind one of a newer version
    that has no words in this one. What is only away (Telegram, the database) is waited for.
    """
    try:
        await _tell(context, notice_id)
    except (RetryLater, AiogramError, *DATABASE_AWAY):
        raise
    except Exception as error:
        async with context.sales.db.begin("notice: failed") as session:
            name = type(error).__name__  # its text may hold what must not be kept
            failures = await messaging.note_failure(session, notice_id, trouble=name)
            if failures >= _MOST_FAILURES:
                await messaging.drop(session, notice_id, trouble=name, now=context.now)
        if failures < _MOST_FAILURES:
            raise
        log.exception("bot.notice_given_up", notice_id=notice_id, failures=failures)


async def _tell(context: Context, notice_id: int) -> None:
    """Tell the news and note that they were told; a customer who cannot be reached is remembered.

    News of an order are told by its own screen, and by a message of their own only where nobody looks at
    that. Killed before it is noted, they are told once more: better twice than never where it is money.
    """
    async with context.sales.db.read("notice") as session:
        row = await messaging.waiting_notice(session, notice_id)
        if row is None:
            return
        structlog.contextvars.bind_contextvars(user_id=row.user_id)
        order = await reads.on_screen(session, row.arguments.get("payment_id") or 0)
        customer = await customers.customer(session, row.user_id) if order is None else order.customer
        is_seen = await _is_seen_on_screen(session, context, row, customer, order)
    if customer.unreachable_reason is not None:
        async with context.sales.db.begin("notice: unreachable") as session:
            await messaging.drop(session, notice_id, trouble=customer.unreachable_reason, now=context.now)
        return
    if row.kind == NoticeKind.REMINDER:
        async with context.sales.db.begin("notice: claim") as session:
            is_ours = await _claim_reminder(session, context, row)
        if not is_ours:
            return
    if row.kind in {NoticeKind.TROUBLE, NoticeKind.WORKS_AGAIN}:
        async with context.sales.db.begin("notice: claim") as session:
            is_ours = await _claim_status(session, context, row)
        if not is_ours:
            return
    t = context.texts(customer)
    screen = notice(t, row.kind, row.arguments, has_connected=customer.platform is not None)
    try:
        told_by = await _turn_its_screen(context, row, customer, order, screen)
        if told_by is None or not is_seen:
            told_by = await send(context.bot, row.user_id, screen)
    except TelegramRetryAfter as error:
        await _unclaim(context, notice_id)
        raise RetryLater(error.retry_after, "Telegram asks to wait") from error
    except (TelegramForbiddenError, TelegramBadRequest) as error:
        await _give_up(context, row.user_id, notice_id, error)
        return
    except TELEGRAM_AWAY as error:
        if is_unsent(error):
            await _unclaim(context, notice_id)
        raise
    async with context.sales.db.alone("notice: sent") as session:
        await messaging.mark_sent(session, notice_id, message_id=told_by, now=context.now)


async def _turn_its_screen(
    context: Context, row: Any, customer: Customer, order: OnScreen | None, screen: Screen
) -> int | None:
    """Turn the screen on which the customer waits for this; return the message, None where there is none."""
    if order is not None:
        return await turn_message(context, order.bought.payment.payment_id, just_read=order)
    waiting = customer.trial_screen_id
    if waiting is None or not _opens_trial(row):
        return None
    return waiting if await edit(context.bot, row.user_id, waiting, screen) else None


def _opens_trial(row: Any) -> bool:
    return bool(row.kind == NoticeKind.ACCESS_OPEN and row.arguments.get("cause") == ChangeCause.TRIAL)


async def _claim_reminder(session: Session, context: Context, row: Any) -> bool:
    """Whether this reminder is still to be sent, and by us alone: it is told once or not at all.

    Of one that somebody has claimed before nobody knows whether it went out: they were killed, or Telegram's
    answer was lost.
    """
    customer = await customers.customer(session, row.user_id)
    found = await subscriptions.of_customer(session, row.user_id)
    trouble = None
    if found is None or found.end_date != datetime.fromisoformat(row.arguments["end_date"]):
        trouble = "renewed"
    elif not customer.is_reminded:
        trouble = "switched off"
    elif context.now >= datetime.fromisoformat(row.arguments["until"]):
        trouble = "too late"
    elif not await messaging.claim(session, row.notice_id, now=context.now):
        trouble = "lost on its way"
        log.error("reminder.lost", notice_id=row.notice_id)
    if trouble is not None:
        await messaging.drop(session, row.notice_id, trouble=trouble, now=context.now)
    return trouble is None


async def _claim_status(session: Session, context: Context, row: Any) -> bool:
    """Whether this is still news, and ours alone to tell: twice would annoy, and of money it says nothing."""
    trouble = None
    if context.now >= datetime.fromisoformat(row.arguments["until"]):
        trouble = "too late"
    elif not await messaging.claim(session, row.notice_id, now=context.now):
        trouble = "lost on its way"
        log.error("status.lost", notice_id=row.notice_id)
    if trouble is not None:
        await messaging.drop(session, row.notice_id, trouble=trouble, now=context.now)
    return trouble is None


async def _unclaim(context: Context, notice_id: int) -> None:
    async with context.sales.db.begin("notice: unsent") as session:
        await messaging.give_back(session, notice_id)


async def _is_seen_on_screen(
    session: Session, context: Context, row: Any, customer: Customer, order: OnScreen | None
) -> bool:
    """Whether the customer reads the news on the screen where they wait for it: an edit makes no sound.

    They do who have paid, or begun their trial, just now and have got nothing else below since. A later order
    that is not delivered yet makes the screen speak of that one.
    """
    if _opens_trial(row):
        started = customer.trial_started_at
        return started is not None and context.now - started <= _LOOKED_AT_FOR
    if order is None:
        return False
    payment, subscription = order.bought.payment, order.subscription
    if payment.paid_at is None or context.now - payment.paid_at > _LOOKED_AT_FOR:
        return False
    if row.kind == NoticeKind.ACCESS_OPEN and (subscription is None or not subscription.is_delivered):
        return False
    return not await has_written(session, row.user_id, since=payment.created_at)


async def _give_up(
    context: Context, user_id: int, notice_id: int, error: TelegramForbiddenError | TelegramBadRequest
) -> None:
    """Telegram will never take this message: drop it, and write to nobody who cannot be reached."""
    log.warning("bot.notice_dropped", notice_id=notice_id, error=error.message)
    async with context.sales.db.begin("notice: drop") as session:
        await messaging.drop(session, notice_id, trouble=error.message, now=context.now)
        if isinstance(error, TelegramForbiddenError) or "chat not found" in error.message:
            await customers.set_unreachable(session, user_id, reason=error.message, now=context.now)
