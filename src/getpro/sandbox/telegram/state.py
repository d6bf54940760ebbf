"""Everything that the simulated Telegram remembers: people, messages, money, calls."""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from getpro.sandbox.telegram.errors import BLOCKED, DEACTIVATED, Refusal, bad, forbidden


@dataclass
class Person:
    """Somebody with a chat with the bot; it exists for the bot once they have written."""

    user_id: int
    first_name: str
    username: str | None = None
    language_code: str = "ru"
    has_started: bool = False
    has_blocked: bool = False
    is_deactivated: bool = False
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    toasts: list[dict[str, Any]] = field(default_factory=list)
    version: int = 0
    """Grows with every change of the chat: the page asks for it."""

    def user(self) -> dict[str, Any]:
        user: dict[str, Any] = {
            "id": self.user_id,
            "is_bot": False,
            "first_name": self.first_name,
            "language_code": self.language_code,
        }
        return user | ({"username": self.username} if self.username else {})

    def chat(self) -> dict[str, Any]:
        chat: dict[str, Any] = {"id": self.user_id, "type": "private", "first_name": self.first_name}
        return chat | ({"username": self.username} if self.username else {})


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

    def reachable(self, chat_id: Any) -> Person:
        """Whom the bot may write to; raises the refusal that Telegram gives."""
        person = self.people.get(chat_id)
        if person is None or not person.has_started:
            raise bad("chat not found")
        if person.is_deactivated:
            raise forbidden(DEACTIVATED)
        if person.has_blocked:
            raise forbidden(BLOCKED)
        return person

    def post(self, person: Person, *, by_bot: bool, **content: Any) -> dict[str, Any]:
        """Put a new message into the chat."""
        message = {
            "message_id": next(self._message_ids),
            "date": int(self.time()),
            "chat": person.chat(),
            "from": self.bot() if by_bot else person.user(),
            **content,
        }
        person.messages[message["message_id"]] = message
        person.version += 1
        return message

    def message(self, person: Person, message_id: Any, *, to: str) -> dict[str, Any]:
        """The message to ``edit``, which must be the bot's own, or to ``delete``; raises Refusal."""
        message = person.messages.get(message_id)
        if message is None:
            raise bad(f"message to {to} not found")
        if to == "edit" and not message["from"]["is_bot"]:
            raise bad("message can't be edited")
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
