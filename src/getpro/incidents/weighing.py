"""What an incident costs is measured again and again, and may raise its level; a person may lower it.

See ``docs/decisions/0027-help.md``.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from getpro.incidents import complaints, impact, paging, store
from getpro.incidents.deps import Deps
from getpro.incidents.models import incidents
from getpro.incidents.signals import graver
from getpro.incidents.states import IncidentState
from getpro.platform.database import Session


async def weigh(deps: Deps) -> None:
    """Measure, remember whom it touches, raise the level where the figures ask for it; a flow, by schedule.

    One trouble calls once: of several incidents the gravest carries the impact, of these the oldest. Each
    level is asked for once: what a person has lowered since stays so until the figures ask for a higher one.
    """
    async with deps.db.read("incidents: to weigh") as session:
        if await _carrier(session) is None:
            return
    async with deps.db.begin("incidents: weighed") as session:
        await complaints.end_what_is_over(session, deps)
        row = await _carrier(session, lock=True)
        if row is None:
            return
        now, found = deps.clock(), store.incident_of(row)
        if await impact.keep(session, found, now=now):
            await paging.ask_to_show(session, deps, found.incident_id, is_urgent=False)
        measured = await impact.measure(session, found, now=now)
        level = None if measured is None else impact.asked_level(measured, now=now)
        if measured is None or level is None or level <= (row.weighed or ""):
            return
        await store.change(session, found.incident_id, weighed=level)
        if level > found.level:
            await graver(session, deps, found, level, _why(measured, now=now), now=now)
            await paging.ask_to_show(session, deps, found.incident_id)


def _why(measured: impact.Impact, *, now: datetime) -> str:
    waits = round((now - measured.since).total_seconds() / 60)
    return f"заплатили и ждут: {measured.customers}, на {measured.roubles}, дольше всех {waits} мин"


async def _carrier(session: Session, *, lock: bool = False) -> Any:
    query = (
        select(incidents)
        .where(incidents.c.state != IncidentState.RESOLVED)
        .order_by(incidents.c.level.desc(), incidents.c.incident_id)
        .limit(1)
    )
    return (await session.execute(query.with_for_update() if lock else query)).one_or_none()
