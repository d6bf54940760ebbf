"""A real web server in front of a test's shop, and somebody who knocks."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uvicorn
from starlette.types import ASGIApp

from getpro.platform.metrics import WEBHOOKS
from getpro.webhooks.app import make_app
from getpro.webhooks.deps import Doors


class QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@dataclass
class Knocker:
    """Sends requests to the doors and tells how they were answered."""

    session: aiohttp.ClientSession
    url: str
    doors: Doors
    _before: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = _webhooks()

    @property
    def counted(self) -> dict[str, float]:
        """What was taken or refused since the doors are open, e.g. ``yookassa: address``."""
        now = _webhooks()
        return {what: count - self._before.get(what, 0) for what, count in now.items()}

    async def post(self, path: str, body: bytes | dict[str, Any], **headers: str) -> int:
        raw = json.dumps(body).encode() if isinstance(body, dict) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.url + path, data=io.BytesIO(raw), headers=named) as response:
            await response.read()
            return response.status

    async def get(self, path: str) -> int:
        async with self.session.get(self.url + path) as response:
            return response.status


def _webhooks() -> dict[str, float]:
    samples = next(iter(WEBHOOKS.collect())).samples
    return {
        f"{sample.labels['door']}: {sample.labels['result']}": sample.value
        for sample in samples
        if sample.name.endswith("_total")
    }


@contextlib.asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application on a free port while the block runs."""
    server = QuietServer(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_config=None,
            lifespan="off",
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await task


@contextlib.asynccontextmanager
async def open_doors(doors: Doors) -> AsyncIterator[Knocker]:
    """Serve the shop's doors while the block runs."""
    async with serve(make_app(doors)) as url, aiohttp.ClientSession() as session:
        yield Knocker(session, url, doors)
