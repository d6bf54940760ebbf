"""The message that shows an order: read, shown, and read again, so that the newest state is what stays."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import structlog
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramRetryAfter

from getpro.bot.context import Context
from getpro.bot.screens.buying import order
from getpro.bot.screens.screen import Screen
from getpro.bot.showing import edit, send
from getpro.payments import store as payments
from getpro.payments.states import PaymentStatus
from getpro.payments.store import Payment
from getpro.platform.jobs import RetryLater
from getpro.sales import reads
from getpro.sales.reads import OnScreen

log = structlog.get_logger(__name__)

Found = TypeVar("Found")
Shown = TypeVar("Shown")


class _Wanted(NamedTuple):
    """What a message is to show, and whose it is."""

    message_id: int
    screen: Screen
    payment: Payment


def screen_of(found: OnScreen, context: Context) -> Screen:
    """The order as it stands."""
    return order(
        context.texts(found.customer),
        found.bought.payment,
        found.subscription,
        is_kept=found.bought.is_money_kept,
        given_back=found.bought.given_back,
        has_other_ways=context.has_other_ways,
        has_connected=found.customer.platform is not None,
    )


async def show_newest(
    found: Found, read: Callable[[], Awaitable[Found]], show: Callable[[Found], Awaitable[Shown]]
) -> Shown:
    """Show what was found, and read again, until nothing has changed; return what the last showing did.

    Of two that turn one message at once, the one that read first may be the last to arrive: so each looks
    once more, and news of a payment are not painted over.
    """
    while True:
        shown = await show(found)
        last, found = found, await read()
        if found == last:
            return shown


async def turn_message(context: Context, payment_id: int, *, just_read: OnScreen | None = None) -> int | None:
    """Show the present state of an order on the message that showed it first, and return that message.

    None where there is no such message (any more), and where the customer is not written to.
    Raises RetryLater.
    """

    async def read() -> _Wanted | None:
        async with context.sales.db.read("screen") as session:
            found = await reads.on_screen(session, payment_id)
        return None if found is None else _wanted(context, found)

    async def show(wanted: _Wanted | None) -> int | None:
        return None if wanted is None else await _show(context, wanted)

    found = await read() if just_read is None else _wanted(context, just_read)
    return await show_newest(found, read, show)


def _wanted(context: Context, found: OnScreen) -> _Wanted | None:
    """What the order's message is to show; None where there is none of its own, or nobody to read it."""
    payment = found.bought.payment
    if payment.screen_message_id is None or not found.is_last:
        return None
    if found.customer.unreachable_reason is not None:
        return None
    return _Wanted(payment.screen_message_id, screen_of(found, context), payment)


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
