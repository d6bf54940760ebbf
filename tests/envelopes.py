"""A server for Sentry's protocol that keeps what it is sent, as far as the SDK can tell."""

import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from getpro.sandbox.serving import serving


@dataclass
class Envelopes:
    """What has come; ``events`` are the events in it."""

    dsn: str = ""
    raw: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.raw.append(body.decode())
        _, *rest = body.split(b"\n")
        while rest and rest[0]:
            kind, item, *rest = rest
            self.kinds.append(json.loads(kind)["type"])
            if self.kinds[-1] == "event":
                self.events.append(json.loads(item))
        return web.json_response({"id": "0" * 32})


@contextlib.asynccontextmanager
async def envelopes() -> AsyncIterator[Envelopes]:
    """The server while the block runs."""
    here, app = Envelopes(), web.Application()
    app.router.add_post("/api/7/envelope/", here.take)
    async with serving(app) as url:
        here.dsn = f"{url.replace('://', '://' + 'f' * 32 + '@')}/7"
        yield here
