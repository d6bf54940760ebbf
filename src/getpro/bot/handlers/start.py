"""The first minute, the menu, the terms, the language, the trial."""

from aiogram import F, Router
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery, ChatMemberUpdated, Message
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.bot.context import Context
from getpro.bot.screens import menu as screens
from getpro.bot.screens.screen import Go, Screen
from getpro.bot.showing import say, show
from getpro.bot.texts import texts_of
from getpro.bot.turn import Turn
from getpro.customers import store as customers
from getpro.sales import reads
from getpro.sales.errors import TrialUsed
from getpro.sales.trial import start_trial

router = Router(name="start")

_LONGEST_DEEP_LINK = 64


@router.message(CommandStart())
async def start(
    message: Message, command: CommandObject, turn: Turn, context: Context
) -> TelegramMethod[Message]:
    deep_link = (command.args or "")[:_LONGEST_DEEP_LINK] or None
    async with turn.begin("start", start_parameter=deep_link) as session:
        screen = await menu_screen(session, turn, context)
    return say(message, screen)


@router.callback_query(Go.filter(F.to == "menu"))
async def menu(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("menu") as session:
        screen = await menu_screen(session, turn, context)
        if turn.customer.dialog is not None:
            await customers.set_dialog(session, turn.customer.user_id, None)
    return await show(query, screen)


@router.callback_query(Go.filter(F.to == "trial"))
async def trial(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("trial") as session:
        t = context.texts(turn.customer)
        try:
            await start_trial(session, context.sales, user_id=turn.customer.user_id)
            toast = t("trial-started")
        except TrialUsed:
            toast = t("trial-used")
        screen = await menu_screen(session, turn, context)
    return await show(query, screen, toast)


@router.message(Command("terms"))
async def terms(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.begin("terms"):
        t = context.texts(turn.customer)
    return say(message, screens.terms(t, url=context.terms_url))


@router.message(Command("language"))
async def language_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.begin("language") as session:
        screen = await _switch_language(session, turn, context)
    return say(message, screen)


@router.callback_query(Go.filter(F.to == "lang"))
async def language(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("language") as session:
        screen = await _switch_language(session, turn, context)
        toast = texts_of(_other(turn.customer.language), context.zone)("language-changed")
    return await show(query, screen, toast)


@router.my_chat_member()
async def blocked_or_back(event: ChatMemberUpdated, turn: Turn, context: Context) -> None:
    """A customer who blocked the bot is not written to; what they paid for is delivered all the same."""
    async with turn.begin("reachable") as session:
        if event.new_chat_member.status == "kicked":
            user_id = turn.customer.user_id
            await customers.set_unreachable(session, user_id, reason="blocked the bot", now=context.now)


async def menu_screen(
    session: AsyncSession, turn: Turn, context: Context, language: str | None = None
) -> Screen:
    """The menu as it is for this customer now."""
    home = await reads.home(session, turn.customer, trial_days=context.shop.trial_days)
    t = texts_of(language or turn.customer.language, context.zone)
    return screens.menu(t, home, shop=context.shop.name, terms_url=context.terms_url, now=context.now)


async def _switch_language(session: AsyncSession, turn: Turn, context: Context) -> Screen:
    language = _other(turn.customer.language)
    await customers.set_language(session, turn.customer.user_id, language)
    return await menu_screen(session, turn, context, language)


def _other(language: str) -> str:
    return "en" if language == "ru" else "ru"
