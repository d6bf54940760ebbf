"""Whoever has taken an incident and is silent for long is asked; without an answer it is called anew.

Somebody takes it at three in the morning and falls asleep: nothing else would call anybody then.
See ``docs/decisions/0026-escalation.md``.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import select

from getpro.incidents import calling, paging, store, team
from getpro.incidents.deps import Deps
from getpro.incidents.escalation import Policy, Reason, answer_within
from getpro.incidents.models import incidents
from getpro.incidents.states import EventKind, IncidentState, Level, Reach
from getpro.incidents.words import span
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

_LEAST: Final = timedelta(minutes=30)
"""Whoever mends has their hands full: the fifteen minutes of L3 are for an answer, not for a repair."""


async def carry_on(deps: Deps) -> None:
    """Ask who is silent, and call anew what they let lie; a flow, run by schedule, late or twice."""
    async with deps.db.read("incidents: held") as session:
        held = await session.scalars(
            select(incidents.c.incident_id).where(incidents.c.state == IncidentState.TAKEN)
        )
        numbers = held.all()
    for incident_id in numbers:
        async with calling.apart(incident_id), deps.db.begin("incidents: still?") as session:
            await _look(session, deps, incident_id, now=deps.clock())


async def _look(session: Session, deps: Deps, incident_id: int, *, now: datetime) -> None:
    found = await store.locked(session, incident_id)
    if found.state is not IncidentState.TAKEN or deps.night.over(found.level, now) > now:
        return
    heard_at, asked_at = await store.heard_of_holder(session, found)
    patience = patience_of(await store.policy(session), found.level)
    if asked_at is None:
        if now - heard_at >= patience:
            await _ask(session, deps, found, now=now)
    elif now - asked_at >= patience / 2:
        await store.move(session, incident_id, IncidentState.OPEN, **store.called_anew(now))
        words = f"{found.taken_by} молчит {span(now - heard_at)}: зовём заново"
        await store.note(session, incident_id, EventKind.DROPPED, words, now=now)
        await calling.advance(session, deps, incident_id)
        log.warning("incidents.holder_silent", incident_id=incident_id)


def patience_of(policy: Policy, level: Level) -> timedelta:
    """How long whoever has taken it may be silent; for the answer they have half of that again."""
    return max(answer_within(policy, level), _LEAST)


async def _ask(session: Session, deps: Deps, found: store.Incident, *, now: datetime) -> None:
    turn = found.turn + 1
    await store.change(session, found.incident_id, turn=turn)
    words = f"Спросили: {found.taken_by}, ещё занимаетесь?"
    await store.note(session, found.incident_id, EventKind.ASKED, words, now=now)
    whom = [one for one in await team.team(session) if one.name == found.taken_by]
    await paging.write(
        session, deps, found.incident_id, whom, Reach.TELEGRAM, turn=turn, reason=Reason.STILL, now=now
    )
