"""A real web server in front of a test's shop, and somebody who knocks."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import uvicorn

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

    async def post(self, path: str, body: bytes | dict[str, Any], **headers: str) -> int:
        raw = json.dumps(body).encode() if isinstance(body, dict) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.url + path, data=io.BytesIO(raw), headers=named) as response:
            await response.read()
            return response.status

    async def get(self, path: str) -> int:
        async with self.session.get(self.url + path) as response:
            return response.status


@contextlib.asynccontextmanager
async def open_doors(doors: Doors) -> AsyncIterator[Knocker]:
    """Serve the doors on a free port while the block runs."""
    server = QuietServer(
        uvicorn.Config(
            make_app(doors),
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
    port = server.servers[0].sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as session:
        yield Knocker(session, f"http://127.0.0.1:{port}", doors)
    server.should_exit = True
    await task
