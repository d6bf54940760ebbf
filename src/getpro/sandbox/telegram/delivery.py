"""How updates reach the bot: by webhook, in the order of each chat, or by long polling."""

import asyncio
import contextlib
import json
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from getpro.sandbox.faults import FaultSwitches
from getpro.sandbox.notices import spread
from getpro.sandbox.serving import require_loopback_url
from getpro.sandbox.telegram import parameters
from getpro.sandbox.telegram.errors import Refusal, bad
from getpro.sandbox.timeline import NO_ANSWER, SHOP, Timeline, short

EXPIRES_SECONDS = 24 * 3600
LONGEST_PAUSE_SECONDS = (60, 120)
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 -- a header's name
Reply = Callable[[dict[str, Any]], Awaitable[None]]


class Delivery:
    """Queues of updates. A failing one holds up its own chat and nobody else."""

    def __init__(
        self,
        *,
        faults: FaultSwitches,
        on_reply: Reply,
        retry_scale: float,
        time_of_day: Callable[[], float],
        timeline: Timeline,
    ) -> None:
        """``retry_scale`` shortens the pauses; ``on_reply`` carries out a method call in the answer."""
        self.url = ""
        self.secret = ""
        self.max_connections = 40
        self.allowed: list[str] | None = None
        self.last_error: tuple[int, str] | None = None
        self._faults = faults
        self._on_reply = on_reply
        self._retry_scale = retry_scale
        self._time_of_day = time_of_day
        self._timeline = timeline
        self._queues: dict[int, deque[dict[str, Any]]] = {}
        self._actors: dict[int, asyncio.Task[None]] = {}
        self._waiting: deque[dict[str, Any]] = deque()
        self._came = asyncio.Event()
        self._poller = 0
        self._poll_ended_by = ""
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(self.max_connections)
        self._changed = asyncio.Event()

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    async def close(self) -> None:
        actors = list(self._actors.values())
        for actor in actors:
            actor.cancel()
        await asyncio.gather(*actors, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    @property
    def pending(self) -> int:
        return len(self._waiting) + sum(len(queue) for queue in self._queues.values())

    def set_webhook(
        self, url: str, secret: str, max_connections: int, allowed: list[str] | None, *, drop: bool
    ) -> None:
        """Send everything to ``url`` from now on, with ``drop`` only what is new; raises Refusal."""
        if not set(secret) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"):
            raise bad("secret token contains unallowed characters")
        if len(secret) > 256:
            raise bad("secret token is too long")
        try:
            require_loopback_url(url)
        except ValueError as error:
            raise bad(f"bad webhook: {error}") from None
        if drop:
            self.delete_webhook(drop=True)
        self.url, self.secret = url, secret
        self._end_poll("setWebhook request")
        if allowed is not None:
            self.allowed = allowed
        if max_connections != self.max_connections:
            self.max_connections, self._slots = max_connections, asyncio.Semaphore(max_connections)
        self._changed.set()
        self._changed = asyncio.Event()
        while self._waiting:
            update = self._waiting.popleft()
            self._put(_queue_of(update), update)

    def delete_webhook(self, *, drop: bool) -> None:
        self.url = ""
        for actor in self._actors.values():
            actor.cancel()
        self._actors.clear()
        left = [update for queue in self._queues.values() for update in queue]
        self._queues.clear()
        if not drop:
            self._waiting.extend(sorted(left, key=lambda update: update["update_id"]))
        else:
            self._waiting.clear()

    def add(self, update: dict[str, Any]) -> None:
        """A new update: to the webhook's queue of its chat, or to those who poll."""
        kind = next(name for name in update if name != "update_id")
        if self.allowed and kind not in self.allowed:
            return
        if not self.url:
            self._waiting.append(update)
            self._came.set()
            return
        for _ in spread(self._faults.now):
            self._put(_queue_of(update), update)

    async def poll(
        self,
        offset: int,
        limit: int,
        timeout: int,  # noqa: ASYNC109 -- the protocol's own parameter
        allowed: list[str] | None,
    ) -> list[dict[str, Any]]:
        """``getUpdates``; raises Refusal 409 beside a webhook and for the poller that was overtaken."""
        if self.url:
            conflict = "can't use getUpdates method while webhook is active"
            raise Refusal(f"Conflict: {conflict}; use deleteWebhook to delete the webhook first", 409)
        self._end_poll("other getUpdates request; make sure that only one bot instance is running")
        mine = self._poller
        if allowed is not None:
            self.allowed = allowed
        while offset > 0 and self._waiting and self._waiting[0]["update_id"] < offset:
            self._waiting.popleft()
        while offset < 0 and len(self._waiting) > -offset:
            self._waiting.popleft()
        deadline = time.monotonic() + min(timeout, 50)
        while not self._waiting and time.monotonic() < deadline:
            self._came.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), deadline - time.monotonic())
            if self._poller != mine:
                raise Refusal(f"Conflict: terminated by {self._poll_ended_by}", 409)
        fetched = list(self._waiting)[: min(max(limit, 1), 100)]
        for update in fetched:
            self._note(update, "забрано", is_good=True)
        return fetched

    def _end_poll(self, by: str) -> None:
        """Whoever waits for updates is told that ``by`` has taken over."""
        self._poller += 1
        self._poll_ended_by = by
        self._came.set()

    async def forge(self, raw: bytes) -> int | None:
        """Knock at the webhook without knowing its secret; the answer's status, None without an answer."""
        assert self._session is not None
        if not self.url:
            raise Refusal("there is no webhook", 404)
        headers = {"Content-Type": "application/json", SECRET_HEADER: "forged"}
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.post(self.url, data=raw, headers=headers) as response:
                return response.status
        return None

    def _put(self, key: int, update: dict[str, Any]) -> None:
        self._queues.setdefault(key, deque()).append(update)
        if key not in self._actors:
            self._actors[key] = asyncio.create_task(self._send_queue(key))

    async def _send_queue(self, key: int) -> None:
        queue = self._queues[key]
        while queue:
            await self._send_until_taken(queue[0])
            queue.popleft()
        del self._queues[key], self._actors[key]

    async def _send_until_taken(self, update: dict[str, Any]) -> None:
        """First failure: again at once; then after 1, 2, 4 … seconds, up to one or two minutes."""
        born, pause = time.monotonic(), 0.0  # tries take real time, also when the clock is moved
        while time.monotonic() - born < EXPIRES_SECONDS:
            async with self._slots:
                asked_to_wait = await self._send(update)
            if asked_to_wait is None:
                return
            with contextlib.suppress(TimeoutError):
                # A webhook that was set anew is tried at once.
                wait = (asked_to_wait or pause) * self._retry_scale
                await asyncio.wait_for(self._changed.wait(), max(wait, 0.01))
            pause = min(pause * 2 or 1.0, random.uniform(*LONGEST_PAUSE_SECONDS))

    async def _send(self, update: dict[str, Any]) -> float | None:
        """Send once: None when it was taken, else the seconds that the bot asked to wait (0: none)."""
        assert self._session is not None
        headers = {"Content-Type": "application/json"}
        if self.secret:
            headers[SECRET_HEADER] = self.secret
        began = time.monotonic()
        try:
            async with self._session.post(
                self.url, data=json.dumps(update), headers=headers, allow_redirects=False
            ) as response:
                is_taken = 200 <= response.status < 300
                reply = await _reply(response) if is_taken else {}
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.last_error = (int(self._time_of_day()), type(error).__name__)
            self._note(update, NO_ANSWER, is_good=False, seconds=time.monotonic() - began)
            return 0
        self._note(update, str(response.status), is_good=is_taken, seconds=time.monotonic() - began)
        if not is_taken:
            said = f"Wrong response from the webhook: {response.status} {response.reason}"
            self.last_error = (int(self._time_of_day()), said)
            after = response.headers.get("Retry-After", "0")
            return min(float(after), 3600) if after.isdecimal() else 0
        if "method" in reply:
            await self._on_reply(reply)
        return None

    def _note(
        self, update: dict[str, Any], outcome: str, *, is_good: bool, seconds: float | None = None
    ) -> None:
        event = next(value for name, value in update.items() if name != "update_id")
        who = str(event["from"]["first_name"])
        self._timeline.add("update", who, SHOP, _words(update), outcome, is_good=is_good, seconds=seconds)


async def _reply(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The call in the answer; one that cannot be read is none."""
    with contextlib.suppress(ValueError, Refusal):
        return await parameters.of_answer(response)
    return {}


def _words(update: dict[str, Any]) -> str:
    """What somebody did, in a few words."""
    kind, event = next((name, value) for name, value in update.items() if name != "update_id")
    if kind == "callback_query":
        rows = event.get("message", {}).get("reply_markup", {}).get("inline_keyboard", [])
        labels = [b["text"] for row in rows for b in row if b.get("callback_data") == event["data"]]
        return f"нажимает «{short(labels[0] if labels else event['data'])}»"
    if kind == "pre_checkout_query":
        return f"хочет заплатить ⭐ {event['total_amount']}"
    if event["chat"]["type"] != "private":
        return _words_in_group(event)
    if kind == "my_chat_member":
        return "блокирует бота" if event["new_chat_member"]["status"] == "kicked" else "возвращается к боту"
    if "successful_payment" in event:
        return f"заплачено ⭐ {event['successful_payment']['total_amount']}"
    return f"пишет «{short(event.get('text', ''))}»"


def _words_in_group(event: dict[str, Any]) -> str:
    where = f"группа «{short(event['chat']['title'])}»"
    if "text" in event:
        return f"{where}: «{short(event['text'])}»"
    if "new_chat_member" in event:
        return f"{where}: бот {'удалён' if event['new_chat_member']['status'] == 'kicked' else 'добавлен'}"
    return f"{where}: состав изменился"


def _queue_of(update: dict[str, Any]) -> int:
    """The chat or person whose order counts."""
    event = next(value for name, value in update.items() if name != "update_id")
    owner = event.get("chat") or event.get("from") or {}
    return int(owner.get("id", 0))
