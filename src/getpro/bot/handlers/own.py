"""My subscription, connecting, payments, support."""

import asyncio
import io
from typing import Any

import segno
import structlog
from aiogram import F, Router
from aiogram.filters import Command
from aiogram.methods import TelegramMethod
from aiogram.types import BufferedInputFile, CallbackQuery, Message

from getpro.bot.context import Context
from getpro.bot.screens import own as screens
from getpro.bot.screens.screen import Go, OnPlatform, Screen
from getpro.bot.showing import nothing, say, show
from getpro.bot.turn import Turn
from getpro.customers import store as customers
from getpro.panel.errors import PanelError
from getpro.panel.service import PanelAccount
from getpro.sales import reads
from getpro.subscriptions import store as subscriptions

log = structlog.get_logger(__name__)
router = Router(name="own")

_PANEL_SECONDS = 2


@router.callback_query(Go.filter(F.to == "sub"))
async def subscription(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    return await show(query, await _subscription(turn, context))


@router.message(Command("subscription"))
async def subscription_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    return say(message, await _subscription(turn, context))


@router.callback_query(Go.filter(F.to == "connect"))
async def connect(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """The platform is asked once and remembered."""
    return await show(query, await _connect(turn, context))


@router.callback_query(Go.filter(F.to == "devices"))
async def another_device(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("devices"):
        t = context.texts(turn.customer)
    return await show(query, screens.choose_platform(t))


@router.callback_query(OnPlatform.filter(F.platform.in_(screens.PLATFORMS)))
async def on_platform(
    query: CallbackQuery, callback_data: OnPlatform, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("platform") as session:
        await customers.set_platform(session, turn.customer.user_id, callback_data.platform)
    return await show(query, await _connect(turn, context, callback_data.platform))


@router.callback_query(Go.filter(F.to == "qr"))
async def qr(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """The code as a picture of its own: a text cannot become one in place."""
    async with turn.begin("qr") as session:
        _, account = await reads.access(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    if account is None:
        return nothing(query)
    screen = screens.qr(t)
    picture = BufferedInputFile(_picture(account.subscription_url), "qr.png")
    await context.bot.send_photo(
        query.from_user.id, picture, caption=screen.text, reply_markup=screen.keyboard()
    )
    return nothing(query)


@router.callback_query(Go.filter(F.to == "from_qr"))
async def from_qr(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """Take the picture away: the link's screen stands above it."""
    async with turn.begin("from qr"):
        pass
    if isinstance(query.message, Message):
        await context.bot.delete_message(query.message.chat.id, query.message.message_id)
    return nothing(query)


@router.callback_query(Go.filter(F.to == "history"))
async def history(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("history") as session:
        found = await reads.history(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    return await show(query, screens.history(t, found))


@router.callback_query(Go.filter(F.to == "support"))
async def support(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    return await show(query, await _support(turn, context))


@router.message(Command("support"))
async def support_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    return say(message, await _support(turn, context))


@router.message(Command("paysupport"))
async def paysupport(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    return say(message, await _support(turn, context, about_money=True))


async def _subscription(turn: Turn, context: Context) -> Screen:
    async with turn.begin("subscription") as session:
        found, account = await reads.access(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    user = await _panel_user(context, account) if found and found.is_delivered else None
    return screens.subscription(t, found, user, now=context.now)


async def _panel_user(context: Context, account: PanelAccount | None) -> dict[str, Any] | None:
    """What the panel says of the customer, if it answers at once: a screen does not wait for it."""
    if account is None:
        return None
    try:
        async with asyncio.timeout(_PANEL_SECONDS):
            return await context.sales.panel.by_id(account.panel_user_id)
    except (PanelError, TimeoutError) as error:
        log.info("bot.panel_not_asked", error=str(error))
        return None


async def _connect(turn: Turn, context: Context, platform: str | None = None) -> Screen:
    async with turn.begin("connect") as session:
        found, account = await reads.access(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    is_paid = found is not None and found.end_date > context.now
    if account is None or not is_paid:
        return screens.cannot_connect(t, is_opening=is_paid)
    chosen = platform or turn.customer.platform
    if chosen not in screens.PLATFORMS:
        return screens.choose_platform(t)
    return screens.connect(t, chosen, account.subscription_url)


async def _support(turn: Turn, context: Context, *, about_money: bool = False) -> Screen:
    async with turn.begin("support") as session:
        found = await subscriptions.of_customer(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    contact = context.shop.support
    return screens.support(t, turn.customer, found, contact=contact, about_money=about_money)


def _picture(link: str) -> bytes:
    """A PNG that a phone reads from a screen."""
    buffer = io.BytesIO()
    segno.make(link, error="m").save(buffer, kind="png", scale=10, border=4)
    return buffer.getvalue()
