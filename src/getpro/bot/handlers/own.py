"""My subscription, connecting, payments, support."""

import asyncio
import io
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

import segno
import structlog
from aiogram import F, Router
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import Command
from aiogram.methods import TelegramMethod
from aiogram.types import BufferedInputFile, CallbackQuery, Message

from getpro.bot.context import Context
from getpro.bot.screens import own as screens
from getpro.bot.screens.period import runs
from getpro.bot.screens.screen import Go, MyTime, OnPlatform, Remind, Screen
from getpro.bot.showing import nothing, say, show
from getpro.bot.turn import Turn
from getpro.customers import store as customers
from getpro.customers.store import Customer
from getpro.panel.errors import PanelError
from getpro.panel.service import KnownAccount
from getpro.sales import reads
from getpro.sales.links import subscription_url
from getpro.sales.reminders import look_again
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.store import Subscription

log = structlog.get_logger(__name__)
router = Router(name="own")

_PANEL_SECONDS: Final = 2
Answer = TypeVar("Answer")


@router.callback_query(Go.filter(F.to == "sub"))
async def subscription(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    return await show(query, await _subscription(turn, context))


@router.message(Command("subscription"))
async def subscription_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    return say(message, await _subscription(turn, context))


@router.callback_query(Go.filter(F.to == "connect"))
async def connect(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """The platform is asked once and remembered."""
    return await show(query, await _connect(turn, context, "connect"))


@router.callback_query(Go.filter(F.to == "devices"))
async def another_device(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.look("devices"):
        t = context.texts(turn.customer)
    return await show(query, screens.choose_platform(t))


@router.callback_query(OnPlatform.filter(F.platform.in_(screens.PLATFORMS)))
async def on_platform(
    query: CallbackQuery, callback_data: OnPlatform, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    return await show(query, await _connect(turn, context, "platform", callback_data.platform))


@router.callback_query(Go.filter(F.to == "qr"))
async def qr(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """The code as a picture of its own: a text cannot become one in place."""
    async with turn.look("qr") as session:
        found, account = await reads.access(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    if account is None:
        return nothing(query)
    if (link := await _link(context, found, account)) is None:
        return await show(query, screens.link_later(t))
    screen = screens.qr(t)
    picture = BufferedInputFile(_picture(link), "qr.png")
    await context.bot.send_photo(
        query.from_user.id, picture, caption=screen.text, reply_markup=screen.keyboard()
    )
    return nothing(query)


@router.callback_query(Go.filter(F.to == "from_qr"))
async def from_qr(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """Take the picture away: the link's screen stands above it. After two days Telegram keeps pictures."""
    screen = await _connect(turn, context, "from qr")
    if isinstance(query.message, Message):
        try:
            await query.message.delete()
        except TelegramBadRequest as error:
            log.info("bot.picture_stays", error=error.message)
            if "not found" not in error.message:
                return await show(query, screen)
        return nothing(query)
    return await show(query, screen)


@router.callback_query(Go.filter(F.to == "history"))
async def history(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.look("history") as session:
        found = await reads.history(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    return await show(query, screens.history(t, found))


@router.callback_query(Go.filter(F.to == "reminders"))
async def reminders(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.look("reminders"):
        screen = _reminders(turn.customer, context)
    return await show(query, screen)


@router.message(Command("reminders"))
async def reminders_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.look("reminders"):
        screen = _reminders(turn.customer, context)
    return say(message, screen)


@router.callback_query(Remind.filter())
async def remind(
    query: CallbackQuery, callback_data: Remind, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("remind") as session:
        is_on = callback_data.is_on
        await customers.set_reminded(session, turn.customer.user_id, is_reminded=is_on)
        await look_again(session, turn.customer.user_id, now=context.now)
        screen = _reminders(replace(turn.customer, is_reminded=is_on), context)
    return await show(query, screen)


@router.callback_query(MyTime.filter(F.hours.in_(screens.MY_HOURS)))
async def my_time(
    query: CallbackQuery, callback_data: MyTime, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    """The zone's own name has the sign the other way round: ``Etc/GMT-5`` is five hours ahead."""
    async with turn.begin("my time") as session:
        zone = f"Etc/GMT{-callback_data.hours:+d}"
        await customers.set_zone(session, turn.customer.user_id, zone)
        await look_again(session, turn.customer.user_id, now=context.now)
        screen = _reminders(replace(turn.customer, zone=zone), context)
    return await show(query, screen)


def _reminders(customer: Customer, context: Context) -> Screen:
    t = context.texts(customer)
    ahead = context.now.astimezone(t.zone).utcoffset() or timedelta()
    return screens.reminders(t, is_on=customer.is_reminded, hours=round(ahead / timedelta(hours=1)))


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
    async with turn.look("subscription") as session:
        found, account = await reads.access(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    if account is None or not runs(t, found):
        return screens.subscription(t, found, None, None)
    number = account.panel_user_id
    panel = context.sales.panel
    usage, devices = await asyncio.gather(_soon(panel.usage(number)), _soon(panel.devices(number)))
    return screens.subscription(t, found, usage, devices)


async def _soon(question: Awaitable[Answer]) -> Answer | None:
    """What the panel answers, if it answers at once: a screen does not wait for it."""
    try:
        async with asyncio.timeout(_PANEL_SECONDS):
            return await question
    except (PanelError, TimeoutError) as error:
        log.info("bot.panel_not_asked", error=str(error))
        return None


async def _connect(turn: Turn, context: Context, step: str, platform: str | None = None) -> Screen:
    async with turn.begin(step) as session:
        if platform is not None:
            await customers.set_platform(session, turn.customer.user_id, platform)
        found, account = await reads.access(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    if account is None or not runs(t, found):
        return screens.cannot_connect(t, found)
    chosen = platform or turn.customer.platform
    if chosen not in screens.PLATFORMS:
        return screens.choose_platform(t)
    link = await _link(context, found, account)
    return screens.link_later(t) if link is None else screens.connect(t, chosen, link)


async def _link(context: Context, found: Subscription | None, account: KnownAccount | None) -> str | None:
    """None where there is none, or the panel must be asked for it and does not answer at once."""
    if found is None or account is None:
        return None
    return await _soon(subscription_url(context.sales, found, account))


async def _support(turn: Turn, context: Context, *, about_money: bool = False) -> Screen:
    async with turn.look("support") as session:
        found = await subscriptions.of_customer(session, turn.customer.user_id)
        t = context.texts(turn.customer)
    contact = context.shop.support
    return screens.support(t, turn.customer, found, contact=contact, about_money=about_money)


def _picture(link: str) -> bytes:
    """A PNG that a phone reads from a screen."""
    buffer = io.BytesIO()
    segno.make(link, error="m").save(buffer, kind="png", scale=10, border=4)
    return buffer.getvalue()
