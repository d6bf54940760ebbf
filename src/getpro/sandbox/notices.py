"""Notices of the simulators: repeated until answered 200, and how they go wrong on their way."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from getpro.sandbox.faults import Faults, FaultSwitches
from getpro.sandbox.timeline import Timeline


def spread(faults: Faults) -> list[float]:
    """The delays, in seconds, after which the copies of one notice are sent; none for a lost one."""
    if random.random() < faults.notices_lost_rate:
        return []
    return [random.uniform(0, faults.notices_shuffled_seconds) for _ in range(faults.notice_copies)]


class Notices:
    """Sends notices to ``url`` while open, each again after each of ``pauses`` until it is taken."""

    def __init__(
        self,
        url: str | None,
        *,
        faults: FaultSwitches,
        pauses: Sequence[float],
        retry_scale: float = 1,
        headers: Callable[[bytes], dict[str, str]],
        is_taken: Callable[[int], bool] = lambda status: status == 200,
        timeline: Timeline,
        who: str,
        about: Callable[[Any], str],
    ) -> None:
        """``pauses`` in seconds, shortened by ``retry_scale``; ``headers`` are made for the raw body.

        ``is_taken`` says with which answers the service is content. Every try stands in ``timeline``,
        sent by ``who``, in the words that ``about`` gives for the parsed body.
        """
        self.url = url
        self.sent = 0
        self.accepted = 0
        self._faults = faults
        self._pauses = [pause * retry_scale for pause in pauses]
        self._headers = headers
        self._is_taken = is_taken
        self._timeline = timeline
        self._who = who
        self._about = about
        self._session: aiohttp.ClientSession | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))

    async def close(self) -> None:
        for task in list(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def send(self, raw: bytes, *, copies: int | None = None) -> None:
        """Start sending; without ``copies`` the fault switches decide how many and when."""
        if self.url is None or self._session is None:
            return
        for delay in spread(self._faults.now) if copies is None else [0.0] * copies:
            task = asyncio.create_task(self._deliver(raw, delay))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _deliver(self, raw: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        for pause in (*self._pauses, None):
            status = await self.post(raw)
            if (status is not None and self._is_taken(status)) or pause is None:
                return
            await asyncio.sleep(pause)

    async def post(self, raw: bytes, *, headers: dict[str, str] | None = None) -> int | None:
        """Send once, with ``headers`` instead of the true ones; the answer's status, None without one."""
        if self.url is None or self._session is None:
            return None
        self.sent += 1
        began, status = time.monotonic(), None
        sent_with = self._headers(raw) if headers is None else headers
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.post(
                self.url,
                data=raw,
                headers={"Content-Type": "application/json", **sent_with},
                allow_redirects=False,
            ) as response:
                status = response.status
        is_good = status is not None and self._is_taken(status)
        self.accepted += is_good
        self._timeline.notice(
            self._who, self._words(raw), status, is_good=is_good, seconds=time.monotonic() - began
        )
        return status

    def _words(self, raw: bytes) -> str:
        try:
            return self._about(json.loads(raw))
        except (ValueError, KeyError, TypeError):  # a forged one need not look like ours
            return "неизвестное уведомление"
