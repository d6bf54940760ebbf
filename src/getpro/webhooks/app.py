"""The web application: doors for notices, and whether the shop lives and is ready."""

import asyncio
import time
from dataclasses import dataclass, field

import structlog
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from getpro.incidents.heartbeat import PATH as HEARTBEAT_PATH
from getpro.incidents.heartbeat import is_heard
from getpro.operations.monitoring import DOOR as ALERTS_PATH
from getpro.platform.database import DATABASE_AWAY
from getpro.platform.metrics import WEBHOOKS
from getpro.platform.settings import TELEGRAM_PATH
from getpro.webhooks.alerts import alertmanager
from getpro.webhooks.deps import Doors
from getpro.webhooks.notices import provider_notice
from getpro.webhooks.panel import panel_event
from getpro.webhooks.telegram import telegram_update

log = structlog.get_logger(__name__)

_READY_SECONDS = 4
"""Less than whoever asks has patience for: a frozen database takes connections and answers nothing."""

_HEART_KNOWN_SECONDS = 5


def make_app(doors: Doors) -> FastAPI:
    """Build the application. The doors for notices are plain Starlette routes: they carry the load."""
    app = FastAPI(title="2GETPRO", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.doors = doors
    _count_from_nought(doors)
    app.router.routes.extend(
        [
            Route(TELEGRAM_PATH, telegram_update, methods=["POST"]),
            Route("/webhooks/panel", panel_event, methods=["POST"]),
            Route(ALERTS_PATH, alertmanager, methods=["POST"]),
            Route("/webhooks/{provider}", provider_notice, methods=["POST"]),
        ]
    )

    for kind in DATABASE_AWAY:
        app.add_exception_handler(kind, _come_again)

    @app.get("/health/live")
    async def live() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        try:
            async with asyncio.timeout(_READY_SECONDS), doors.sales.db.read("health") as session:
                await session.execute(text("SELECT 1"))
        except (*DATABASE_AWAY, TimeoutError):
            return JSONResponse({"status": "database away"}, status_code=503)
        return JSONResponse({"status": "ok"})

    heart = _Heart(doors)

    @app.get(HEARTBEAT_PATH)
    async def beats() -> JSONResponse:
        status = await heart.asked()
        return JSONResponse({"status": status}, status_code=200 if status == "ok" else 503)

    return app


@dataclass
class _Heart:
    """Whether the shop gave a sign of life lately; anybody may ask, the database is asked seldom."""

    doors: Doors
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _known: tuple[float, str] = (float("-inf"), "")

    async def asked(self) -> str:
        async with self._turn:
            at, status = self._known
            if time.monotonic() - at > _HEART_KNOWN_SECONDS:
                status = await self._looked()
                self._known = time.monotonic(), status
            return status

    async def _looked(self) -> str:
        sales = self.doors.sales
        try:
            async with asyncio.timeout(_READY_SECONDS), sales.db.read("heartbeat") as session:
                return "ok" if await is_heard(session, now=sales.clock()) else "silent"
        except (*DATABASE_AWAY, TimeoutError):
            return "database away"


def _count_from_nought(doors: Doors) -> None:
    """Of a series that begins with a burst of forged notices, Prometheus would see no growth."""
    WEBHOOKS.labels("telegram", "secret")
    WEBHOOKS.labels("alertmanager", "secret")
    for door in ("panel", *doors.sales.providers.by_code):
        WEBHOOKS.labels(door, "signature")
        WEBHOOKS.labels(door, "address")


async def _come_again(request: Request, error: Exception) -> Response:
    """Whoever brings a notice keeps it and sends it again."""
    log.warning("webhook.database_away", path=request.url.path, error=type(error).__name__)
    return PlainTextResponse("try again", status_code=503)
