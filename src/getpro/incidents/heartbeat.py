"""The dead man's switch: a sign of life while the shop works and can call for help, silence when it does not.

It is a job, so it comes only where the schedule, the queue, a worker and the database do. It is withheld,
too, where the escalation stands or reaches nobody: only whoever misses the sign can call somebody then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr
from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert

from getpro.incidents.deps import Deps
from getpro.incidents.models import heartbeats, incidents, pages
from getpro.incidents.states import IncidentState, PageState
from getpro.platform import http
from getpro.platform.database import Session
from getpro.platform.http import ServiceUnavailable

log = structlog.get_logger(__name__)

SILENT_AFTER: Final = timedelta(minutes=3)
"""Of signs that come every minute."""
PATH: Final = "/health/heartbeat"
"""Where the web door tells whether there was a sign lately."""
LIVE: Final = "/health/live"
_SHOP: Final = "shop"
_STANDS_AFTER: Final = timedelta(minutes=2)
"""The clock of the escalation is looked at every 15 seconds."""
_UNHEARD_AFTER: Final = timedelta(minutes=5)
"""A call that has reached nobody for so long, by any way."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service outside, like Healthchecks, that is asked for its address again and again."""

    url: SecretStr
    door: str | None = None
    """The shop's public address, which must answer; None: it has none."""

    async def hear(self) -> None:
        """As :class:`getpro.incidents.deps.Outside` says; neither address is in what is raised."""
        if self.door is not None:
            await _get("door", self.door + LIVE)
        await _get("heartbeat", self.url.get_secret_value())


async def _get(name: str, url: str) -> None:
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc}"
    service = http.Service(name, host, timeout_seconds=10)
    try:
        answer = await service.call("hear", "GET", url.removeprefix(host))
    finally:
        await service.close()
    if not answer.is_success:
        raise ServiceUnavailable(f"{name}: ответ {answer.status}")


async def beat(deps: Deps) -> str | None:
    """Give a sign of life; a flow, run as a job. Return why none was given, or why it was not taken."""
    now = deps.clock()
    async with deps.db.begin("heartbeat") as session:
        trouble = await _trouble(session, now=now)
        if trouble is None:
            await _mark(session, now=now)
    if trouble is None and deps.outside is not None:
        try:
            await deps.outside.hear()
        except ServiceUnavailable as error:
            trouble = str(error)
    if trouble is not None:
        log.error("heartbeat.withheld", trouble=trouble)
    return trouble


async def _trouble(session: Session, *, now: datetime) -> str | None:
    is_open = incidents.c.state == IncidentState.OPEN
    stands = select(incidents.c.incident_id).where(is_open, incidents.c.next_step_at < now - _STANDS_AFTER)
    if await session.scalar(stands.limit(1)) is not None:
        return "часы инцидентов стоят"
    is_heard = exists().where(
        pages.c.incident_id == incidents.c.incident_id,
        pages.c.state == PageState.SENT,
        pages.c.sent_at >= incidents.c.called_at,
    )
    unheard = select(incidents.c.incident_id).where(
        is_open,
        incidents.c.called_at < now - _UNHEARD_AFTER,
        func.coalesce(incidents.c.snoozed_until, now) <= now,
        ~is_heard,
    )
    if (number := await session.scalar(unheard.limit(1))) is not None:
        return f"инцидент №{number}: никого не дозваться"
    return None


async def _mark(session: Session, *, now: datetime) -> None:
    statement = insert(heartbeats).values(name=_SHOP, at=now)
    newer = func.greatest(heartbeats.c.at, statement.excluded.at)
    await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"at": newer}))


async def is_heard(session: Session, *, now: datetime) -> bool:
    """Whether there was a sign of life lately."""
    at = await session.scalar(select(heartbeats.c.at).where(heartbeats.c.name == _SHOP))
    return at is not None and at > now - SILENT_AFTER
