"""The bot's updates, fetched by long polling."""

import asyncio
from typing import Any, Final

import structlog
from aiogram import Bot, methods
from aiogram.exceptions import TelegramAPIError, TelegramRetryAfter
from aiogram.methods import TelegramMethod

from getpro.platform.telegram import TELEGRAM_AWAY

log = structlog.get_logger(__name__)

_WAIT_SECONDS: Final = 25
_AGAIN_SECONDS: Final = 3


class _RawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """``getUpdates`` whose answer stays as Telegram wrote it: what is kept of money is kept raw."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int
    timeout: int
    allowed_updates: list[str]


class Mailbox:
    """What waits for the bot at Telegram. A Telegram that is away or refuses is asked again."""

    def __init__(self, bot: Bot, *, allowed_updates: list[str]) -> None:
        self._bot = bot
        self._allowed = allowed_updates

    async def fetch(self, offset: int) -> list[dict[str, Any]]:
        """The updates from ``offset`` on, which confirms those before; waits a while for the first."""
        request = _RawUpdates(offset=offset, timeout=_WAIT_SECONDS, allowed_updates=self._allowed)
        while True:
            try:
                return await self._bot(request, request_timeout=_WAIT_SECONDS + 10)
            except TELEGRAM_AWAY as error:
                log.warning("polling.telegram_away", error=type(error).__name__)
            except TelegramRetryAfter as error:
                await asyncio.sleep(error.retry_after)
            except TelegramAPIError as error:
                log.error("polling.telegram_refused", error=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def answer(self, reply: dict[str, Any]) -> None:
        """Make the call that a webhook would have got as its answer; one that fails is lost, as there."""
        name = reply["method"]
        kind = getattr(methods, name[:1].upper() + name[1:])
        try:
            await self._bot(kind(**{field: value for field, value in reply.items() if field != "method"}))
        except (*TELEGRAM_AWAY, TelegramAPIError) as error:
            log.warning("polling.reply_lost", method=name, error=type(error).__name__)
