"""A proxy in front of a service that answers with a page of its own, in its own letters."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from getpro.sandbox.serving import serving


class Gateway:
    """Counts who comes; every answer is its page."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.Response(
            status=502, body="<h1>Шлюз не отвечает</h1>".encode("cp1251"), content_type="text/html"
        )


@contextlib.asynccontextmanager
async def sick_gateway() -> AsyncIterator[tuple[str, Gateway]]:
    """Its address and itself, while the block runs."""
    gateway, app = Gateway(), web.Application()
    app.router.add_route("*", "/{path:.*}", gateway.answer)
    async with serving(app) as url:
        yield url, gateway
