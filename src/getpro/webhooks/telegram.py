"""Telegram's door. An update with money in it is stored before anything else looks at it."""

import hmac
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from getpro.kit.numbers import BIGGEST_BIGINT
from getpro.messaging.store import mark_update
from getpro.payments.provider import Notice
from getpro.payments.providers.stars.provider import Stars, notice_in
from getpro.platform.metrics import WEBHOOKS
from getpro.webhooks.bodies import BadBody, BodyTooLong, json_object, read_body
from getpro.webhooks.deps import Doors
from getpro.webhooks.notices import accept

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 -- the header's name


async def telegram_update(request: Request) -> Response:
    """``POST /webhooks/telegram``: the answer may carry the bot's reply as a method call.

    401 for a wrong secret; 503 while the database is away, so that Telegram sends the update again.
    Every other failure is the bot's own and answered 200: a poison update never blocks a chat.
    """
    doors: Doors = request.app.state.doors
    given = request.headers.get(SECRET_HEADER, "")
    if not hmac.compare_digest(given.encode(), doors.telegram_secret.get_secret_value().encode()):
        return doors.refuse(request, "telegram", "secret", 401)
    try:
        body = await read_body(request)
        update = json_object(body)
    except BodyTooLong:
        return doors.refuse(request, "telegram", "size", 413)
    except BadBody:
        return doors.refuse(request, "telegram", "form", 400)
    update_id = update.get("update_id")
    # What no table takes would be sent again for ever.
    if not isinstance(update_id, int) or abs(update_id) > BIGGEST_BIGINT:
        return doors.refuse(request, "telegram", "form", 400)
    # For the rest of the request, which has a context of its own: also for what the server says of it.
    structlog.contextvars.bind_contextvars(door="telegram", update_id=update_id)
    reply = await take(doors, update, body)
    WEBHOOKS.labels("telegram", "taken").inc()
    return Response() if reply is None else JSONResponse(reply)


async def take(doors: Doors, update: dict[str, Any], body: bytes) -> dict[str, Any] | None:
    """Store the money in an update, or have the bot handle it and return its reply.

    Raises what says that the database is away; Telegram must then give the update again.
    """
    if money := notice_in(update):
        await _store_money(doors, update["update_id"], money, body)
        return None
    return await doors.handle_update(update)


async def _store_money(doors: Doors, update_id: int, notice: Notice, body: bytes) -> None:
    async with doors.sales.db.begin("stars notice") as session:
        await mark_update(session, update_id, now=doors.sales.clock())
        await accept(session, doors.sales, provider=Stars.code, notice=notice, body=body)
