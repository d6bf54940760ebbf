"""The panel's webhooks: signed over the raw body, tried four times, never in a promised order."""

import asyncio
import contextlib
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

import aiohttp

from getpro.sandbox.faults import FaultSwitches
from getpro.sandbox.notices import spread
from getpro.sandbox.panel.moments import iso


def signature(secret: str, raw: bytes) -> str:
    """What stands in ``X-Remnawave-Signature`` for the body ``raw``."""
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


class Webhooks:
    """Sends events while its session is open; ``pause_seconds`` is 5 on the real panel."""

    def __init__(
        self, url: str | None, secret: str, *, faults: FaultSwitches, pause_seconds: float = 5
    ) -> None:
        self.url = url
        self._secret = secret
        self._pause = pause_seconds
        self._faults = faults
        self._session: aiohttp.ClientSession | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))

    async def close(self) -> None:
        for task in list(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def send(self, event: str, data: dict[str, Any], at: datetime) -> None:
        if self.url is None or self._session is None:
            return
        stamp = iso(at)
        scope = event.partition(".")[0]
        body = {"scope": scope, "event": event, "timestamp": stamp, "data": data}
        if scope == "user":
            body["meta"] = None
        raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        for delay in spread(self._faults.now):
            task = asyncio.create_task(self._deliver(raw, str(stamp), delay))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _deliver(self, raw: bytes, stamp: str, delay: float) -> None:
        await asyncio.sleep(delay)
        for _ in range(4):
            status = await self._post(raw, stamp, self._secret)
            if status is not None and status < 400:
                return
            await asyncio.sleep(self._pause)

    async def forge(self, raw: bytes, at: datetime) -> int | None:
        """Send ``raw``, signed with a wrong secret; the answer's status, None where there is no answer."""
        return await self._post(raw, str(iso(at)), f"not {self._secret}")

    async def _post(self, raw: bytes, stamp: str, secret: str) -> int | None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Remnawave",
            "X-Remnawave-Timestamp": stamp,
            "X-Remnawave-Signature": signature(secret, raw),
        }
        if self._session is None or self.url is None:
            return None
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.post(self.url, data=raw, headers=headers) as response:
                return response.status
        return None
