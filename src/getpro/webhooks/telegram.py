"""Telegram's door. An update with money in it is stored before anything else looks at it."""

import hmac
from ipaddress import ip_address
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from getpro.messaging.store import mark_update
from getpro.payments.provider import Knock, Notice
from getpro.webhooks.bodies import BadBody, BodyTooLong, json_object, read_body
from getpro.webhooks.deps import Doors
from getpro.webhooks.notices import accept

log = structlog.get_logger(__name__)

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 -- the header's name
_MONEY_EVENTS = ("successful_payment", "refunded_payment")


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
    if not isinstance(update_id, int):
        return doors.refuse(request, "telegram", "form", 400)
    return await _take(doors, update, update_id, body)


async def _take(doors: Doors, update: dict[str, Any], update_id: int, body: bytes) -> Response:
    try:
        if money := _money(update):
            await _store_money(doors, update_id, money, body)
            return Response()
        reply = await doors.handle_update(update)
    except (SQLAlchemyError, PoolTimeout, OSError):
        log.exception("webhook.database_away", update_id=update_id)
        return PlainTextResponse("try again", status_code=503)
    return Response() if reply is None else JSONResponse(reply)


def _money(update: dict[str, Any]) -> Notice | None:
    """The notice inside an update that brings (or takes back) Stars, else None."""
    message = update.get("message")
    if not isinstance(message, dict):
        return None
    for event in _MONEY_EVENTS:
        paid = message.get(event)
        if isinstance(paid, dict) and isinstance(paid.get("telegram_payment_charge_id"), str):
            return Notice(object_id=paid["telegram_payment_charge_id"], event=event)
    return None


async def _store_money(doors: Doors, update_id: int, notice: Notice, body: bytes) -> None:
    knock = Knock(body=body, headers={}, address=ip_address("127.0.0.1"))
    async with doors.sales.db.begin("stars notice") as session:
        await mark_update(session, update_id, now=doors.sales.clock())
        await accept(session, doors.sales, provider="stars", notice=notice, knock=knock)
