"""The phone of somebody who does not exist: the bot's screens arrive here, and nowhere else."""

import itertools
import secrets
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any, Final

from aiogram import Bot
from aiogram.client.session.base import BaseSession
from aiogram.methods import TelegramMethod
from aiogram.types import Message

from getpro.bot.app import ShopBot

_SHOWS: Final = {"sendMessage", "editMessageText"}


class Phone(BaseSession):
    """Telegram, as far as one chat needs it. Nothing leaves the process.

    It shows one screen, the newest: a text, and buttons as Telegram's JSON has them.
    """

    def __init__(self, user_id: int) -> None:
        super().__init__()
        self._user_id = user_id
        self._numbers = itertools.count(secrets.randbits(48))
        """Of updates and messages: of another run they are others."""
        self._shown: dict[str, Any] = {}

    @property
    def buttons(self) -> Iterator[dict[str, Any]]:
        rows = (self._shown.get("reply_markup") or {}).get("inline_keyboard") or ()
        return (button for row in rows for button in row)

    def button(self, kind: str, beginning: str = "") -> str | None:
        """What the first button of this kind holds that begins so; None where there is none.

        Its ``kind``: ``callback_data``, ``url`` or ``copy_text``.
        """
        for button in self.buttons:
            held = button.get(kind)
            text = held["text"] if isinstance(held, dict) else held
            if text is not None and text.startswith(beginning):
                return str(text)
        return None

    async def write(self, bot: ShopBot, command: str) -> None:
        """Send the bot a command such as ``/start``."""
        entities = [{"type": "bot_command", "offset": 0, "length": len(command)}]
        message = self._message(next(self._numbers)) | {"text": command, "entities": entities}
        await self._update(bot, message=message | {"from": self._person()})

    async def press(self, bot: ShopBot, data: str) -> None:
        """Press a button of the screen."""
        on = self._message(self._shown["message_id"]) | {"text": self._shown["text"]}
        query = {"id": "1", "from": self._person(), "chat_instance": "1", "data": data, "message": on}
        await self._update(bot, callback_query=query)

    async def _update(self, bot: ShopBot, **content: Any) -> None:
        reply = await bot.handle({"update_id": next(self._numbers), **content})
        if reply is not None and reply["method"] in _SHOWS:
            self._show(reply)

    def _show(self, said: dict[str, Any]) -> int:
        number = said.get("message_id") or next(self._numbers)
        self._shown = said | {"message_id": number}
        return int(number)

    def _person(self) -> dict[str, Any]:
        return {"id": self._user_id, "is_bot": False, "first_name": "Synthetic", "language_code": "ru"}

    def _message(self, number: int) -> dict[str, Any]:
        chat = {"id": self._user_id, "type": "private"}
        return {"message_id": number, "date": int(time.time()), "chat": chat}

    async def make_request(
        self,
        bot: Bot,  # noqa: ARG002 -- aiogram's signature, here and below
        method: TelegramMethod[Any],
        timeout: int | None = None,  # noqa: ARG002, ASYNC109
    ) -> Any:
        if method.__api_method__ not in _SHOWS:
            return True
        number = self._show(method.model_dump(exclude_none=True, warnings=False))
        return Message.model_validate(self._message(number))

    async def stream_content(self, *_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        """Nothing is ever fetched."""
        yield b""

    async def close(self) -> None:
        """It has no connection."""
