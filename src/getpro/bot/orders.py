"""The message that shows an order: read, shown, and read again, so that the newest state is what stays."""

from typing import NamedTuple

import structlog
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramRetryAfter
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.bot.context import Context
from getpro.bot.screens.buying import order
from getpro.bot.screens.screen import Screen
from getpro.bot.showing import edit, send
from getpro.customers import store as customers
from getpro.customers.store import Customer
from getpro.payments import store as payments
from getpro.payments.states import PaymentStatus
from getpro.payments.store import Payment
from getpro.platform.jobs import RetryLater
from getpro.sales import reads
from getpro.subscriptions import store as subscriptions

log = structlog.get_logger(__name__)


class _Wanted(NamedTuple):
    """What a message is to show, and whose it is."""

    message_id: int
    screen: Screen
    payment: Payment


async def screen_of(session: AsyncSession, payment: Payment, customer: Customer, context: Context) -> Screen:
    """The order as it stands now."""
    return order(
        context.texts(customer),
        payment,
        await subscriptions.of_customer(session, payment.user_id),
        is_kept=await reads.is_money_kept(session, payment),
        has_other_ways=context.has_other_ways,
        has_connected=customer.platform is not None,
    )


async def turn_message(context: Context, payment_id: int) -> int | None:
    """Show the present state of an order on the message that showed it first, and return that message.

    None where there is no such message (any more). Of two that turn one message at once, the one that read
    first may be the last to arrive: so each reads again what it has shown, until nothing has changed.
    Raises RetryLater.
    """
    wanted = await _wanted(context, payment_id)
    while wanted is not None:
        shown_on = await _show(context, wanted)
        if shown_on is None:
            return None
        shown = wanted._replace(message_id=shown_on)
        wanted = await _wanted(context, payment_id)
        if wanted is not None and wanted[:2] == shown[:2]:
            return shown_on
    return None


async def _wanted(context: Context, payment_id: int) -> _Wanted | None:
    async with context.sales.db.begin("screen: read") as session:
        payment = await payments.by_id(session, payment_id)
        if payment is None or payment.screen_message_id is None:
            return None
        if not await reads.is_last_on_screen(session, payment):
            return None
        customer = await customers.customer(session, payment.user_id)
        screen = await screen_of(session, payment, customer, context)
    return _Wanted(payment.screen_message_id, screen, payment)


async def _show(context: Context, wanted: _Wanted) -> int | None:
    """Edit the message; one that is lost is sent anew, but for a paid order: of that a notice tells."""
    payment = wanted.payment
    try:
        if await edit(context.bot, payment.user_id, wanted.message_id, wanted.screen):
            return wanted.message_id
        if payment.status is PaymentStatus.SUCCEEDED:
            return None
        sent = await send(context.bot, payment.user_id, wanted.screen)
    except TelegramRetryAfter as error:
        raise RetryLater(error.retry_after, "Telegram asks to wait") from error
    except (TelegramForbiddenError, TelegramBadRequest) as error:
        log.info("bot.screen_not_turned", payment_id=payment.payment_id, error=error.message)
        return None
    async with context.sales.db.begin("screen: moved") as session:
        await payments.set_screen(session, payment.payment_id, sent)
    return sent
