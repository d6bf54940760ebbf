"""Everything that the simulated Telegram remembers: people, messages, money, calls."""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from getpro.sandbox.telegram.errors import BLOCKED, DEACTIVATED, KICKED, Refusal, bad, forbidden


@dataclass
class Chat:
    """Where messages are: a person's chat with the bot, or a group."""

    chat_id: int
    messages: dict[int, dict[str, Any]] = field(default_factory=dict, kw_only=True)
    toasts: list[dict[str, Any]] = field(default_factory=list, kw_only=True)
    version: int = field(default=0, kw_only=True)
    """Grows with every change of the chat: the page asks for it."""

    @property
    def name(self) -> str:
        """For people."""
        raise NotImplementedError

    @property
    def has_bot(self) -> bool:
        """Whether the bot is let in; a person may have blocked it."""
        raise NotImplementedError

    def chat(self) -> dict[str, Any]:
        """As a message carries it."""
        return {"id": self.chat_id}

    def check_reachable(self) -> None:
        """Raises the refusal that Telegram gives a bot that may not write here."""
        raise NotImplementedError


@dataclass
class Person(Chat):
    """Somebody with a chat with the bot; it exists for the bot once they have written."""

    first_name: str
    username: str | None = None
    language_code: str = "ru"
    has_started: bool = False
    has_blocked: bool = False
    is_deactivated: bool = False

    @property
    def user_id(self) -> int:
        """Their chat with the bot has the same number."""
        return self.chat_id

    @property
    def name(self) -> str:
        return self.first_name

    @property
    def has_bot(self) -> bool:
        return not self.has_blocked

    def user(self) -> dict[str, Any]:
        user: dict[str, Any] = {
            "id": self.user_id,
            "is_bot": False,
            "first_name": self.first_name,
            "language_code": self.language_code,
        }
        return user | ({"username": self.username} if self.username else {})

    def chat(self) -> dict[str, Any]:
        chat = super().chat() | {"type": "private", "first_name": self.first_name}
        return chat | ({"username": self.username} if self.username else {})

    def check_reachable(self) -> None:
        if not self.has_started:
            raise bad("chat not found")
        if self.is_deactivated:
            raise forbidden(DEACTIVATED)
        if self.has_blocked:
            raise forbidden(BLOCKED)


@dataclass
class Group(Chat):
    """A supergroup of people, in which the bot is, or was."""

    title: str
    members: list[Person]
    bot_status: Literal["left", "member", "kicked"] = "left"

    @property
    def name(self) -> str:
        return self.title

    @property
    def has_bot(self) -> bool:
        return self.bot_status == "member"

    def chat(self) -> dict[str, Any]:
        return super().chat() | {"type": "supergroup", "title": self.title}

    def check_reachable(self) -> None:
        if not self.has_bot:
            raise forbidden(KICKED)


@dataclass
class Invoice:
    slug: str
    payload: str
    title: str
    description: str
    amount: int
    currency: str


@dataclass
class Charge:
    """Stars that were taken: the judge of the crash tests."""

    charge_id: str
    user_id: int
    payload: str
    amount: int
    date: int
    is_refunded: bool = False


Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


class State:
    def __init__(self, bot_token: str, username: str, clock: Clock) -> None:
        self._clock = clock
        self.bot_id = int(bot_token.partition(":")[0])
        self.bot_username = username
        self.people: dict[int, Person] = {}
        self.groups: dict[int, Group] = {}
        self.invoices: dict[str, Invoice] = {}
        self.charges: list[Charge] = []
        self.transactions: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.calls: list[dict[str, Any]] = []
        self.unknown_parameters: list[dict[str, Any]] = []
        self.commands: dict[str, list[dict[str, Any]]] = {}
        self.queries: dict[str, Any] = {}
        """Callback and pre-checkout queries that wait for their answer, by id."""
        self._message_ids = itertools.count(1)
        self._update_ids = itertools.count(secrets.randbelow(10**8) + 1)

    def time(self) -> float:
        """The present moment in seconds, as Telegram writes it."""
        return self._clock().timestamp()

    def bot(self) -> dict[str, Any]:
        return {"id": self.bot_id, "is_bot": True, "first_name": "2GETPRO", "username": self.bot_username}

    def add_person(
        self, user_id: int, first_name: str, *, username: str | None = None, language_code: str = "ru"
    ) -> Person:
        """Make a person, or return the one who is there."""
        person = Person(user_id, first_name, username, language_code)
        return self.people.setdefault(user_id, person)

    def add_group(self, chat_id: int, title: str, members: list[Person]) -> Group:
        """Make a group of people; the bot is not in it yet."""
        self.groups[chat_id] = group = Group(chat_id, title, members)
        return group

    def chat(self, chat_id: Any) -> Chat | None:
        return self.people.get(chat_id) or self.groups.get(chat_id)

    def reachable(self, chat_id: Any) -> Chat:
        """Where the bot may write; raises the refusal that Telegram gives."""
        chat = self.chat(chat_id)
        if chat is None:
            raise bad("chat not found")
        chat.check_reachable()
        return chat

    def post(self, chat: Chat, *, by: Person | None, **content: Any) -> dict[str, Any]:
        """Put a new message into the chat; by nobody is by the bot."""
        message = {
            "message_id": next(self._message_ids),
            "date": int(self.time()),
            "chat": chat.chat(),
            "from": self.bot() if by is None else by.user(),
            **content,
        }
        chat.messages[message["message_id"]] = message
        chat.version += 1
        return message

    def message(self, chat: Chat, message_id: Any, *, to: str) -> dict[str, Any]:
        """The message to ``edit``, which must be the bot's own, or to ``delete``; raises Refusal.

        Of others the bot deletes only in a chat of two: it administers no group.
        """
        message = chat.messages.get(message_id)
        if message is None:
            raise bad(f"message to {to} not found")
        if not message["from"]["is_bot"] and (to == "edit" or isinstance(chat, Group)):
            raise bad(f"message can't be {'edited' if to == 'edit' else 'deleted'}")
        return message

    def update(self, **event: Any) -> dict[str, Any]:
        return {"update_id": next(self._update_ids), **event}

    def note_call(self, method: str, parameters: dict[str, Any], status: int, description: str) -> None:
        call = {"at": self.time(), "method": method, "status": status, "parameters": parameters}
        self.calls.append(call | ({"description": description} if description else {}))

    def existing(self, user_id: int) -> Person:
        if user_id not in self.people:
            raise Refusal("no such person", 404)
        return self.people[user_id]

    def existing_group(self, chat_id: int) -> Group:
        if chat_id not in self.groups:
            raise Refusal("no such group", 404)
        return self.groups[chat_id]
