"""Alertmanager's door: what fires and what is over become signals of incidents."""

import hmac
from datetime import datetime
from typing import Final

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from getpro.incidents.signals import Outcome, Signal, raise_signal, signal_over
from getpro.incidents.states import Level, Source
from getpro.platform.metrics import WEBHOOKS
from getpro.webhooks.bodies import BadBody, BodyTooLong, json_object, read_body
from getpro.webhooks.deps import Doors

log = structlog.get_logger(__name__)

_FIRING: Final = "firing"
_ABOUT: Final = ("check", "routine")
"""Labels that name what the routines tell of by themselves."""


class Alert(BaseModel):
    """One alert of a notification. Source: https://prometheus.io/docs/alerting, webhook payload version 4."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: datetime  # noqa: N815 -- the protocol's names
    fingerprint: str

    @property
    def is_firing(self) -> bool:
        return self.status == _FIRING

    @property
    def level(self) -> Level:
        """A rule that does not say is taken seriously."""
        severity = self.labels.get("severity", "")
        return Level(severity) if severity in list(Level) else Level.L2


class Notification(BaseModel):
    status: str
    groupKey: str | None = None  # noqa: N815
    alerts: list[Alert]


async def alertmanager(request: Request) -> Response:
    """``POST /webhooks/alertmanager``: 200 once what it says is written down, 401 for a wrong token.

    409 where some of what it says was told to be over before, the rest written down all the same: somebody
    plays an old call once more. Should Alertmanager mean it, that is a failed notification to it, of which
    we hear past the shop.
    """
    doors: Doors = request.app.state.doors
    if doors.alerts_token is None or doors.incidents is None:
        return PlainTextResponse("no such door", status_code=404)
    wanted = f"Bearer {doors.alerts_token.get_secret_value()}"
    if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted.encode()):
        return doors.refuse(request, "alertmanager", "secret", 401)
    try:
        told = Notification.model_validate(json_object(await read_body(request)))
    except BodyTooLong:
        return doors.refuse(request, "alertmanager", "size", 413)
    except (BadBody, ValidationError):
        return doors.refuse(request, "alertmanager", "form", 400)
    structlog.contextvars.bind_contextvars(door="alertmanager")
    outcomes: list[Outcome] = []
    # The gravest opens the incident: those that join it then call nobody.
    firing = sorted((one for one in told.alerts if one.is_firing), key=lambda one: one.level, reverse=True)
    over = [one for one in told.alerts if not one.is_firing]
    async with doors.alerts_at_once, doors.incidents.db.begin("alerts") as session:
        for one in over:
            began_at = one.startsAt
            await signal_over(
                session, doors.incidents, Source.ALERTMANAGER, one.fingerprint, began_at=began_at
            )
        outcomes = [await raise_signal(session, doors.incidents, _signal(one, told)) for one in firing]
    if Outcome.STALE in outcomes:
        return doors.refuse(request, "alertmanager", "replay", 409)
    log.info("alerts.told", status=told.status, alerts=len(told.alerts), is_news=Outcome.OPENED in outcomes)
    WEBHOOKS.labels("alertmanager", "taken").inc()
    return PlainTextResponse("ok")


def _signal(one: Alert, told: Notification) -> Signal:
    about = next((f"{label}:{one.labels[label]}" for label in _ABOUT if label in one.labels), None)
    return Signal(
        source=Source.ALERTMANAGER,
        fingerprint=one.fingerprint,
        level=one.level,
        title=one.annotations.get("summary") or one.labels.get("alertname", "?"),
        began_at=one.startsAt,
        group_key=told.groupKey,
        about=about,
        runbook=one.annotations.get("runbook_url"),
        details={"labels": one.labels},
    )
