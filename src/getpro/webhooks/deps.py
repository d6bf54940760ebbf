"""What the doors for notices need."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from getpro.incidents.deps import Deps as IncidentsDeps
from getpro.platform.metrics import WEBHOOKS
from getpro.platform.settings import Network
from getpro.sales.deps import Deps
from getpro.webhooks.addresses import of_request
from getpro.webhooks.refusals import Refusals

log = structlog.get_logger(__name__)

HandleUpdate = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]
"""Feeds an update to the bot and gives the body of the webhook's answer, if the bot has one."""


@dataclass(frozen=True, slots=True)
class Doors:
    sales: Deps
    handle_update: HandleUpdate
    telegram_secret: SecretStr
    panel_secret: SecretStr | None
    trusted_proxies: list[Network]
    alerts_token: SecretStr | None = None
    """What Alertmanager shows; None: its door is shut."""
    incidents: IncidentsDeps | None = None
    """What becomes of alerts; None: there is no such door."""
    alerts_at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Of a storm only so many calls wait for each other, and the rest of the shop has its connections."""

    refusals: Refusals = field(default_factory=Refusals)

    def refuse(self, request: Request, door: str, reason: str, status: int) -> Response:
        """Count and log a refusal with where it came from, and say so: nothing was changed."""
        WEBHOOKS.labels(door, reason).inc()
        address = of_request(request, self.trusted_proxies)
        peer = request.client.host if request.client else "unknown"
        # Behind a proxy of ours that tells nobody's address, the peer says which proxy it is.
        where = str(address) if address is not None else "unknown"
        self.refusals.note(door, reason, where, now=self.sales.clock())
        log.warning("webhook.refused", door=door, reason=reason, address=where, peer=peer)
        return PlainTextResponse(f"refused: {reason}", status_code=status)
