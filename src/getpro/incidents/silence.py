"""A second machine that calls when the shop is silent: when, whom, in which words; it needs no database."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from getpro.incidents.deps import OtherWay, Telegram
from getpro.incidents.heartbeat import PATH
from getpro.incidents.other import NotSent
from getpro.incidents.words import clock, span
from getpro.platform.bot_api import BotApiRefused
from getpro.platform.http import Service, ServiceUnavailable

_GAPS: Final = (timedelta(minutes=5),) * 3 + (timedelta(hours=1),)
"""As L3 calls; when its quarter of an hour is over, and nobody has come, every hour."""
_LOOKS: Final = 2
"""A single lost packet is no silence."""
_NOT_FOUND: Final = 404
_SAID: Final = {
    "silent": "веб отвечает, а фоновые работы стоят или никого не дозваться",
    "database away": "база не отвечает",
}


class Call(StrEnum):
    SILENT = "silent"
    STILL = "still"
    BACK = "back"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Silence:
    """What is remembered from one look to the next; ``told`` counts the calls that have arrived."""

    since: datetime
    told: int = 0
    told_at: datetime | None = None


def call(known: Silence | None, *, is_alive: bool, now: datetime, patience: timedelta) -> Call | None:
    """What is to be said now; pure. ``known``: None where the last look found it alive."""
    if known is None or known.told_at is None:
        is_over = known is not None and not is_alive and now - known.since >= patience
        return Call.SILENT if is_over or (not is_alive and not patience) else None
    if is_alive:
        return Call.BACK
    return Call.STILL if now - known.told_at >= _GAPS[min(known.told, len(_GAPS)) - 1] else None


async def look(public_url: str) -> str | None:
    """Ask the shop's public address for its sign of life; None: there is one, else what is wrong."""
    service = Service("shop", public_url, timeout_seconds=10)
    trouble: str | None = None
    try:
        for _ in range(_LOOKS):
            try:
                answer = await service.call("look", "GET", PATH)
            except ServiceUnavailable as error:
                trouble = str(error).replace("shop: ", "")
                continue
            if answer.is_success:
                return None
            status = answer.body.get("status") if isinstance(answer.body, dict) else None
            trouble = _SAID.get(str(status), f"ответ {answer.status}")
            if answer.status == _NOT_FOUND:
                trouble = "ответ 404: здесь не магазин, или его версия старше этой"
    finally:
        await service.close()
    return trouble


@dataclass(frozen=True, slots=True)
class Ways:
    """How people are called from here: by all at once."""

    telegram: Telegram | None
    chat_id: int | None
    other: OtherWay
    addresses: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.addresses) or (self.telegram is not None and self.chat_id is not None)

    async def tell(self, title: str, text: str) -> list[str]:
        """Call by every way; return the troubles, as many as :attr:`count` where all have failed."""
        troubles = []
        if self.telegram is not None and self.chat_id is not None:
            try:
                await self._write(self.telegram, self.chat_id, f"<b>{escape(title)}</b>\n{escape(text)}")
            except (BotApiRefused, ServiceUnavailable) as error:
                troubles.append(f"Telegram: {error}")
        for address in self.addresses:
            try:
                await self.other.send([address], title, text)
            except NotSent as error:
                troubles.append(str(error))
        return troubles

    async def _write(self, telegram: Telegram, chat_id: int, said: str) -> None:
        """To the chat, also where it has become a supergroup and nobody has noticed."""
        try:
            await telegram.ask("sendMessage", chat_id=chat_id, text=said, parse_mode="HTML")
        except BotApiRefused as error:
            if error.moved_to is None:
                raise
            await telegram.ask("sendMessage", chat_id=error.moved_to, text=said, parse_mode="HTML")

    @property
    def count(self) -> int:
        return len(self.addresses) + (self.telegram is not None and self.chat_id is not None)


def words(
    what: Call, public_url: str, *, trouble: str | None, since: datetime, now: datetime, zone: ZoneInfo
) -> tuple[str, str]:
    """A title and a text."""
    where = urlsplit(public_url).netloc
    began = clock(since, zone, now=now)
    if what is Call.TEST:
        return "🔔 Проверка связи", f"Так вторая машина позовёт, если замолчит {where}."
    if what is Call.BACK:
        return "🟢 Магазин снова отвечает", f"{where}, молчал {span(now - since)}, с {began}"
    title = "🚨 Магазин молчит" if what is Call.SILENT else "🚨 Магазин всё ещё молчит"
    lines = [f"{where}: {trouble}", f"с {began}, уже {span(now - since)}"]
    return title, "\n".join([*lines, "→ docs/operations/runbooks/watchdog.md"])


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """The file of what is remembered, while nobody else looks: of two that start at once one waits.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "heartbeat.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / "heartbeat.json"


def recall(file: Path) -> Silence | None:
    """What the last look has left; a file that cannot be understood is as none."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        since, told_at = datetime.fromisoformat(kept["since"]), kept["told_at"]
        return Silence(since, int(kept["told"]), None if told_at is None else datetime.fromisoformat(told_at))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def remember(file: Path, known: Silence | None) -> None:
    """Whole or not at all; None: there is nothing to be remembered."""
    if known is None:
        file.unlink(missing_ok=True)
        return
    told_at = None if known.told_at is None else known.told_at.isoformat()
    fresh = file.with_suffix(".fresh")
    fresh.write_text(
        json.dumps({"since": known.since.isoformat(), "told": known.told, "told_at": told_at}),
        encoding="utf-8",
    )
    fresh.replace(file)
