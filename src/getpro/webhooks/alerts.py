"""Alertmanager's door: what fires and what is over is told to the operators' chat."""

import hashlib
import hmac
from datetime import datetime
from html import escape
from typing import Any, Final

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from getpro.operations import chat
from getpro.operations.monitoring import RUNBOOKS, dashboard
from getpro.platform.metrics import WEBHOOKS
from getpro.webhooks.bodies import BadBody, BodyTooLong, json_object, read_body
from getpro.webhooks.deps import Doors

log = structlog.get_logger(__name__)

_FIRING: Final = "firing"
_LIGHTS: Final = {"L1": "🟡", "L2": "🔴", "L3": "🚨"}
_SHOWN: Final = 10
_LONGEST_SUMMARY: Final = 250
"""So that ten of them, and what is over, fit into a message."""


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


class Notification(BaseModel):
    status: str
    alerts: list[Alert]


async def alertmanager(request: Request) -> Response:
    """``POST /webhooks/alertmanager``: 200 once what it says is written down, 401 for a wrong token.

    What was told before, in the same state, is not told again.
    """
    doors: Doors = request.app.state.doors
    if doors.alerts_token is None:
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
    now = doors.sales.clock()
    async with doors.sales.db.begin("alerts") as session:
        words = as_message(told, what_to_do=dashboard(doors.grafana_url, RUNBOOKS))
        is_news = await chat.say(session, doors.sales.jobs, key=_key(told), text=words, now=now)
    log.info("alerts.told", status=told.status, alerts=len(told.alerts), is_news=is_news)
    WEBHOOKS.labels("alertmanager", "taken").inc()
    return PlainTextResponse("ok")


def _key(told: Notification) -> str:
    """The same for the same alerts in the same state, in whatever order."""
    states = sorted((one.fingerprint, one.startsAt.isoformat(), one.status) for one in told.alerts)
    return f"alerts:{hashlib.sha256(repr(states).encode()).hexdigest()}"


def as_message(told: Notification, *, what_to_do: str | None = None) -> str:
    """HTML for Telegram: what fires first, the gravest before the others; each with its runbook.

    ``what_to_do`` is where the runbooks are read in a browser; without it their files are named.
    """
    firing = sorted((one for one in told.alerts if one.is_firing), key=_gravity, reverse=True)
    over = [one for one in told.alerts if not one.is_firing]
    lines: list[str] = []
    for one in firing[:_SHOWN]:
        light = _LIGHTS.get(one.labels.get("severity", ""), "🔴")
        level = one.labels.get("severity", "?")
        lines.append(f"{light} <b>{escape(_summary(one))}</b> ({escape(level)})")
        if runbook := one.annotations.get("runbook_url"):
            lines.append(f"   → {escape(runbook)}")
    if len(firing) > _SHOWN:
        lines.append(f"И ещё {len(firing) - _SHOWN}.")
    lines.extend(f"🟢 Прошло: {escape(_summary(one))}" for one in over[:_SHOWN])
    if len(over) > _SHOWN:
        lines.append(f"И ещё прошло {len(over) - _SHOWN}.")
    if firing and what_to_do is not None:
        lines += ["", f'<a href="{escape(what_to_do)}">Что делать</a>']
    return "\n".join(lines)


def _gravity(one: Alert) -> Any:
    return one.labels.get("severity", "")


def _summary(one: Alert) -> str:
    said = one.annotations.get("summary") or one.labels.get("alertname", "?")
    return said if len(said) <= _LONGEST_SUMMARY else f"{said[:_LONGEST_SUMMARY]}…"
