"""The Bot API by plain calls: for money, whose answers are read as they come, and for commands.

The bot's library takes seconds to load, and refuses a whole answer for one field that it does not know.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from getpro.platform.http import Service, ServiceUnavailable
from getpro.platform.settings import TelegramSettings


class BotApiRefused(Exception):
    """Telegram answered that it will not; the text is its status and its own words."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(f"{status} {description}".strip())
        self.status = status

    @property
    def is_about_token(self) -> bool:
        """The token is not one, or not one any more."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}


class BotApi:
    """One bot's calls."""

    def __init__(self, settings: TelegramSettings, *, timeout_seconds: float = 15) -> None:
        self._service = Service(
            "telegram",
            f"{settings.api_url}/bot{settings.bot_token.get_secret_value()}",
            proxy=settings.proxy,
            timeout_seconds=timeout_seconds,
        )

    async def ask(self, method: str, *, files: Mapping[str, bytes] | None = None, **parameters: Any) -> Any:
        """Its result; raises BotApiRefused, and ServiceUnavailable where nothing is known.

        ``files`` are PNG, each by the name of its parameter.
        """
        form = None if files is None else _form(parameters, files)
        answer = await self._service.call(
            method, "POST", f"/{method}", body=None if form else parameters, form=form
        )
        said = answer.body if isinstance(answer.body, dict) else {}
        if said.get("ok") is True:
            return said.get("result")
        is_passing = answer.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
        if said.get("ok") is not False or is_passing or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ServiceUnavailable(f"telegram answered {answer.status}")
        raise BotApiRefused(answer.status, str(said.get("description", "")))

    async def close(self) -> None:
        await self._service.close()


def _form(parameters: Mapping[str, Any], files: Mapping[str, bytes]) -> aiohttp.FormData:
    """Texts as they are, everything else as JSON, as the Bot API wants it."""
    form = aiohttp.FormData()
    for name, value in parameters.items():
        form.add_field(name, value if isinstance(value, str) else json.dumps(value))
    for name, content in files.items():
        form.add_field(name, content, filename=f"{name}.png", content_type="image/png")
    return form
