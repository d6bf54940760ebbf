"""What people do with an incident; each asks by itself whether they may, and each is on the time line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from getpro.incidents import calling, closing, paging, signals, store
from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo, NoSuchIncident
from getpro.incidents.screens import SNOOZE
from getpro.incidents.states import EventKind, IncidentState, Level
from getpro.incidents.store import Incident
from getpro.incidents.team import Actor, require
from getpro.incidents.words import STATES, clock
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

LONGEST_NOTE: Final = 3000
LONGEST_TITLE: Final = 250


async def open_by_hand(
    session: Session, deps: Deps, title: str, *, level: Level, by: Actor, key: str | None = None
) -> int:
    """Open an incident and call whoever its level calls; a step. Return its number.

    ``key``: of what may be told twice; then the one that it has opened is returned. Raises NotAllowed,
    CannotDo.
    """
    await require(session, deps, by)
    now, said = deps.clock(), " ".join(title.replace("\0", "").split())
    if not 0 < len(said) <= LONGEST_TITLE:
        raise CannotDo(f"в названии может быть от 1 до {LONGEST_TITLE} знаков")
    if key is not None and (known := await store.opened_by(session, key)) is not None:
        return known
    incident_id = await store.add(session, level=level, title=said, by=by.name, now=now, first_step_at=now)
    await store.note(
        session, incident_id, EventKind.OPENED, f"{level}: {said}", now=now, who=by.name, key=key
    )
    await calling.advance(session, deps, incident_id)
    log.info("incidents.opened_by_hand", incident_id=incident_id, level=level)
    return incident_id


async def take(session: Session, deps: Deps, incident_id: int, *, by: Actor) -> Incident:
    """Answer for it from now on: nobody else is called; a step.

    Raises NotAllowed, CannotDo, NoSuchIncident.
    """
    found, now = await _begin(session, deps, incident_id, by)
    if found.state is IncidentState.TAKEN:
        raise CannotDo("вы его уже взяли" if found.taken_by == by.name else f"его уже взял {found.taken_by}")
    await _move(
        session,
        found,
        IncidentState.TAKEN,
        taken_by=by.name,
        taken_at=now,
        next_step_at=None,
        snoozed_until=None,
    )
    return await _done(session, deps, found, EventKind.TAKEN, "Взял", by=by, now=now)


async def drop(session: Session, deps: Deps, incident_id: int, *, by: Actor) -> Incident:
    """Give it back: its level is called anew, at once; a step. Raises as :func:`take`."""
    found, now = await _begin(session, deps, incident_id, by)
    if found.state is not IncidentState.TAKEN:
        raise CannotDo("его никто не взял")
    await _move(
        session,
        found,
        IncidentState.OPEN,
        **store.called_anew(now),
    )
    await store.note(session, incident_id, EventKind.DROPPED, "Отпустил", now=now, who=by.name)
    await calling.advance(session, deps, incident_id)
    return await _shown(session, deps, incident_id)


async def still(session: Session, deps: Deps, incident_id: int, *, by: Actor) -> Incident:
    """Say that they work on it, so that nobody is called anew; a step. Raises as :func:`take`."""
    found, now = await _begin(session, deps, incident_id, by)
    if found.state is not IncidentState.TAKEN or found.taken_by != by.name:
        raise CannotDo("его никто не взял" if found.taken_by is None else f"его взял {found.taken_by}")
    return await _done(session, deps, found, EventKind.NOTE, "Занимается", by=by, now=now)


async def snooze(
    session: Session, deps: Deps, incident_id: int, *, by: Actor, length: timedelta = SNOOZE
) -> Incident:
    """Put the next call off; a step. Raises as :func:`take`."""
    found, now = await _begin(session, deps, incident_id, by)
    if found.state is IncidentState.TAKEN:
        raise CannotDo(f"его взял {found.taken_by}: никого не зовём")
    until = max(now + length, found.next_step_at or now)  # what was to come later comes no sooner for it
    await store.change(session, incident_id, next_step_at=until, snoozed_until=until)
    words = f"Отложил до {clock(until, deps.zone, now=now)}"
    return await _done(session, deps, found, EventKind.SNOOZED, words, by=by, now=now)


async def raise_level(
    session: Session, deps: Deps, incident_id: int, *, by: Actor, seen: Level | None = None
) -> Incident:
    """Call the next level now, whoever has taken it; a step. Raises as :func:`take`.

    ``seen``: the level that they saw when they pressed; two who press at once do not wake everybody.
    """
    found, now = await _begin(session, deps, incident_id, by)
    if seen is not None and seen != found.level:
        raise CannotDo(f"уже {found.level}")
    if (above := found.level.above) is None:
        raise CannotDo(f"{found.level} — высший уровень, зовём всех")
    await signals.graver(session, deps, found, above, "позвал выше", now=now, who=by.name)
    return await _shown(session, deps, incident_id)


async def set_level(session: Session, deps: Deps, incident_id: int, level: Level, *, by: Actor) -> Incident:
    """It is this grave, whatever the rule and the figures say; a step. Raises as :func:`take`.

    A lower level's people are called anew where nobody has taken it. The figures do not raise it again to a
    level that they have asked for.
    """
    found, now = await _begin(session, deps, incident_id, by)
    if level == found.level:
        raise CannotDo(f"это и так {level}")
    if level > found.level:
        await signals.graver(session, deps, found, level, "решил человек", now=now, who=by.name)
        return await _shown(session, deps, incident_id)
    clock_anew = store.called_anew(now) if found.state is IncidentState.OPEN else {}
    await store.change(session, incident_id, level=level, **clock_anew)
    words = f"{found.level} → {level}: решил человек"
    await store.note(session, incident_id, EventKind.LEVEL, words, now=now, who=by.name)
    await calling.advance(session, deps, incident_id)
    return await _shown(session, deps, incident_id)


@dataclass(frozen=True, slots=True)
class Ending:
    """What has become of the wish to close an incident."""

    incident: Incident
    against: tuple[str, ...] = ()
    """What is not quiet, a line each; it closes by itself when nothing is."""
    needs_purchase: bool = False
    """It wants a synthetic purchase, and nothing else."""

    @property
    def is_over(self) -> bool:
        return self.incident.state is IncidentState.RESOLVED


async def ask_how_it_ended(session: Session, deps: Deps, incident_id: int, *, by: Actor) -> Ending:
    """The next reply of theirs in Telegram says cause and fix; a step. Raises as :func:`take`.

    Said already, they are not asked for again.
    """
    found, _ = await _begin(session, deps, incident_id, by)
    if found.closing_by is not None:
        return await resolve(session, deps, incident_id, by=by)
    await store.change(session, incident_id, asked=by.telegram_id, is_asked_why=False)
    return Ending(await _shown(session, deps, incident_id))


async def not_over_yet(session: Session, deps: Deps, incident_id: int, *, by: Actor) -> Incident:
    """It was asked how it ended by mistake: their next reply is a note; a step. Raises as :func:`take`."""
    found, _ = await _begin(session, deps, incident_id, by)
    if found.asked is None:
        raise CannotDo("его и не спрашивают, чем кончилось")
    await store.change(session, incident_id, asked=None, is_asked_why=False)
    return await _shown(session, deps, incident_id)


async def ask_why_not_wait(session: Session, deps: Deps, incident_id: int, *, by: Actor) -> Ending:
    """The next reply of theirs in Telegram says why to close it at once; a step. Raises as :func:`take`."""
    found, _ = await _begin(session, deps, incident_id, by)
    if found.closing_by is None:
        raise CannotDo("сначала «Решён»: причина и что сделано")
    await store.change(session, incident_id, asked=by.telegram_id, is_asked_why=True)
    return Ending(await _shown(session, deps, incident_id))


async def resolve(
    session: Session,
    deps: Deps,
    incident_id: int,
    *,
    by: Actor,
    cause: str | None = None,
    fix: str | None = None,
    force: str | None = None,
) -> Ending:
    """It is over, and is said why and what was done; a step. Raises as :func:`take`.

    Closed where what was wrong is quiet (see :mod:`getpro.incidents.closing`), or where ``force`` says why
    not to wait for that. Otherwise it stays with whoever has said so, and closes by itself. What was said
    before need not be said again.
    """
    found, now = await _begin(session, deps, incident_id, by)
    cause, fix = cause or found.cause, fix or found.fix
    if cause is None or fix is None:
        raise CannotDo("не сказаны причина и что сделано")
    cause, fix = _said(cause, "причина"), _said(fix, "что сделано")
    why = None if force is None else _said(force, "почему не ждать")
    firing, missing = await closing.against(session, deps, found, now=now)
    lines = (*firing, *missing)
    if lines and why is None:
        await _wait_for_quiet(session, found, lines, by=by, cause=cause, fix=fix, now=now)
        return Ending(await _shown(session, deps, incident_id), lines, needs_purchase=not firing)
    if lines:
        words = f"Закрыт принудительно: {why}. Не тихо: {'; '.join(lines)}"
        await store.note(session, incident_id, EventKind.FORCED, words, now=now, who=by.name)
    await closing.close(session, deps, found, by=by.name, cause=cause, fix=fix, now=now)
    return Ending(await _shown(session, deps, incident_id), lines)


async def _wait_for_quiet(
    session: Session,
    found: Incident,
    lines: Sequence[str],
    *,
    by: Actor,
    cause: str,
    fix: str,
    now: datetime,
) -> None:
    values: dict[str, Any] = {
        "closing_by": by.name,
        "closing_at": found.closing_at or now,
        "cause": cause,
        "fix": fix,
        "asked": None,
    }
    if found.state is IncidentState.OPEN:
        taken = {"taken_by": by.name, "taken_at": now, "next_step_at": None, "snoozed_until": None}
        await _move(session, found, IncidentState.TAKEN, **values, **taken)
    else:
        await store.change(session, found.incident_id, **values)
    if (found.cause, found.fix) == (cause, fix):
        return
    words = f"Причина: {cause}. Сделано: {fix}. Закроется, когда станет тихо: {'; '.join(lines)}"
    await store.note(session, found.incident_id, EventKind.CLOSING, words, now=now, who=by.name)


async def add_note(
    session: Session, deps: Deps, incident_id: int, said: str, *, by: Actor, key: str | None = None
) -> None:
    """Write on the time line, also of a resolved one; a step, once for each ``key``.

    Raises NotAllowed, CannotDo, NoSuchIncident.
    """
    await require(session, deps, by)
    await store.incident(session, incident_id)
    words = _said(said, "заметка")
    await store.note(session, incident_id, EventKind.NOTE, words, now=deps.clock(), who=by.name, key=key)


@dataclass(frozen=True, slots=True)
class Replied:
    """What a reply to a page has become."""

    incident: Incident
    ending: Ending | None
    """None: it was a note."""


async def reply(session: Session, deps: Deps, incident_id: int, said: str, *, by: Actor, key: str) -> Replied:
    """A reply to a page: how it ended, where the writer was asked that, else a note; a step.

    Raises NotAllowed, CannotDo.
    """
    await require(session, deps, by)
    found = await store.locked(session, incident_id)
    if found.asked is not None and found.asked == by.telegram_id and not await store.is_noted(session, key):
        said = said.strip()
        if found.is_asked_why:
            done = await resolve(session, deps, incident_id, by=by, force=said)
        else:
            cause, _, fix = said.partition("\n" if "\n" in said else ";")
            if not fix.strip():
                raise CannotDo("нужны обе части: причина; что сделано")
            done = await resolve(session, deps, incident_id, by=by, cause=cause, fix=fix)
        await store.note(
            session, incident_id, EventKind.NOTE, said.strip(), now=deps.clock(), who=by.name, key=key
        )
        return Replied(done.incident, done)
    await add_note(session, deps, incident_id, said, by=by, key=key)
    return Replied(found, None)


async def _begin(session: Session, deps: Deps, incident_id: int, by: Actor) -> tuple[Incident, datetime]:
    """The unresolved incident, held; and the moment."""
    await require(session, deps, by)
    found = await store.locked(session, incident_id)
    if found.state is IncidentState.RESOLVED:
        raise CannotDo(f"№{incident_id} уже решён")
    return found, deps.clock()


async def refused(deps: Deps, incident_id: int, deed: str, *, by: Actor) -> None:
    """Put on record that somebody tried who may not; a flow, for what they tried was rolled back."""
    log.warning("incidents.refused", incident_id=incident_id, user_id=by.telegram_id, deed=deed)
    now = deps.clock()
    # Who may not may press a thousand times: nothing of the time line can be removed again.
    key = f"refused:{incident_id}:{by.telegram_id or by.name}:{deed}:{now:%Y%m%d%H}"
    async with deps.db.begin("incidents: refused") as session:
        try:
            await store.incident(session, incident_id)
        except NoSuchIncident:
            return
        words = f"Отказано: {deed}"
        await store.note(session, incident_id, EventKind.REFUSED, words, now=now, who=by.name, key=key)


async def _move(session: Session, found: Incident, to: IncidentState, **values: object) -> None:
    if not await store.move(session, found.incident_id, to, **values):
        raise CannotDo(f"№{found.incident_id} {STATES[found.state]}")


async def _done(
    session: Session, deps: Deps, found: Incident, kind: EventKind, words: str, *, by: Actor, now: datetime
) -> Incident:
    await store.note(session, found.incident_id, kind, words, now=now, who=by.name)
    return await _shown(session, deps, found.incident_id)


async def _shown(session: Session, deps: Deps, incident_id: int) -> Incident:
    await paging.ask_to_show(session, deps, incident_id)
    return await store.incident(session, incident_id)


def _said(text: str, what: str) -> str:
    said = text.replace("\0", "").strip()
    if not 0 < len(said) <= LONGEST_NOTE:
        raise CannotDo(f"{what}: может быть от 1 до {LONGEST_NOTE} знаков")
    return said
