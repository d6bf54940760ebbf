"""Telegram users at a bot's webhook: they send, press what they see, and wait for what they will see."""

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

Record = dict[str, Any]
SECRET: Final = "bench"  # noqa: S105 -- known to both ends, which are this machine
PATIENCE_SECONDS: Final = 30


class Listener:
    """Hears a stand-in's feed; keeps each person's last screen and wakes whoever waits for something."""

    def __init__(self) -> None:
        self.screens: dict[int, Record] = {}
        self._waiting: dict[int, list[tuple[Callable[[Record], bool], asyncio.Future[Record]]]] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, address: str) -> AsyncIterator["Listener"]:
        """Hear what the stand-in at ``address`` tells while the block runs."""
        listener = cls()
        heard = asyncio.Event()
        task = asyncio.create_task(listener._listen(address, heard))
        try:
            await asyncio.wait_for(heard.wait(), PATIENCE_SECONDS)
            yield listener
        finally:
            task.cancel()
            await asyncio.wait([task])

    def expect(self, who: int, fits: Callable[[Record], bool]) -> asyncio.Future[Record]:
        """The next record about ``who`` that fits."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, []).append((fits, future))
        return future

    async def _listen(self, address: str, heard: asyncio.Event) -> None:
        patient = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=patient) as http, http.get(f"{address}/_feed") as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                heard.set()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    self._hear(json.loads(line))

    def _hear(self, record: Record) -> None:
        who = record["who"]
        if record.get("buttons"):
            self.screens[who] = record
        waiting, self._waiting[who] = self._waiting.get(who, []), []
        for fits, future in waiting:
            if future.done():
                continue
            if fits(record):
                future.set_result(record)
            else:
                self._waiting[who].append((fits, future))


@dataclass
class Crowd:
    """Everybody who writes to one bot."""

    http: aiohttp.ClientSession
    bot: str
    telegram: str
    listener: Listener
    lost: Counter[str] = field(default_factory=Counter)
    """What went unanswered, and how."""
    _update_ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(time.time_ns() >> 20))

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, bot: str, telegram: str) -> AsyncIterator["Crowd"]:
        """A crowd before the webhook ``bot``, with the stand-in of Telegram at ``telegram``."""
        async with Listener.at(telegram) as listener, _session() as http:
            yield cls(http, bot, telegram, listener)

    async def says(self, who: int, text: str) -> float:
        """Send a text; seconds to what the bot then shows, nan for silence."""
        return await self._send(who, {"message": _message(who, text)})

    async def presses(self, who: int, start: str) -> float:
        """Press the button on the last screen that begins so; seconds to what the bot then shows."""
        screen = self.listener.screens.get(who, {"buttons": []})
        found = [data for data in screen["buttons"] if data.startswith(start)]
        if not found:
            self.lost[f"no button {start}"] += 1
            return float("nan")
        message = _message(who, screen["text"] or "menu") | {"message_id": screen["message_id"]}
        query = {"from": message["from"], "chat_instance": "1", "data": found[0], "message": message}
        return await self._send(who, {"callback_query": query})

    def link(self, who: int) -> str | None:
        """The address of the payment page on the person's last screen."""
        buttons = self.listener.screens.get(who, {"buttons": []})["buttons"]
        return next((data for data in buttons if data.startswith("https://pay.")), None)

    async def sees_link(self, who: int) -> bool:
        """Wait for the payment page; False when none comes."""
        waiting = self.listener.expect(
            who, lambda record: any("https://pay." in b for b in record["buttons"])
        )
        if self.link(who) is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiting, PATIENCE_SECONDS)
        return self.link(who) is not None

    async def _send(self, who: int, event: Record) -> float:
        number = next(self._update_ids)
        if "callback_query" in event:
            event["callback_query"]["id"] = str(number)
        started = time.monotonic()
        shown = self.listener.expect(who, lambda record: record["at"] >= started and _is_shown(record))
        try:
            await self._post({"update_id": number, **event})
            record = await asyncio.wait_for(shown, PATIENCE_SECONDS)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.lost[type(error).__name__] += 1
            return float("nan")
        seconds: float = record["at"] - started
        return seconds

    async def _post(self, update: Record) -> None:
        """Bring an update; a call in the webhook's answer is carried out, as Telegram does."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
        async with self.http.post(self.bot, json=update, headers=headers) as answer:
            body = await answer.read()
            if answer.status != 200:  # noqa: PLR2004 -- the protocol
                self.lost[f"http {answer.status}"] += 1
        call = json.loads(body) if body.startswith(b"{") else {}
        if method := call.pop("method", None):
            async with self.http.post(f"{self.telegram}/bot1:bench/{method}", json=call) as done:
                await done.read()


def _is_shown(record: Record) -> bool:
    return str(record["method"]).startswith(("send", "edit"))


def _message(who: int, text: str) -> Record:
    person = {"id": who, "is_bot": False, "first_name": f"User{who}", "language_code": "ru"}
    message: Record = {
        "message_id": 1,
        "date": int(time.time()),
        "chat": {"id": who, "type": "private", "first_name": f"User{who}"},
        "from": person,
        "text": text,
    }
    if text.startswith("/"):
        message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text)}]
    return message


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    )
