"""The door for payment providers: check what is local, keep it raw, defer settling, answer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import structlog
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from getpro.payments import inbox
from getpro.payments.provider import Knock, Notice, NoticeRefused
from getpro.platform.database import Session
from getpro.platform.jobs import deferring
from getpro.platform.metrics import WEBHOOKS
from getpro.platform.prepared import Prepared
from getpro.sales.deps import Deps
from getpro.sales.names import SETTLE
from getpro.webhooks.addresses import of_request
from getpro.webhooks.bodies import BodyTooLong, read_body
from getpro.webhooks.deps import Doors

_KEPT: Final = inbox.REMEMBERED.c
_ACCEPT: Final = Prepared(
    select(
        deferring(
            SETTLE,
            lock=func.concat("settle:", _KEPT.provider, ":", _KEPT.object_id),
            arguments=func.jsonb_build_object("event_id", _KEPT.event_id),
        )
    ).where(_KEPT.handled_at.is_(None))
)


async def accept(
    session: Session,
    deps: Deps,
    *,
    provider: str,
    notice: Notice,
    body: bytes,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Keep a notice and defer settling it in the same statement; a step.

    Seen is not handled: an early or forged notice must not block the true one that looks the same.
    """
    came = inbox.as_it_came(provider=provider, notice=notice, body=body, headers=headers, now=deps.clock())
    await _ACCEPT.run(session, **came)


async def provider_notice(request: Request) -> Response:
    """``POST /webhooks/{provider}``: 200 once the notice is stored, a clear refusal otherwise."""
    doors: Doors = request.app.state.doors
    code = request.path_params["provider"]
    if (provider := doors.sales.providers.by_code.get(code)) is None:
        return PlainTextResponse("no such provider", status_code=404)
    try:
        knock = Knock(
            body=await read_body(request),
            headers=dict(request.headers),
            address=of_request(request, doors.trusted_proxies),
        )
        notice = provider.read(knock)
    except BodyTooLong:
        return doors.refuse(request, code, "size", 413)
    except NoticeRefused as error:
        return doors.refuse(request, code, error.reason, error.status)
    structlog.contextvars.bind_contextvars(door=code, charge_id=notice.object_id)
    async with doors.sales.db.alone("notice") as session:
        await accept(
            session, doors.sales, provider=code, notice=notice, body=knock.body, headers=knock.headers
        )
    WEBHOOKS.labels(code, "taken").inc()
    return PlainTextResponse("ok")
