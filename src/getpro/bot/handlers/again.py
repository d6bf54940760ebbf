"""An update that came again: its effect is there already, and maybe its answer too, so none is painted over.

A press on an order shows the order as it is; any other press is only put to rest, and can be repeated.
"""

from aiogram import F, Router
from aiogram.filters import MagicData
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery, Message

from getpro.bot.context import Context
from getpro.bot.handlers.buying import order_made, own_order, show_order
from getpro.bot.handlers.start import menu_screen
from getpro.bot.screens.screen import AboutOrder, Buy, Go
from getpro.bot.showing import say
from getpro.bot.turn import Turn
from getpro.payments.store import Payment

router = Router(name="again")
router.message.filter(MagicData(F.turn.is_repeated))
router.callback_query.filter(MagicData(F.turn.is_repeated))


@router.message()
async def message(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.look("again") as session:
        screen = await menu_screen(session, turn, context)
    return say(message, screen)


@router.callback_query(AboutOrder.filter())
async def about_order(
    query: CallbackQuery, callback_data: AboutOrder, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.look("again") as session:
        payment = await own_order(session, turn, callback_data)
    return await _present(query, payment, turn, context)


@router.callback_query(Buy.filter())
@router.callback_query(Go.filter(F.to == "renew"))
async def bought(
    query: CallbackQuery, callback_data: Buy | Go, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    wanted = callback_data if isinstance(callback_data, Buy) else None
    async with turn.look("again") as session:
        payment = await order_made(session, wanted, query, turn, context)
    return await _present(query, payment, turn, context)


@router.callback_query()
async def press(query: CallbackQuery) -> TelegramMethod[bool]:
    return query.answer()


async def _present(
    query: CallbackQuery, payment: Payment | None, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    """The order that was pressed for, if there is one."""
    return query.answer() if payment is None else await show_order(query, payment, turn, context)
