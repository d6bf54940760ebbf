"""Background entry points of the bot: notices, and screens that turn by themselves."""

from typing import Final

import structlog
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)

from getpro.bot.app import ShopBot
from getpro.bot.context import Context
from getpro.bot.screens.buying import order
from getpro.bot.screens.notices import notice
from getpro.bot.showing import edit
from getpro.customers import store as customers
from getpro.messaging import store as messaging
from getpro.messaging.store import SEND_NOTICE
from getpro.payments import store as payments
from getpro.platform.jobs import NOTICES, Backoff, JobKind, RetryLater
from getpro.sales import reads
from getpro.sales.names import TURN_SCREEN
from getpro.subscriptions import store as subscriptions

log = structlog.get_logger(__name__)

_FOR_DAYS: Final = Backoff(longest_seconds=600)
_FOR_AN_HOUR: Final = Backoff(longest_seconds=300, attempts=20)
"""Whoever still waits later has a button that shows the present state."""
_TELEGRAM_AWAY: Final = (TelegramNetworkError, TelegramServerError, ClientDecodeError)
"""The last one is what a gateway's own page of an error reads as."""


def job_kinds(bot: ShopBot) -> list[JobKind]:
    context = bot.context

    async def send(notice_id: int) -> None:
        await send_notice(context, notice_id)

    async def turn(payment_id: int) -> None:
        await turn_screen(context, payment_id)

    return [
        JobKind(SEND_NOTICE, send, NOTICES, _FOR_DAYS, _TELEGRAM_AWAY),
        JobKind(TURN_SCREEN, turn, NOTICES, _FOR_AN_HOUR, _TELEGRAM_AWAY),
    ]


async def send_notice(context: Context, notice_id: int) -> None:
    """Send one notice and note that it was sent; a customer who cannot be reached is remembered.

    Killed between the two, it is sent once more: better twice than never for news about money.
    """
    async with context.sales.db.begin("notice: read") as session:
        row = await messaging.waiting_notice(session, notice_id)
        if row is None:
            return
        customer = await customers.customer(session, row.user_id)
    t = context.texts(customer)
    screen = notice(t, row.kind, row.arguments, has_connected=customer.platform is not None)
    try:
        sent = await context.bot.send_message(row.user_id, screen.text, reply_markup=screen.keyboard())
    except TelegramRetryAfter as error:
        raise RetryLater(error.retry_after, "Telegram asks to wait") from error
    except (TelegramForbiddenError, TelegramBadRequest) as error:
        await _give_up(context, row.user_id, notice_id, error)
        return
    async with context.sales.db.begin("notice: sent") as session:
        await messaging.mark_sent(session, notice_id, message_id=sent.message_id, now=context.now)


async def turn_screen(context: Context, payment_id: int) -> None:
    """Show the present state of an order on the message that showed it first."""
    async with context.sales.db.begin("screen: read") as session:
        payment = await payments.by_id(session, payment_id)
        if payment is None or payment.screen_message_id is None:
            return
        if not await reads.is_last_on_screen(session, payment):
            return
        customer = await customers.customer(session, payment.user_id)
        subscription = await subscriptions.of_customer(session, payment.user_id)
        is_kept = await reads.is_money_kept(session, payment)
    t = context.texts(customer)
    screen = order(t, payment, subscription, is_kept=is_kept, has_other_ways=context.has_other_ways)
    try:
        shown_on = await edit(context.bot, payment.user_id, payment.screen_message_id, screen)
    except TelegramRetryAfter as error:
        raise RetryLater(error.retry_after, "Telegram asks to wait") from error
    except (TelegramForbiddenError, TelegramBadRequest) as error:
        log.info("bot.screen_not_turned", payment_id=payment_id, error=error.message)
        return
    if shown_on != payment.screen_message_id:
        async with context.sales.db.begin("screen: moved") as session:
            await payments.set_screen(session, payment_id, shown_on)


async def _give_up(
    context: Context, user_id: int, notice_id: int, error: TelegramForbiddenError | TelegramBadRequest
) -> None:
    """Telegram will never take this message: drop it, and write to nobody who cannot be reached."""
    log.warning("bot.notice_dropped", notice_id=notice_id, error=error.message)
    async with context.sales.db.begin("notice: drop") as session:
        await messaging.drop(session, notice_id, trouble=error.message, now=context.now)
        if isinstance(error, TelegramForbiddenError) or "chat not found" in error.message:
            await customers.set_unreachable(session, user_id, reason=error.message, now=context.now)
