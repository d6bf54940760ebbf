"""The connection to Telegram: aiogram's client at the configured address, through the configured proxy."""

from typing import Any, Final

from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ParseMode
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.methods import Response, TelegramMethod
from aiogram.types import LinkPreviewOptions
from aiohttp import ClientConnectorError, ClientSession, TCPConnector

from getpro.kit import crashpoints
from getpro.platform import metrics
from getpro.platform.settings import TelegramSettings

TELEGRAM_AWAY: Final = (TelegramNetworkError, TelegramServerError, ClientDecodeError)
"""Nothing is known about the call. The last one is what a gateway's own page of an error reads as."""


def is_unsent(error: BaseException) -> bool:
    """Whether a call that failed has surely had no effect: no connection came about, or a 5xx was said."""
    return isinstance(error, TelegramServerError) or isinstance(error.__cause__, ClientConnectorError)


class TelegramSession(AiohttpSession):
    """aiogram's session with an HTTP proxy and crash points ``telegram.<method>: before|after call``."""

    def __init__(self, api_url: str, *, http_proxy: str | None, timeout_seconds: float = 30) -> None:
        super().__init__(api=TelegramAPIServer.from_base(api_url), timeout=timeout_seconds)
        self._http_proxy = http_proxy
        self._shapes: dict[type[TelegramMethod[Any]], type[Response[Any]]] = {}
        """Of the answers: aiogram asks for one at each call, and pydantic forgets those that nobody keeps."""

    async def create_session(self) -> ClientSession:
        """Aiogram's own needs one more library to use a proxy; aiohttp can by itself."""
        if self._session is None or self._session.closed:
            self._session = ClientSession(
                connector=TCPConnector(**self._connector_init), proxy=self._http_proxy
            )
        return self._session

    async def make_request(
        self,
        bot: Bot,
        method: TelegramMethod[Any],
        timeout: int | None = None,  # noqa: ASYNC109 -- aiogram's signature
    ) -> Any:
        name = method.__api_method__
        if type(method) not in self._shapes:
            self._shapes[type(method)] = Response[method.__returning__]  # type: ignore[name-defined]
        crashpoints.reach(f"telegram.{name}: before call")
        try:
            with metrics.timed(metrics.BOT_API_SECONDS.observe):
                result = await super().make_request(bot, method, timeout=timeout)
        except UnicodeDecodeError as error:  # a gateway's page, in letters of its own
            metrics.BOT_API_CALLS.labels(name, "away").inc()
            raise TelegramNetworkError(method=method, message="the answer is no text") from error
        except (TelegramAPIError, ClientDecodeError) as error:
            metrics.BOT_API_CALLS.labels(name, _result_of(error)).inc()
            raise
        metrics.BOT_API_CALLS.labels(name, "ok").inc()
        crashpoints.reach(f"telegram.{name}: after call")
        return result


def _result_of(error: Exception) -> str:
    """An error in a word, as ``metrics.result_of`` has them."""
    if isinstance(error, TelegramRetryAfter):
        return "too_many_requests"
    return "away" if isinstance(error, TELEGRAM_AWAY) else "refused"


def make_bot(settings: TelegramSettings) -> Bot:
    """The client with which everything is sent; texts are HTML."""
    return Bot(
        token=settings.bot_token.get_secret_value(),
        session=TelegramSession(settings.api_url, http_proxy=settings.proxy),
        default=DefaultBotProperties(
            parse_mode=ParseMode.HTML, link_preview=LinkPreviewOptions(is_disabled=True)
        ),
    )
