"""YooKassa's notices: unsigned, repeated with growing pauses until answered 200, for a day."""

import asyncio
import contextlib
import json
from typing import Any

import aiohttp

from getpro.sandbox.faults import FaultSwitches
from getpro.sandbox.notices import spread
from getpro.sandbox.providers.yookassa.errors import Problem

PAUSES_SECONDS = (1, 5, 30, 120, 600, 3600, 6 * 3600, 14 * 3600)


class Notices:
    """Sends notices while open. ``retry_scale`` shortens the pauses; the shop's proxy is played too."""

    def __init__(
        self, url: str | None, *, faults: FaultSwitches, retry_scale: float, forwarded_for: str
    ) -> None:
        self.url = url
        self.sent = 0
        self.accepted = 0
        self._faults = faults
        self._retry_scale = retry_scale
        self._forwarded_for = forwarded_for
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

    def send(self, event: str, item: dict[str, Any], *, copies: int | None = None) -> None:
        """Start sending; the body is the object as it is at this moment."""
        if self.url is None or self._session is None:
            return
        raw = json.dumps({"type": "notification", "event": event, "object": item}).encode()
        for delay in spread(self._faults.now) if copies is None else [0.0] * copies:
            task = asyncio.create_task(self._deliver(raw, delay))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _deliver(self, raw: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        for pause in (*PAUSES_SECONDS, None):
            if await self.post(raw) or pause is None:
                return
            await asyncio.sleep(pause * self._retry_scale)

    async def post(self, raw: bytes) -> bool:
        """Send once; whether it was answered 200. Raises Problem where no address is set."""
        assert self._session is not None
        if self.url is None:
            raise Problem("No address for notices is set", status=404)
        self.sent += 1
        headers = {"Content-Type": "application/json", "X-Forwarded-For": self._forwarded_for}
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.post(
                self.url, data=raw, headers=headers, allow_redirects=False
            ) as response:
                self.accepted += response.status == 200
                return response.status == 200
        return False
