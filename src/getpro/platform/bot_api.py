"""The Bot API by plain calls: for money, whose answers are read as they come, and for commands.

The bot's library takes seconds to load, and refuses a whole answer for one field that it does not know.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from getpro.platform.http import Service, ServiceUnavailable
from getpro.platform.settings import TelegramSettings

_SERVERS_FAULT = HTTPStatus.INTERNAL_SERVER_ERROR


class TooManyRequests(ServiceUnavailable):
    """Telegram says when it may be asked again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"telegram asks to wait {seconds:g} s")
        self.seconds = seconds


class BotApiRefused(Exception):
    """Telegram answered that it will not; the text is its status and its own words."""

    def __init__(self, status: int, description: str, *, moved_to: int | None = None) -> None:
        super().__init__(f"{status} {description}".strip())
        self.status = status
        self.moved_to = moved_to
        """The chat's new number: a group has become a supergroup."""

    @property
    def is_about_token(self) -> bool:
        """The token is not one, or not one any more."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}


@dataclass(frozen=True, slots=True)
class Document:
    """A file for people, under its name."""

    name: str
    content: bytes


class BotApi:
    """One bot's calls."""

    def __init__(self, settings: TelegramSettings, *, timeout_seconds: float = 15) -> None:
        self._service = Service(
            "telegram",
            f"{settings.api_url}/bot{settings.bot_token.get_secret_value()}",
            proxy=settings.proxy,
            timeout_seconds=timeout_seconds,
        )

    async def ask(
        self, method: str, *, files: Mapping[str, bytes | Document] | None = None, **parameters: Any
    ) -> Any:
        """Its result; raises BotApiRefused, TooManyRequests, and ServiceUnavailable where nothing is known.

        ``files`` are documents, or pictures as PNG, each by the name of its parameter.
        """
        form = None if files is None else _form(parameters, files)
        answer = await self._service.call(
            method, "POST", f"/{method}", body=None if form else parameters, form=form
        )
        said = answer.body if isinstance(answer.body, dict) else {}
        if said.get("ok") is True:
            return said.get("result")
        told = said.get("parameters") or {}
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise TooManyRequests(float(told.get("retry_after", 1)))
        is_passing = answer.status == HTTPStatus.REQUEST_TIMEOUT or answer.status >= _SERVERS_FAULT
        is_too_large = answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE  # in a gateway's own words
        if is_passing or (said.get("ok") is not False and not is_too_large):
            raise ServiceUnavailable(f"telegram answered {answer.status}")
        description = str(said.get("description", ""))
        raise BotApiRefused(answer.status, description, moved_to=told.get("migrate_to_chat_id"))

    async def close(self) -> None:
        await self._service.close()


def _form(parameters: Mapping[str, Any], files: Mapping[str, bytes | Document]) -> aiohttp.FormData:
    """Texts as they are, everything else as JSON, as the Bot API wants it."""
    form = aiohttp.FormData()
    for name, value in parameters.items():
        form.add_field(name, value if isinstance(value, str) else json.dumps(value))
    for name, content in files.items():
        if isinstance(content, Document):
            kind = "application/octet-stream"
            form.add_field(name, content.content, filename=content.name, content_type=kind)
        else:
            form.add_field(name, content, filename=f"{name}.png", content_type="image/png")
    return form
