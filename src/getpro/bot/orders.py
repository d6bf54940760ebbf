"""The message that shows an order: read, shown, and read again, so that the newest state is what stays."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

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
from getpro.sales.reads import Bought
from getpro.subscriptions import store as subscriptions

log = structlog.get_logger(__name__)

Found = TypeVar("Found")
Shown = TypeVar("Shown")


class _Wanted(NamedTuple):
    """What a message is to show, and whose it is."""

    message_id: int
    screen: Screen
    payment: Payment


async def screen_of(session: AsyncSession, bought: Bought, customer: Customer, context: Context) -> Screen:
    """The order as it stands now."""
    return order(
        context.texts(customer),
        bought.payment,
        await subscriptions.of_customer(session, bought.payment.user_id),
        is_kept=bought.is_money_kept,
        given_back=bought.given_back,
        has_other_ways=context.has_other_ways,
        has_connected=customer.platform is not None,
    )


async def show_newest(
    read: Callable[[], Awaitable[Found]], show: Callable[[Found], Awaitable[Shown]]
) -> Shown:
    """Show what is read, and read again, until nothing has changed; return what the last showing did.

    Of two that turn one message at once, the one that read first may be the last to arrive: so each looks
    once more, and news of a payment are not painted over.
    """
    found = await read()
    while True:
        shown = await show(found)
        last, found = found, await read()
        if found == last:
            return shown


async def turn_message(context: Context, payment_id: int) -> int | None:
    """Show the present state of an order on the message that showed it first, and return that message.

    None where there is no such message (any more), and where the customer is not written to.
    Raises RetryLater.
    """

    async def read() -> _Wanted | None:
        return await _wanted(context, payment_id)

    async def show(wanted: _Wanted | None) -> int | None:
        return None if wanted is None else await _show(context, wanted)

    return await show_newest(read, show)


async def _wanted(context: Context, payment_id: int) -> _Wanted | None:
    async with context.sales.db.read("screen") as session:
        bought = await reads.bought(session, payment_id)
        if bought is None or bought.payment.screen_message_id is None:
            return None
        payment = bought.payment
        if not await reads.is_last_on_screen(session, payment):
            return None
        customer = await customers.customer(session, payment.user_id)
        if customer.unreachable_reason is not None:
            return None
        screen = await screen_of(session, bought, customer, context)
    return _Wanted(bought.payment.screen_message_id, screen, payment)


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
