"""The bot: an update goes in, the body of the webhook's answer comes out."""

import asyncio
from functools import cache
from typing import Any

import structlog
from aiogram import Bot, Dispatcher
from aiogram.enums import ChatType
from aiogram.exceptions import TelegramRetryAfter
from aiogram.methods import AnswerCallbackQuery, TelegramMethod
from aiogram.types import BotCommand, Update
from aiogram.types.update import UpdateTypeLookupError
from pydantic import ValidationError

from getpro.bot import duty
from getpro.bot.context import Context
from getpro.bot.flood import Flood
from getpro.bot.handlers import again, buying, desk, other, own, start, trouble
from getpro.bot.message_log import MessageLog
from getpro.bot.screens.menu import COMMANDS, blocked
from getpro.bot.showing import say, show
from getpro.bot.texts import LANGUAGES, language_of
from getpro.bot.turn import SeenBefore, ShutOut, Turn
from getpro.incidents.deps import Deps as IncidentsDeps
from getpro.platform.database import DATABASE_AWAY
from getpro.platform.metrics import UPDATE_SECONDS, UPDATES, timed
from getpro.platform.settings import Settings
from getpro.sales.deps import Deps
from getpro.sales.errors import ShopHeld

log = structlog.get_logger(__name__)


class ShopBot:
    """Feeds updates to the handlers. One that fails is logged and done with: it blocks no chat."""

    def __init__(
        self,
        *,
        bot: Bot,
        sales: Deps,
        settings: Settings,
        log: MessageLog,
        incidents: IncidentsDeps | None = None,
    ) -> None:
        """``incidents``: None where nobody is called."""
        self._incidents = incidents
        self.context = Context(
            bot=bot, sales=sales, shop=settings.shop, zone=settings.zone, incidents=incidents
        )
        self._bot = bot
        self._operators_chat = settings.operations.chat
        self._log = log
        self._flood = Flood()

    async def handle(self, update: dict[str, Any]) -> dict[str, Any] | None:
        """Handle one update and return the method call that answers it, if any.

        Raises what says that the database is away: the door then asks Telegram to send it again.
        """
        try:
            parsed = Update.model_validate(update, context={"bot": self._bot})
            is_private = _is_private(parsed)
            if is_private:
                self._log.note(parsed, now=self.context.now)
        except ValidationError as error:
            # Neither its text nor a traceback: they quote what the customer wrote.
            found = error.errors(include_input=False, include_url=False, include_context=False)
            errors = [(".".join(map(str, one["loc"])), one["type"]) for one in found]
            log.error("bot.update_unreadable", update_id=update.get("update_id"), errors=errors)
            UPDATES.labels("unknown", "unreadable").inc()
            return None
        except UpdateTypeLookupError:
            log.info("bot.update_of_no_use", update_id=update.get("update_id"))
            return None
        kind, result = parsed.event_type, "database_away"
        try:
            with (
                structlog.contextvars.bound_contextvars(**_about(parsed)),
                timed(UPDATE_SECONDS.labels(kind).observe),
            ):
                answer = self._too_fast(parsed) or await self._of_team(parsed)
                if answer is None:
                    answer = await self._reply(parsed) if is_private else self._in_group(parsed)
                result, reply = answer
        finally:
            UPDATES.labels(kind, result).inc()
        return _as_json(reply, self._bot) if isinstance(reply, TelegramMethod) else None

    async def introduce(self) -> None:
        """Tell Telegram the commands and the description, in each language."""
        for language in LANGUAGES:
            t = self.context.texts_in(language)
            commands = [BotCommand(command=name, description=t(f"command-{name}")) for name in COMMANDS]
            code = None if language == "en" else language
            await self._bot.set_my_commands(commands, language_code=code)
            await self._bot.set_my_short_description(t("about"), language_code=code)

    async def _reply(self, update: Update) -> tuple[str, Any]:
        """How it went, in a word for the metrics, and what is answered."""
        person = getattr(update.event, "from_user", None)
        if person is None or person.is_bot:
            return "ignored", None
        turn = Turn(self.context.sales, update.update_id, person, is_answer=_is_answer(update))
        try:
            answer = await self._feed(update, turn)
        except DATABASE_AWAY:
            raise
        except ShutOut:
            return "shut_out", await self._shut_out(update, turn)
        except ShopHeld:
            result = said = "held"
        except TelegramRetryAfter as error:
            log.warning("bot.too_fast_for_telegram", retry_after=error.retry_after)
            result, said = "slow_down", "slow-down"
        except Exception:
            log.exception("bot.update_failed")
            result = said = "failed"
        else:
            return "again" if turn.is_repeated else "ok", answer
        return result, self._sorry(update, turn, said)

    def _too_fast(self, update: Update) -> tuple[str, Any] | None:
        """What somebody hears who presses more than a person can; None where they do not."""
        person = getattr(update.event, "from_user", None)
        if person is None or person.is_bot or not _is_flood(update, person.id, self._flood):
            return None
        query = update.callback_query
        return "flood", AnswerCallbackQuery(callback_query_id=query.id) if query else None

    async def _of_team(self, update: Update) -> tuple[str, Any] | None:
        """What the team does with incidents; None for everything else."""
        if self._incidents is None:
            return None
        try:
            return await duty.handle(self._incidents, update)
        except DATABASE_AWAY:
            raise
        except Exception:
            log.exception("bot.update_failed")
            query = update.callback_query
            said = "Не вышло, мы уже знаем. Попробуйте ещё раз или командой: 2getpro incident."
            return "failed", query.answer(said, show_alert=True) if query else None

    def _in_group(self, update: Update) -> tuple[str, Any]:
        """An operator's command gets one sentence, with the group's number; nothing else gets any answer."""
        message = update.message
        person = None if message is None else message.from_user
        if message is None or person is None or not (message.text or "").startswith("/"):
            return "ignored", None
        if person.id not in self.context.sales.rules.operators:
            return "ignored", None
        t = self.context.texts_in(language_of(person.language_code))
        is_ours = message.chat.id == self._operators_chat
        return "ok", message.answer(
            t("group-ours") if is_ours else t("group-other", chat=str(message.chat.id))
        )

    async def _feed(self, update: Update, turn: Turn) -> Any:
        """Let the handlers answer; once more where they find that Telegram has sent the update before.

        Its answer may have been lost, with the process or with the database: whoever wrote or pressed is
        then shown how things stand (``handlers.again``), and nobody is left before silence.
        """
        try:
            return await _dispatcher().feed_update(self._bot, update, context=self.context, turn=turn)
        except SeenBefore:
            log.info("bot.update_again")
        if update.message is None and update.callback_query is None:
            return None
        turn.is_repeated = True
        return await _dispatcher().feed_update(self._bot, update, context=self.context, turn=turn)

    async def _shut_out(self, update: Update, turn: Turn) -> Any:
        """Whoever is blocked sees that, whatever they press or write, and where they may complain."""
        screen = blocked(self.context.texts(turn.customer), support=self.context.shop.support)
        if update.callback_query is not None:
            return await show(update.callback_query, screen)
        return say(update.message, screen) if update.message is not None else None

    def _sorry(self, update: Update, turn: Turn, name: str) -> Any:
        """A short honest sentence instead of silence or a traceback."""
        text = self.context.texts_in(turn.language)(name)
        if update.callback_query is not None:
            return update.callback_query.answer(text, show_alert=True)
        return update.message.answer(text) if update.message is not None else None


@cache
def _dispatcher() -> Dispatcher:
    """The handlers in their order. Made once: what a call needs is handed to each call."""
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher.include_routers(
        again.router,
        desk.router,
        start.router,
        buying.router,
        own.router,
        trouble.router,
        other.router,
    )
    return dispatcher


def _about(update: Update) -> dict[str, Any]:
    """What stands in each line that is logged meanwhile."""
    person = getattr(update.event, "from_user", None)
    who = {} if person is None else {"user_id": person.id}
    return {"update_id": update.update_id, "update_kind": update.event_type} | who


def _is_private(update: Update) -> bool:
    """Whether only the customer sees the answer: what they have bought is nobody else's matter."""
    where = update.callback_query.message if update.callback_query else update.event
    chat = getattr(where, "chat", None)
    return chat is None or chat.type == ChatType.PRIVATE


def _is_answer(update: Update) -> bool:
    return update.message is not None and not (update.message.text or "").startswith("/")


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
