"""The first minute, the menu, the help, the terms, the language, the trial."""

from aiogram import F, Router
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery, ChatMemberUpdated, Message

from getpro.bot.context import Context
from getpro.bot.screens import menu as screens
from getpro.bot.screens.period import is_trial, runs
from getpro.bot.screens.screen import Go, Screen, Speak
from getpro.bot.showing import message_id_of, say, show
from getpro.bot.texts import LANGUAGES
from getpro.bot.turn import Turn
from getpro.customers import store as customers
from getpro.platform.database import Session
from getpro.sales import reads
from getpro.sales.errors import ShopClosed, TrialUsed
from getpro.sales.trial import start_trial
from getpro.subscriptions import store as subscriptions

router = Router(name="start")

_LONGEST_DEEP_LINK = 64


@router.message(CommandStart())
async def start(
    message: Message, command: CommandObject, turn: Turn, context: Context
) -> TelegramMethod[Message]:
    deep_link = (command.args or "")[:_LONGEST_DEEP_LINK] or None
    async with turn.look("start", start_parameter=deep_link) as session:
        screen = await menu_screen(session, turn, context)
    return say(message, screen)


@router.callback_query(Go.filter(F.to == "menu"))
async def menu(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.look("menu") as session:
        screen = await menu_screen(session, turn, context)
    return await show(query, screen)


@router.callback_query(Go.filter(F.to == "trial"))
async def trial(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("trial") as session:
        t = context.texts(turn.customer)
        toast: str | None = t("trial-started")
        try:
            await start_trial(session, context.sales, user_id=turn.customer.user_id)
            if (message_id := message_id_of(query)) is not None:
                await customers.set_trial_screen(session, turn.customer.user_id, message_id)
        except TrialUsed:
            found = await subscriptions.of_customer(session, turn.customer.user_id)
            is_second_tap = found is not None and is_trial(found) and runs(t, found)
            toast = None if is_second_tap else t("trial-used")
        except ShopClosed:
            toast = None  # the menu says so
        screen = await menu_screen(session, turn, context)
    return await show(query, screen, toast)


@router.message(Command("help"))
async def help_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.look("help"):
        t = context.texts(turn.customer)
    return say(message, screens.about(t))


@router.message(Command("terms"))
async def terms(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.look("terms"):
        t = context.texts(turn.customer)
    return say(message, screens.terms(t, url=context.terms_url))


@router.message(Command("language"))
async def language_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.look("language"):
        t = context.texts(turn.customer)
    return say(message, screens.choose_language(t))


@router.callback_query(Speak.filter(F.language.in_(LANGUAGES)))
async def speak(
    query: CallbackQuery, callback_data: Speak, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    """From now on in this language, whatever Telegram's is."""
    language = callback_data.language
    async with turn.begin("language") as session:
        await customers.set_language(session, turn.customer.user_id, language)
        screen = await menu_screen(session, turn, context, language=language)
    is_news = language != turn.customer.language
    return await show(query, screen, context.texts_in(language)("language-changed") if is_news else None)


@router.my_chat_member()
async def blocked_or_back(event: ChatMemberUpdated, turn: Turn, context: Context) -> None:
    """A customer who blocked the bot is not written to; what they paid for is delivered all the same."""
    async with turn.begin("reachable") as session:
        if event.new_chat_member.status == "kicked":
            user_id = turn.customer.user_id
            await customers.set_unreachable(session, user_id, reason="blocked the bot", now=context.now)


async def menu_screen(
    session: Session, turn: Turn, context: Context, *, language: str | None = None, is_lost: bool = False
) -> Screen:
    """The menu as it is for this customer now; ``is_lost``: they seem to look for a person to talk to."""
    home = await reads.home(session, turn.customer, trial_days=context.shop.trial_days)
    t = context.texts(turn.customer, language=language)
    note = t("menu-note") if is_lost else None
    return screens.menu(t, home, shop=context.shop.name, terms_url=context.terms_url, note=note)
