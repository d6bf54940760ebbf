"""The panel's door: its events are hints that something may differ, never orders."""

import hashlib
import hmac

import structlog
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from getpro.panel.models import panel_accounts
from getpro.sales.names import COMPARE
from getpro.webhooks.bodies import BadBody, BodyTooLong, json_object, read_body
from getpro.webhooks.deps import Doors

SIGNATURE_HEADER = "X-Remnawave-Signature"
_HINTS = frozenset({"user.modified", "user.deleted", "user.disabled", "user.revoked", "user.expired"})
"""Events after which the panel may differ from what is wanted; our own calls cause them as well."""


async def panel_event(request: Request) -> Response:
    """``POST /webhooks/panel``: HMAC-SHA256 over the raw bytes; a comparison follows as a job."""
    doors: Doors = request.app.state.doors
    if doors.panel_secret is None:
        return PlainTextResponse("not configured", status_code=404)
    try:
        body = await read_body(request)
    except BodyTooLong:
        return doors.refuse(request, "panel", "size", 413)
    key = doors.panel_secret.get_secret_value().encode()
    expected = hmac.new(key, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get(SIGNATURE_HEADER, "").encode(), expected.encode()):
        return doors.refuse(request, "panel", "signature", 401)
    try:
        event = json_object(body)
    except BadBody:
        return doors.refuse(request, "panel", "form", 400)
    structlog.contextvars.bind_contextvars(door="panel")
    data = event.get("data")
    username = data.get("username") if isinstance(data, dict) else None
    if event.get("event") in _HINTS and isinstance(username, str):
        await _compare_later(doors, username)
    return PlainTextResponse("ok")


async def _compare_later(doors: Doors, username: str) -> None:
    """Defer a comparison, not a delivery: a delivery causes an event itself, and would go on for ever.

    By the name, for what else names a user depends on the panel's version.
    """
    async with doors.sales.db.begin("panel event") as session:
        found = await session.scalars(
            select(panel_accounts.c.subscription_id).where(panel_accounts.c.username == username)
        )
        for number in found.all():
            lock = f"compare:{number}"
            await doors.sales.jobs.defer(session, COMPARE, lock=lock, subscription_id=number)
