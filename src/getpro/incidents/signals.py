"""Signals make incidents, or join them: one trouble is one incident, however many voices tell of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import structlog
from sqlalchemy import func, insert, or_, select, update

from getpro.incidents import calling, paging, store
from getpro.incidents.deps import Deps
from getpro.incidents.models import incident_signals, incidents
from getpro.incidents.states import EventKind, IncidentState, Level, Source
from getpro.incidents.store import Incident
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

_LOCK: Final = 7_201_538
"""Advisory lock: of a storm's first two signals only one may find no incident."""
_TOGETHER: Final = timedelta(minutes=1)
"""What begins within a minute of the last has one cause, until a person finds otherwise."""
_MUTED_FOR: Final = timedelta(days=1)
_LONGEST_TITLE: Final = 250


class Outcome(StrEnum):
    OPENED = "opened"
    JOINED = "joined"
    KNOWN = "known"
    """It was firing already."""
    AGAIN = "again"
    """It had been over for less than the quiet time: the same incident goes on, and nobody is called anew."""
    STALE = "stale"
    """Its source has told that this one is over: a replayed or belated call."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What a source says is wrong."""

    source: Source
    fingerprint: str
    level: Level
    title: str
    began_at: datetime
    """By the source's clock: a new trouble of the same fingerprint has another."""
    group_key: str | None = None
    about: str | None = None
    """What other sources may tell of as well, e.g. ``check:security.ports``."""
    runbook: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


async def raise_signal(session: Session, deps: Deps, signal: Signal) -> Outcome:
    """Make an incident of the signal, or let it join one; a step, harmless when repeated."""
    now = deps.clock()
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    known = await _known(session, signal.source, signal.fingerprint)
    if known is not None and _is_current(known):
        return await _seen_again(session, deps, signal, known, now=now)
    if known is not None and _is_stale(signal, known):
        return Outcome.STALE
    if known is not None and await _is_muted(session, signal, known, now=now):
        return Outcome.KNOWN
    joined = await _one_to_join(session, signal, now=now)
    incident_id = None if joined is None else joined.incident_id
    outcome = Outcome.OPENED if incident_id is None else Outcome.JOINED
    if incident_id is None:
        incident_id = await store.add(
            session,
            level=signal.level,
            title=_title(signal),
            by=None,
            now=now,
            first_step_at=now,
        )
        await store.note(session, incident_id, EventKind.OPENED, f"{signal.level}: {_title(signal)}", now=now)
    await _add(session, signal, incident_id, now=now)
    if joined is None:
        await calling.advance(session, deps, incident_id)
    else:
        await _joined(session, deps, signal, joined, now=now)
    log.info("incidents.signal", incident_id=incident_id, source=signal.source, outcome=outcome)
    return outcome


async def signal_over(
    session: Session, deps: Deps, source: Source, fingerprint: str, *, began_at: datetime | None = None
) -> bool:
    """What the signal told of is over; a step. False where nothing fires under this fingerprint.

    ``began_at``: of which trouble, where its source says; a newer one is not over.
    """
    now = deps.clock()
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    known = await _known(session, source, fingerprint)
    if known is None or not known.is_firing or (began_at is not None and known.began_at > began_at):
        return False
    await session.execute(
        update(incident_signals)
        .where(incident_signals.c.signal_id == known.signal_id)
        .values(is_firing=False, over_at=now, last_seen_at=now)
    )
    if not _is_current(known):
        return False  # a person has resolved it before; now an old call of it is known to be old
    await store.note(session, known.incident_id, EventKind.OVER, f"Прошло: {known.title}", now=now)
    if not await _fires(session, known.incident_id):
        await store.change(session, known.incident_id, quiet_since=now)
    await paging.ask_to_show(session, deps, known.incident_id, is_urgent=False)
    return True


async def _fires(session: Session, incident_id: int) -> bool:
    found = select(incident_signals.c.signal_id).where(
        incident_signals.c.incident_id == incident_id, incident_signals.c.is_firing
    )
    return await session.scalar(found.limit(1)) is not None


async def _seen_again(session: Session, deps: Deps, signal: Signal, known: Any, *, now: datetime) -> Outcome:
    if not known.is_firing and _is_stale(signal, known):
        return Outcome.STALE
    changes: dict[str, Any] = {"last_seen_at": now}
    if not known.is_firing:
        changes |= {"is_firing": True, "over_at": None, "began_at": signal.began_at, "times": known.times + 1}
    await session.execute(
        update(incident_signals).where(incident_signals.c.signal_id == known.signal_id).values(**changes)
    )
    if known.is_firing:
        return Outcome.KNOWN
    await store.note(session, known.incident_id, EventKind.SIGNAL, f"Снова: {_title(signal)}", now=now)
    await store.change(session, known.incident_id, quiet_since=None)
    await _not_over(session, deps, await store.incident(session, known.incident_id), now=now)
    await paging.ask_to_show(session, deps, known.incident_id, is_urgent=False)
    return Outcome.AGAIN


def _is_stale(signal: Signal, known: Any) -> bool:
    """Whether this very trouble, by the moment at which it began, was told to be over before.

    Its source then hears a refusal, and makes a noise of its own should it be sure. What a person has
    resolved while it fired was not over.
    """
    was_over: bool = known.over_at is not None and known.began_at >= signal.began_at
    return was_over and signal.source is Source.ALERTMANAGER


async def _is_muted(session: Session, signal: Signal, known: Any, *, now: datetime) -> bool:
    """Whether a person closed it by force while it fired, and it has not stopped since: they know of it.

    For a day: "the rule is wrong, I mend it tomorrow". Neither L3 nor customers can be silenced so.
    """
    if not known.is_firing or signal.level is Level.L3 or signal.source is Source.CUSTOMERS:
        return False
    if known.resolved_at is None or known.resolved_at <= now - _MUTED_FOR:
        return False
    return await store.is_forced(session, known.incident_id)


async def _known(session: Session, source: Source, fingerprint: str) -> Any:
    """What was last told under this fingerprint; its incident is held, so that nobody resolves it now."""
    found = await session.execute(
        select(incident_signals, incidents.c.state.label("incident_state"), incidents.c.resolved_at)
        .join(incidents, incidents.c.incident_id == incident_signals.c.incident_id)
        .where(
            incident_signals.c.source == source,
            incident_signals.c.fingerprint == fingerprint,
        )
        .order_by(incident_signals.c.signal_id.desc())
        .limit(1)
        .with_for_update(of=incidents)
    )
    return found.one_or_none()


def _is_current(known: Any) -> bool:
    """By the incident, too: it may have been resolved while it was waited for."""
    return bool(known.is_current) and known.incident_state != IncidentState.RESOLVED


async def _one_to_join(session: Session, signal: Signal, *, now: datetime) -> Any:
    """An unresolved incident of the same group or about the same, or one that has just begun; it is held."""
    current = incident_signals.c
    kin = [
        column == value
        for column, value in ((current.group_key, signal.group_key), (current.about, signal.about))
        if value is not None
    ]
    began_together = (current.first_seen_at > now - _TOGETHER) & incidents.c.opened_by.is_(None)
    kin_first = [or_(*kin).desc().nulls_last()] if kin else []
    found = await session.execute(
        select(incidents)
        .join(incident_signals, incidents.c.incident_id == current.incident_id)
        .where(current.is_current, incidents.c.state != IncidentState.RESOLVED, or_(began_together, *kin))
        .order_by(*kin_first, current.signal_id.desc())
        .limit(1)
        .with_for_update(of=incidents)
    )
    row = found.one_or_none()
    return None if row is None else store.incident_of(row)


async def _add(session: Session, signal: Signal, incident_id: int, *, now: datetime) -> None:
    await session.execute(
        insert(incident_signals).values(
            incident_id=incident_id,
            source=signal.source,
            fingerprint=signal.fingerprint,
            group_key=signal.group_key,
            about=signal.about,
            level=signal.level,
            title=_title(signal),
            runbook=signal.runbook,
            details=signal.details,
            began_at=signal.began_at,
            first_seen_at=now,
            last_seen_at=now,
        )
    )


async def _joined(session: Session, deps: Deps, signal: Signal, found: Incident, *, now: datetime) -> None:
    """A graver one is called about anew, also where the incident is taken: others have to know of it."""
    incident_id = found.incident_id
    await store.note(session, incident_id, EventKind.SIGNAL, f"Ещё: {_title(signal)}", now=now)
    if found.quiet_since is not None:
        await store.change(session, incident_id, quiet_since=None)
    if signal.level > found.level:
        await graver(
            session, deps, found, signal.level, "сигнал важнее прежних", now=now, title=_title(signal)
        )
    else:
        await _not_over(session, deps, found, now=now)
    await paging.ask_to_show(session, deps, incident_id, is_urgent=False)


async def _not_over(session: Session, deps: Deps, found: Incident, *, now: datetime) -> None:
    """Where somebody has said that it is over, it is not: they may have gone, and are called anew."""
    if found.closing_by is None:
        return
    await store.move(session, found.incident_id, IncidentState.OPEN, **store.called_anew(now))
    words = f"{found.closing_by} сказал, что решён, а сигналы снова: зовём"
    await store.note(session, found.incident_id, EventKind.CLOSING, words, now=now)
    await calling.advance(session, deps, found.incident_id)


async def graver(
    session: Session,
    deps: Deps,
    found: Incident,
    level: Level,
    why: str,
    *,
    now: datetime,
    who: str = store.SHOP,
    title: str | None = None,
) -> None:
    """Raise the level and call those of that one; who has taken it has not taken this."""
    values = store.called_anew(now) | {"level": level}
    if title is not None:
        values["title"] = title
    if found.state is IncidentState.TAKEN:
        await store.move(session, found.incident_id, IncidentState.OPEN, **values)
    else:
        await store.change(session, found.incident_id, **values)
    words = f"{found.level} → {level}: {why}"
    await store.note(session, found.incident_id, EventKind.LEVEL, words, now=now, who=who)
    await calling.advance(session, deps, found.incident_id)


def _title(signal: Signal) -> str:
    return " ".join(signal.title.replace("\0", "").split())[:_LONGEST_TITLE]
