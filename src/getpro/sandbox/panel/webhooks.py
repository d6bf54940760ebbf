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
        assert self._session is not None
        assert self.url is not None
        await asyncio.sleep(delay)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Remnawave",
            "X-Remnawave-Timestamp": stamp,
            "X-Remnawave-Signature": signature(self._secret, raw),
        }
        for _ in range(4):
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with self._session.post(self.url, data=raw, headers=headers) as response:
                    if response.ok:
                        return
            await asyncio.sleep(self._pause)
