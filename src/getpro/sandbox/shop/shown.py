"""What the bot has shown to whom, by Telegram's own record of its calls: also what was edited away since."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any, Final, NamedTuple

from getpro.sandbox.shop.world import World

_TAGS: Final = re.compile(r"<[^>]*>")
_RUSSIAN: Final = re.compile("[А-Яа-яЁё]")
_LANGUAGE_CHOICE: Final = frozenset({"Язык: русский", "Язык · Language", "Русский"})
"""A language is named in itself, wherever one is chosen."""

REMINDERS: Final = {
    "за 3 дня": (
        "Подписка закончится через 3 дня",
        "Пробный период закончится через 3 дня",
        "Your subscription ends in 3 days",
        "Your trial ends in 3 days",
    ),
    "за день": (
        "Подписка закончится завтра",
        "Пробный период закончится завтра",
        "Your subscription ends tomorrow",
        "Your trial ends tomorrow",
    ),
    "в конце": (
        "Подписка закончилась",
        "Пробный период закончился",
        "Your subscription has ended",
        "Your trial has ended",
    ),
    "день спустя": ("Доступ к VPN закрыт", "Your VPN access is closed"),
}
"""Which reminder a message is, by its first line; they come in this order."""
_WHICH: Final = {title: which for which, titles in REMINDERS.items() for title in titles}


class Sent(NamedTuple):
    at: datetime
    text: str
    """Without tags."""


def messages_to(world: World) -> dict[int, list[Sent]]:
    """What each person was sent as messages of their own, oldest first."""
    sent: dict[int, list[Sent]] = {}
    for call in _done(world):
        if call["method"] == "sendMessage":
            given = call["parameters"]
            message = Sent(datetime.fromtimestamp(call["at"], UTC), _plain(given["text"]))
            sent.setdefault(int(given["chat_id"]), []).append(message)
    return sent


def reminder(text: str) -> str | None:
    """Which reminder a message is, if it is one."""
    return _WHICH.get(text.partition("\n")[0])


def russian_words(world: World, user_id: int) -> list[str]:
    """What this person was shown in Russian: texts, buttons, toasts; a choice of language apart."""
    shown = [toast["text"] for toast in world.telegram.state.people[user_id].toasts]
    for call in _done(world):
        if str(call["parameters"].get("chat_id")) == str(user_id):
            shown.extend(_words(call["parameters"]))
    return [words for words in shown if _RUSSIAN.search(words) and words not in _LANGUAGE_CHOICE]


def _done(world: World) -> list[dict[str, Any]]:
    return [call for call in list(world.telegram.state.calls) if call["status"] == 200]


def _words(given: dict[str, Any]) -> Iterator[str]:
    for name in ("text", "caption"):
        if given.get(name):
            yield _plain(given[name])
    markup = given.get("reply_markup") or {}
    if isinstance(markup, str):  # as forms carry it
        markup = json.loads(markup)
    for row in markup.get("inline_keyboard", []):
        yield from (button["text"] for button in row)


def _plain(html: str) -> str:
    return unescape(_TAGS.sub("", html))
