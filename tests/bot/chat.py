"""Chats with the shop's bot: people write and press, Telegram is a session that records and answers."""

import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.base import BaseSession
from aiogram.enums import ParseMode
from aiogram.exceptions import TelegramBadRequest
from aiogram.methods import EditMessageText, TelegramMethod
from aiogram.types import Message
from pydantic import SecretStr
from sqlalchemy import text

from getpro.bot import jobs
from getpro.bot.app import ShopBot
from getpro.bot.message_log import MessageLog
from getpro.bot.orders import turn_message
from getpro.payments.models import payments
from getpro.platform.settings import OperationsSettings, PanelSettings, ShopSettings, TelegramSettings
from getpro.sandbox.shop.product import SandboxSettings
from getpro.sandbox.telegram.entities import length, parsed
from shop import CAST, Shop

BOT_ID = 7000000001
DATE = 1772366400
METHOD = EditMessageText(text="")


def plain(text: str, *, longest: int = 4096) -> str:
    """What a person reads of a text that Telegram takes: its HTML is right, its length allowed."""
    read, _ = parsed(text, "HTML")
    assert 0 < length(read) <= longest
    return breakable(read)


def breakable(text: str) -> str:
    """The text with plain spaces, as a person reads it."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


class Phones(BaseSession):
    """Where the bot's calls arrive: what each chat shows now, and every call that was made."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.shown: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.toasts: list[str | None] = []
        self.refusals: list[tuple[str, Exception]] = []
        """A method's name and what it raises, once."""
        self.before_edit: Callable[[], Awaitable[object]] | None = None
        """What the next edit waits for, on its way."""
        self.numbers = itertools.count(1000)
        """Of messages and of updates."""

    async def make_request(
        self,
        bot: Bot,
        method: TelegramMethod[Any],
        timeout: int | None = None,  # noqa: ASYNC109 -- aiogram's signature
    ) -> Any:
        if method.__api_method__ == "editMessageText" and (before := self.before_edit) is not None:
            self.before_edit = None
            await before()
        result = self.take(method.__api_method__, method.model_dump(exclude_none=True, warnings=False))
        return Message.model_validate(result) if isinstance(result, dict) else result

    def take(self, name: str, said: dict[str, Any]) -> Any:
        """A call, by the wire or in the webhook's answer."""
        self.calls.append(name)
        for refusal in self.refusals:
            if refusal[0] == name:
                self.refusals.remove(refusal)
                raise refusal[1]
        if name == "answerCallbackQuery":
            self.toasts.append(said.get("text"))
        elif name in {"sendMessage", "editMessageText", "sendPhoto"}:
            return self._show(name, said)
        elif name == "deleteMessage":
            del self.shown[said["chat_id"]][said["message_id"]]
        return True

    def _show(self, name: str, said: dict[str, Any]) -> dict[str, Any]:
        number = said["message_id"] if name == "editMessageText" else next(self.numbers)
        if name == "editMessageText" and number not in self.shown[said["chat_id"]]:
            raise bad_request("message to edit not found")
        markup = said.get("reply_markup") or {"inline_keyboard": []}
        content: dict[str, Any] = {"text": plain(said["text"])} if "text" in said else {}
        if "caption" in said:
            photo = {"file_id": "1", "file_unique_id": "1", "width": 1, "height": 1}
            content = {"photo": [photo], "caption": plain(said["caption"], longest=1024)}
        message = {
            "message_id": number,
            "date": DATE,
            "chat": {"id": said["chat_id"], "type": "private"},
            **content,
            "reply_markup": markup,
        }
        self.shown[said["chat_id"]][number] = message
        return message

    async def close(self) -> None:
        pass

    async def stream_content(self, *_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        yield b""


@dataclass
class Person:
    """A customer with a phone."""

    user_id: int
    first_name: str
    language: str
    bot: ShopBot
    phones: Phones
    username: str | None = None

    @property
    def screens(self) -> list[dict[str, Any]]:
        """The messages of the bot, oldest first."""
        return list(self.phones.shown[self.user_id].values())

    @property
    def sees(self) -> str:
        """The newest message."""
        newest = self.screens[-1]
        return str(newest.get("text") or newest["caption"])

    @property
    def buttons(self) -> list[list[str]]:
        return [
            [breakable(b["text"]) for b in row] for row in self.screens[-1]["reply_markup"]["inline_keyboard"]
        ]

    @property
    def toast(self) -> str | None:
        """What the last press said at the top of the chat."""
        return self.phones.toasts[-1]

    def button(self, label: str) -> dict[str, Any]:
        """The newest button that begins so."""
        for message in reversed(self.screens):
            for row in message["reply_markup"]["inline_keyboard"]:
                for button in row:
                    if breakable(button["text"]).startswith(label):
                        return {k: v for k, v in button.items() if v is not None} | {"on": message}
        raise AssertionError(f"no button {label!r} in {self.buttons}")

    def about(self) -> dict[str, Any]:
        name = {"username": self.username} if self.username else {}
        about = {"id": self.user_id, "is_bot": False, "first_name": self.first_name, **name}
        return about | {"language_code": self.language}

    def chat(self) -> dict[str, Any]:
        return {"id": self.user_id, "type": "private"}

    async def says(self, text: str) -> None:
        await self.sends(text=text)

    async def sends(self, **content: Any) -> None:
        if str(content.get("text", "")).startswith("/"):
            size = len(content["text"].split()[0])
            content["entities"] = [{"type": "bot_command", "offset": 0, "length": size}]
        await self.update(message=self.message(**content))

    def message(self, **content: Any) -> dict[str, Any]:
        """What Telegram tells of a message."""
        message = {
            "message_id": next(self.phones.numbers),
            "date": DATE,
            "from": self.about(),
            "chat": self.chat(),
        }
        return message | content

    async def presses(self, label: str) -> None:
        button = self.button(label)
        assert "callback_data" in button, f"{label} is a link"
        await self.update(callback_query=self.press(button["callback_data"], button["on"]))

    async def presses_data(self, data: str) -> None:
        """As an old message, or a forger, would."""
        await self.update(callback_query=self.press(data, self.screens[-1] if self.screens else None))

    def press(self, data: str, message: dict[str, Any] | None) -> dict[str, Any]:
        on = {"message": message} if message else {}
        return {"id": "1", "from": self.about(), "chat_instance": "1", "data": data, **on}

    async def asks_to_pay(self, payload: str, amount: int) -> dict[str, Any]:
        """Telegram's last question before it takes Stars; the bot's answer."""
        query = {"id": "9", "from": self.about(), "currency": "XTR", "total_amount": amount}
        reply = await self.update(pre_checkout_query=query | {"invoice_payload": payload})
        assert reply is not None
        assert reply.pop("method") == "answerPreCheckoutQuery"
        return reply

    async def membership(self, status: str, *, chat: dict[str, Any] | None = None) -> None:
        def member(status: str) -> dict[str, Any]:
            until = {"until_date": 0} if status == "kicked" else {}
            return {"user": {"id": BOT_ID, "is_bot": True, "first_name": "Shop"}, "status": status, **until}

        event = {"chat": chat or self.chat(), "from": self.about(), "date": DATE}
        await self.update(
            my_chat_member=event | {"old_chat_member": member("member"), "new_chat_member": member(status)}
        )

    async def update(self, **content: Any) -> dict[str, Any] | None:
        """An update of this person's; what the webhook answers has the same effect as a call."""
        return await self.update_again({"update_id": next(self.phones.numbers), **content})

    async def update_again(self, update: dict[str, Any]) -> dict[str, Any] | None:
        reply = await self.bot.handle(update)
        if reply is not None:
            self.phones.take(reply["method"], reply)
        return reply


@dataclass
class Chats:
    """The shop, its bot, and whoever comes."""

    shop: Shop
    phones: Phones = field(default_factory=Phones)
    support: str = "@helper"
    terms_url: str | None = "https://shop.example/terms"
    operators_chat: int | None = None

    @property
    def bot(self) -> ShopBot:
        token = f"{BOT_ID}:test"
        settings = SandboxSettings(
            telegram=TelegramSettings(bot_token=SecretStr(token)),
            panel=PanelSettings(url="http://127.0.0.1:9", token=SecretStr("t")),
            shop=ShopSettings(name="Тест & <Ко>", support=self.support, terms_url=self.terms_url),
            operations=OperationsSettings(chat=self.operators_chat),
        )
        client = Bot(token, session=self.phones, default=DefaultBotProperties(parse_mode=ParseMode.HTML))
        return ShopBot(bot=client, sales=self.shop.deps, settings=settings, log=MessageLog(self.shop.db))

    def person(self, name: str, *, language: str = "ru", first_name: str | None = None) -> Person:
        return Person(CAST[name], first_name or name.title(), language, self.bot, self.phones)


async def orders(shop: Shop, person: Person) -> list[Any]:
    async with shop.db.begin("test") as session:
        rows = await session.execute(
            payments.select().where(payments.c.user_id == person.user_id).order_by(payments.c.payment_id)
        )
        return list(rows)


async def run_bot_jobs(shop: Shop, person: Person) -> None:
    """Run the bot's own jobs once: notices, and screens that turn."""
    async with shop.db.begin("test") as session:
        found = await session.execute(
            text("SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id")
        )
        waiting = list(found)
    for row in waiting:
        if row.task_name == "send_notice":
            await jobs.send_notice(person.bot.context, **row.args)
        elif row.task_name == "turn_screen":
            await turn_message(person.bot.context, **row.args)


def bad_request(text: str) -> TelegramBadRequest:
    return TelegramBadRequest(METHOD, f"Bad Request: {text}")
