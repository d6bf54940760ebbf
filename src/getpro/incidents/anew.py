"""What nobody answers for any more is called anew: whoever held it has left, or the past has come back."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from getpro.incidents import paging, store
from getpro.incidents.deps import Deps
from getpro.incidents.models import incidents, people
from getpro.incidents.states import EventKind, IncidentState
from getpro.incidents.words import clock
from getpro.platform import restores
from getpro.platform.database import Session


async def reopen(session: Session, deps: Deps, *, now: datetime) -> None:
    """Make due, at their level's first step, all incidents of which this is so; a step, each is made once."""
    await _of_who_has_left(session, deps, now=now)
    await _of_the_past(session, deps, now=now)


async def _of_who_has_left(session: Session, deps: Deps, *, now: datetime) -> None:
    held = (
        select(incidents.c.incident_id, incidents.c.taken_by)
        .join(people, people.c.name == incidents.c.taken_by)
        .where(incidents.c.state == IncidentState.TAKEN, people.c.removed_at.is_not(None))
        .with_for_update(of=incidents)
    )
    for row in (await session.execute(held)).all():
        await _reopen(session, deps, row.incident_id, f"{row.taken_by} больше не в команде", now=now)


async def _of_the_past(session: Session, deps: Deps, *, now: datetime) -> None:
    """Of a database that was brought back in time: what is unsolved there may have been solved since.

    Nobody can know it but a person: they are called once more, and told why.
    """
    restored = await restores.newest(session)
    if restored is None:
        return
    found = await session.scalars(
        select(incidents.c.incident_id)
        .where(
            incidents.c.state != IncidentState.RESOLVED,
            incidents.c.opened_at < restored.marked_at,
            incidents.c.restored_to.is_distinct_from(restored.restored_to),
        )
        .with_for_update()
    )
    back_to = clock(restored.restored_to, deps.zone, now=now)
    for incident_id in found.all():
        why = f"База возвращена на {back_to}, что было после, не записано"
        await _reopen(session, deps, incident_id, why, now=now, restored_to=restored.restored_to)


async def _reopen(
    session: Session, deps: Deps, incident_id: int, why: str, *, now: datetime, **values: Any
) -> None:
    values |= store.called_anew(now)
    if not await store.move(session, incident_id, IncidentState.OPEN, **values):
        await store.change(session, incident_id, **values)  # it is open, and begins again
    await store.note(session, incident_id, EventKind.DROPPED, f"{why}: зовём заново", now=now)
    await paging.ask_to_show(session, deps, incident_id)
