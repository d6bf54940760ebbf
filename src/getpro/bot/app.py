"""The bot: an update goes in, the body of the webhook's answer comes out."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import structlog
from aiogram import Bot, Dispatcher
from aiogram.methods import AnswerCallbackQuery, TelegramMethod
from aiogram.types import BotCommand, TelegramObject, Update
from pydantic import ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from getpro.bot.context import Context
from getpro.bot.flood import Flood
from getpro.bot.handlers import buying, other, own, start
from getpro.bot.message_log import MessageLog
from getpro.bot.texts import LANGUAGES, language_of, texts_of
from getpro.bot.turn import SeenBefore, Turn
from getpro.platform.settings import Settings
from getpro.sales.deps import Deps

log = structlog.get_logger(__name__)

COMMANDS = ("start", "subscription", "plans", "support", "terms", "paysupport", "language")
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout, OSError)
Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


class ShopBot:
    """Feeds updates to the handlers. One that fails is logged and done with: it blocks no chat."""

    def __init__(self, *, bot: Bot, sales: Deps, settings: Settings, log: MessageLog) -> None:
        self.context = Context(bot=bot, sales=sales, shop=settings.shop, zone=settings.zone)
        self._bot = bot
        self._log = log
        self._flood = Flood()

    async def handle(self, update: dict[str, Any]) -> dict[str, Any] | None:
        """Handle one update and return the method call that answers it, if any.

        Raises what says that the database is away: the door then asks Telegram to send it again.
        """
        try:
            parsed = Update.model_validate(update, context={"bot": self._bot})
        except ValidationError:
            log.exception("bot.update_unreadable", update_id=update.get("update_id"))
            return None
        self._log.note(parsed, now=self.context.now)
        with structlog.contextvars.bound_contextvars(update_id=parsed.update_id):
            reply = await self._reply(parsed)
        return _as_json(reply, self._bot) if isinstance(reply, TelegramMethod) else None

    async def introduce(self) -> None:
        """Tell Telegram the commands and the description, in each language."""
        for language in LANGUAGES:
            t = texts_of(language, self.context.zone)
            commands = [BotCommand(command=name, description=t(f"command-{name}")) for name in COMMANDS]
            code = None if language == "en" else language
            await self._bot.set_my_commands(commands, language_code=code)
            await self._bot.set_my_short_description(t("about"), language_code=code)

    async def _reply(self, update: Update) -> Any:
        try:
            return await _dispatcher().feed_update(self._bot, update, context=self.context, flood=self._flood)
        except DATABASE_AWAY:
            raise
        except Exception:
            log.exception("bot.update_failed")
            return await self._apologize(update)

    async def _apologize(self, update: Update) -> Any:
        """A short honest sentence instead of silence or a traceback."""
        event = update.event
        person = getattr(event, "from_user", None)
        t = texts_of(language_of(person.language_code if person else None), self.context.zone)
        if update.callback_query is not None:
            return update.callback_query.answer(t("failed"), show_alert=True)
        return update.message.answer(t("failed")) if update.message is not None else None


@cache
def _dispatcher() -> Dispatcher:
    """The handlers in their order. Made once: what a call needs is handed to each call."""
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher.include_routers(start.router, buying.router, own.router, other.router)
    dispatcher.update.outer_middleware(_take_turn)
    return dispatcher


async def _take_turn(handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
    """Give the handler its turn; a flood and an update that was seen before get no further."""
    assert isinstance(event, Update)
    person = getattr(event.event, "from_user", None)
    if person is None or person.is_bot:
        return None
    if _is_flood(event, person.id, data["flood"]):
        query = event.callback_query
        return AnswerCallbackQuery(callback_query_id=query.id) if query else None
    context: Context = data["context"]
    data["turn"] = Turn(context.sales, event.update_id, person)
    try:
        return await handler(event, data)
    except SeenBefore:
        return None


def _is_flood(update: Update, user_id: int, flood: Flood) -> bool:
    if update.callback_query is None and update.message is None:
        return False
    return flood.is_too_fast(user_id, now_seconds=asyncio.get_running_loop().time())


def _as_json(method: TelegramMethod[Any], bot: Bot) -> dict[str, Any]:
    """The webhook's answer: the method's name and its parameters, with the bot's defaults filled in."""
    body: dict[str, Any] = {"method": method.__api_method__}
    for name, value in method.model_dump(mode="python", exclude_none=True, warnings=False).items():
        prepared = bot.session.prepare_value(value, bot=bot, files={}, _dumps_json=False)
        if prepared is not None:
            body[name] = prepared
    return body
