"""Fault switches that every simulator has: away, slow, 500s, lost answers; notices lost, doubled, shuffled.

Switched by ``POST /_sandbox/faults`` with the fields of :class:`Faults` (missing ones keep their value),
read by ``GET``, all off by ``DELETE``. Control calls under ``/_sandbox`` never fail.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

CONTROL_PREFIX = "/_sandbox"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Faults(BaseModel):
    """What goes wrong now. Rates are shares from 0 to 1; seconds may be fractions."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    only: str = ""
    """Only requests whose path contains this text are touched; empty touches all."""
    away: bool = False
    """The connection is closed without an answer and nothing is done."""
    slow_seconds: float = Field(default=0, ge=0, le=600)
    """Half of it passes before the work, half after."""
    error_rate: float = Field(default=0, ge=0, le=1)
    error_status: int = Field(default=500, ge=202, le=599)
    lose_answer_rate: float = Field(default=0, ge=0, le=1)
    """The work is done, then the connection is closed without an answer."""
    too_many_requests_rate: float = Field(default=0, ge=0, le=1)
    """Answered 429 in the service's own words; nothing is done."""
    notices_lost_rate: float = Field(default=0, ge=0, le=1)
    notice_copies: int = Field(default=1, ge=1, le=50)
    notices_shuffled_seconds: float = Field(default=0, ge=0, le=600)
    """Each notice waits a random time up to this, so that they overtake one another."""


class FaultSwitches:
    """Holds the present :class:`Faults`; its middleware applies them, its routes change them."""

    def __init__(self, error_body: Callable[[int], Any]) -> None:
        """``error_body`` gives the JSON that the imitated service sends with an error status."""
        self.now = Faults()
        self._error_body = error_body

    def install(self, app: web.Application) -> None:
        """Add the middleware and the ``/_sandbox/faults`` routes to ``app``."""
        app.middlewares.append(self._middleware)
        app.router.add_get(f"{CONTROL_PREFIX}/faults", self._show)
        app.router.add_post(f"{CONTROL_PREFIX}/faults", self._change)
        app.router.add_delete(f"{CONTROL_PREFIX}/faults", self._clear)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        faults = self.now
        if request.path.startswith(CONTROL_PREFIX) or faults.only not in request.path:
            return await handler(request)
        if faults.away:
            return drop_connection(request)
        if random.random() < faults.too_many_requests_rate:
            return web.json_response(self._error_body(429), status=429)
        if random.random() < faults.error_rate:
            return web.json_response(self._error_body(faults.error_status), status=faults.error_status)
        await asyncio.sleep(faults.slow_seconds / 2)
        answer = await handler(request)
        await asyncio.sleep(faults.slow_seconds / 2)
        if random.random() < faults.lose_answer_rate:
            return drop_connection(request)
        return answer

    def change(self, fields: dict[str, Any]) -> None:
        """Set what is named, leave the rest; raises ValidationError."""
        self.now = Faults.model_validate(self.now.model_dump() | fields)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.now = Faults()

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response(self.now.model_dump())

    async def _change(self, request: web.Request) -> web.Response:
        try:
            self.change(await request.json())
        except (ValidationError, ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self.now.model_dump())

    async def _clear(self, _: web.Request) -> web.Response:
        self.clear()
        return web.json_response(self.now.model_dump())


def drop_connection(request: web.Request) -> web.Response:
    """Close the socket without an HTTP answer, as a destroyed socket or a dead host looks to the client."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
