"""The escalation at work: what is due becomes pages, rows first, in the transaction that says it is done.

See ``docs/decisions/0026-escalation.md``.
"""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

import structlog

from getpro.incidents import anew, paging, store, team
from getpro.incidents.deps import Deps
from getpro.incidents.escalation import Call, Policy, Reason, call
from getpro.incidents.response import due_at
from getpro.incidents.states import EventKind, IncidentState
from getpro.incidents.store import Incident
from getpro.incidents.words import ROLES, clock, names, span
from getpro.platform.database import DATABASE_AWAY, Session

log = structlog.get_logger(__name__)

QUIET: Final = timedelta(minutes=10)
"""So long after its last signal an incident that nobody holds is over; what comes back before goes on."""
_AT_ONCE: Final = 100
BY_ITSELF: Final = "сигналы прошли сами"
_NOTHING: Final = "ничего не делали"


async def advance(session: Session, deps: Deps, incident_id: int) -> bool:
    """Carry out the incident's step if it is due, however often asked; a step of the caller's transaction."""
    now = deps.clock()
    found = await store.locked(session, incident_id)
    if found.state is not IncidentState.OPEN or found.next_step_at is None or found.next_step_at > now:
        return False
    if found.quiet_since is not None and found.opened_by is None:
        return False  # no signal speaks of it any more: it closes, or fires again and goes on from here
    if (until := deps.night.over(found.level, now)) > now:
        await store.change(session, incident_id, next_step_at=until)
        words = f"Ночь: до {clock(until, deps.zone, now=now)} никого не зовём"
        await store.note(session, incident_id, EventKind.NOT_PAGED, words, now=now)
        return False
    policy = await store.policy(session)
    due = call(policy, found.level, found.step, now=now, night=deps.night)
    await _carry_out(session, deps, found, due, policy, now=now)
    return True


async def _carry_out(
    session: Session, deps: Deps, found: Incident, due: Call, policy: Policy, *, now: datetime
) -> None:
    audience = await team.audience(session, deps, due.whom.role, now=now)
    called_at = now if due.step == 1 or found.called_at is None else found.called_at
    turn = found.turn + 1
    await store.change(
        session,
        found.incident_id,
        level=due.level,
        step=due.step,
        turn=turn,
        called_at=called_at,
        next_step_at=due.next_at,
        snoozed_until=None,
    )
    if due.reason is Reason.ESCALATED:
        words = f"{found.level} → {due.level}: за отведённое время никто не взял"
        await store.note(session, found.incident_id, EventKind.LEVEL, words, now=now)
    if audience.role is not due.whom.role:
        words = f"{ROLES[due.whom.role]}: никого нет, вместо них {ROLES[audience.role].lower()}"
        await store.note(session, found.incident_id, EventKind.NOT_PAGED, words, now=now)
    chat = [] if deps.chat_id is None else [paging.CHAT]
    whom = names([*(one.name for one in audience.people), *chat]) or "никого"
    reminder = "Напоминание" if due.reason is Reason.REMINDER else "Позвали"
    words = f"{reminder}: {whom}"
    await store.note(
        session,
        found.incident_id,
        EventKind.PAGED,
        words,
        now=now,
        turn=turn,
        level=due.level,
        reason=due.reason,
        # As the policy is now: another one does not change what was kept.
        answer_by=due_at(policy, due.level, called_at, deps.night).isoformat(),
    )
    await paging.write(
        session,
        deps,
        found.incident_id,
        audience.people,
        due.whom.reach,
        turn=turn,
        reason=due.reason,
        now=now,
    )
    log.info("incidents.called", incident_id=found.incident_id, level=due.level, step=due.step)


async def carry_on(deps: Deps) -> None:
    """Carry out what is due, close what is over by itself, send what lost its job; a flow.

    Run by schedule, late or twice.
    """
    now = deps.clock()
    async with apart(), deps.db.begin("incidents: anew") as session:
        await anew.reopen(session, deps, now=now)
    async with deps.db.read("incidents: due") as session:
        due = await store.due(session, now=now, most=_AT_ONCE)
        quiet = await store.quiet(session, now=now, quiet_time=QUIET)
    for incident_id in quiet:
        async with apart(incident_id), deps.db.begin("incidents: over") as session:
            await _close(session, deps, incident_id, now=now)
    for incident_id in due:
        async with apart(incident_id), deps.db.begin("incidents: step") as session:
            await advance(session, deps, incident_id)
    async with deps.db.begin("incidents: pages") as session:
        await paging.send_again(session, deps, now=now)


@contextlib.asynccontextmanager
async def apart(incident_id: int | None = None) -> AsyncIterator[None]:
    """What one incident meets, whatever it is, may not stop the clock of the others."""
    try:
        yield
    except DATABASE_AWAY:
        raise
    except Exception:
        log.exception("incidents.clock_failed", incident_id=incident_id)


async def _close(session: Session, deps: Deps, incident_id: int, *, now: datetime) -> None:
    """Unless a signal has come, or somebody has taken it, since it was looked at."""
    found = await store.locked(session, incident_id)
    if found.state is not IncidentState.OPEN or found.quiet_since is None or found.quiet_since > now - QUIET:
        return
    await resolved(session, deps, incident_id, by=None, cause=BY_ITSELF, fix=_NOTHING, now=now)
    words = f"Прошло само: сигналов нет {span(now - found.quiet_since)}"
    await store.note(session, incident_id, EventKind.RESOLVED, words, now=now)


async def resolved(
    session: Session, deps: Deps, incident_id: int, *, by: str | None, cause: str, fix: str, now: datetime
) -> bool:
    """It is over: nobody is called, its signals are history; a step. False where it was over already."""
    is_over = await store.move(
        session,
        incident_id,
        IncidentState.RESOLVED,
        resolved_at=now,
        resolved_by=by,
        next_step_at=None,
        snoozed_until=None,
        **{**store.NOT_CLOSING, "cause": cause, "fix": fix},
    )
    if is_over:
        await store.retire_signals(session, incident_id)
        await paging.ask_to_show(session, deps, incident_id)
    return is_over
