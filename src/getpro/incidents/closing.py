"""How an incident ends: somebody has said why, and what was wrong is quiet.

Signals stop some minutes after a fix, so what was said is kept and the incident closes by itself then; what
fires again meanwhile was not fixed, and calls anew.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from getpro.incidents import calling, documents, store
from getpro.incidents.deps import Bought, Deps
from getpro.incidents.states import EventKind, IncidentState
from getpro.incidents.store import Incident, SignalSeen
from getpro.incidents.words import clock
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

PURCHASE_OLD: Final = timedelta(minutes=3)
"""What was bought longer ago says nothing of now."""
QUIET_WITHOUT_PURCHASES: Final = timedelta(minutes=5)
NO_PURCHASES: Final = "пробные покупки выключены: по сигналам"
_SHOWN: Final = 3
_LONGEST: Final = 100


async def against(
    session: Session, deps: Deps, found: Incident, *, now: datetime
) -> tuple[list[str], list[str]]:
    """What speaks against closing it now, a line each: the signals, and the synthetic purchase; a step."""
    signals = await store.signals_of(session, found.incident_id)
    firing = firing_of(signals, deps.zone, now=now)
    if deps.purchases is None:
        return firing, _too_short(signals, deps.zone, now=now)
    since = quiet_since(signals, said_at=found.closing_at or now)
    missing = missing_purchase(await deps.purchases.last(session), deps.zone, since=since, now=now)
    return firing, [] if missing is None else [missing]


def _too_short(signals: Sequence[SignalSeen], zone: ZoneInfo, *, now: datetime) -> list[str]:
    """Where no purchase shows it: what has just stopped may only flap."""
    over = max((one.over_at for one in signals if one.over_at is not None), default=None)
    if over is None or now - over >= QUIET_WITHOUT_PURCHASES:
        return []
    return [f"тихо только с {clock(over, zone, now=now)}"]


def firing_of(signals: Sequence[SignalSeen], zone: ZoneInfo, *, now: datetime) -> list[str]:
    """The signals that fire, the gravest first."""
    those = [one for one in signals if one.is_firing]
    lines = [
        f"горит «{one.title[:_LONGEST]}» с {clock(one.first_seen_at, zone, now=now)}"
        for one in those[:_SHOWN]
    ]
    return lines if len(those) <= _SHOWN else [*lines, f"и ещё {len(those) - _SHOWN}"]


def quiet_since(signals: Sequence[SignalSeen], *, said_at: datetime) -> datetime:
    """The end of the last signal; where there never was one, when somebody said that it is over."""
    return max((one.over_at for one in signals if one.over_at is not None), default=said_at)


def missing_purchase(last: Bought | None, zone: ZoneInfo, *, since: datetime, now: datetime) -> str | None:
    """Why the last synthetic purchase does not show that one can buy again; None: it does."""
    if last is not None and last.trouble is not None and last.began_at >= now - PURCHASE_OLD:
        return f"пробная покупка не проходит: {last.trouble[:_LONGEST]}"
    if last is None or last.began_at < max(since, now - PURCHASE_OLD):
        return f"после {clock(since, zone, now=now)} нет удачной пробной покупки"
    return None


async def close(
    session: Session, deps: Deps, found: Incident, *, by: str, cause: str, fix: str, now: datetime
) -> None:
    """Close it with these words; a step."""
    await calling.resolved(session, deps, found.incident_id, by=by, cause=cause, fix=fix, now=now)
    off = f" ({NO_PURCHASES})" if deps.purchases is None else ""
    words = f"Решён{off}. Причина: {cause}. Сделано: {fix}"
    await store.note(session, found.incident_id, EventKind.RESOLVED, words, now=now, who=by)
    await documents.after(session, deps, await store.incident(session, found.incident_id))


async def carry_on(deps: Deps) -> None:
    """Close those that have become quiet since somebody said how they ended; a flow, run by schedule."""
    async with deps.db.read("incidents: closing") as session:
        waiting = await store.closing(session)
    for incident_id in waiting:
        async with calling.apart(incident_id), deps.db.begin("incidents: closed") as session:
            await _close_if_quiet(session, deps, incident_id)


async def _close_if_quiet(session: Session, deps: Deps, incident_id: int) -> None:
    found, now = await store.locked(session, incident_id), deps.clock()
    if found.state is IncidentState.RESOLVED or found.closing_by is None:
        return
    if any(await against(session, deps, found, now=now)):
        return
    assert found.cause is not None
    assert found.fix is not None
    await close(session, deps, found, by=found.closing_by, cause=found.cause, fix=found.fix, now=now)
    log.info("incidents.closed_when_quiet", incident_id=incident_id)
