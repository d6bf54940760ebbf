"""What this machine and the database hold, kept by the hour: to tell growth, and what is usual.

``what`` is the name of a figure of the database (``getpro.operations.figures``) or of :data:`MACHINE`;
``subject`` is what it is of: a table, a folder by its purpose. Bytes, counts, seconds. Kept by the hour for
:data:`HOURLY_DAYS`, of older days the first of each for :data:`DAILY_DAYS`.
"""

import asyncio
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from getpro.operations import procfs
from getpro.operations.deps import Deps
from getpro.operations.figures import rows_of
from getpro.operations.models import capacity_samples
from getpro.operations.trends import Sample
from getpro.platform.database import Session
from getpro.platform.jobs import UPKEEP, JobName

log = structlog.get_logger(__name__)

TAKE: Final = JobName("take_samples", UPKEEP)
EVERY: Final = timedelta(hours=1)
STALE_AFTER: Final = 3 * EVERY
HOURLY_DAYS: Final = 35
DAILY_DAYS: Final = 750
"""Two years: what grows is compared with the same month of the year before."""
FIGURES: Final = (
    "getpro_users",
    "getpro_subscriptions_active",
    "getpro_database_bytes",
    "getpro_table_bytes",
    "getpro_table_live_rows",
)
DISK_BYTES: Final = "disk_bytes"
DISK_FREE: Final = "disk_free_bytes"
MEMORY_BYTES: Final = "memory_bytes"
MEMORY_AVAILABLE: Final = "memory_available_bytes"
LOAD: Final = "load"
OOM_KILLS: Final = "oom_kills"
WORKERS_STARTED: Final = "workers_started"
MACHINE: Final = (DISK_BYTES, DISK_FREE, MEMORY_BYTES, MEMORY_AVAILABLE, LOAD, OOM_KILLS)
WORKERS: Final = (
    "SELECT coalesce(pg_sequence_last_value("
    "pg_get_serial_sequence('procrastinate_workers', 'id')::regclass), 0)"
)
"""How many workers have ever begun: each takes the next number."""


class Taken(NamedTuple):
    what: str
    subject: str
    value: float


async def take(deps: Deps, proc: Path = procfs.PROC) -> None:
    """Keep this hour's figures, once, and forget the old; a flow."""
    now = deps.clock()
    taken = await asyncio.to_thread(lambda: list(_of_machine(deps, proc)))
    async with deps.db.begin("samples") as session:
        taken += await _of_database(session, now)
        hour = now.replace(minute=0, second=0, microsecond=0)
        rows = [{"taken_at": hour} | one._asdict() for one in taken]
        await session.execute(insert(capacity_samples).values(rows).on_conflict_do_nothing())
        await _forget(session, now=now)


def _of_machine(deps: Deps, proc: Path) -> Iterator[Taken]:
    """What cannot be read is told in the log, and by the looks; the rest is kept."""
    for purpose, folder in deps.folders.items():
        try:
            there = next(path for path in (folder, *folder.parents) if path.exists())
            room = os.statvfs(there)
        except OSError as error:
            log.warning("samples.no_folder", purpose=purpose, error=type(error).__name__)
            continue
        yield Taken(DISK_BYTES, purpose, room.f_blocks * room.f_frsize)
        yield Taken(DISK_FREE, purpose, room.f_bavail * room.f_frsize)
    try:
        memory = procfs.memory(proc)
        yield Taken(MEMORY_BYTES, "", memory.total)
        yield Taken(MEMORY_AVAILABLE, "", memory.available)
        yield Taken(LOAD, "", procfs.load(proc))
        yield Taken(OOM_KILLS, "", procfs.oom_kills(proc))
    except procfs.Unreadable as error:
        log.warning("samples.no_machine", error=str(error))


async def _of_database(session: Session, now: datetime) -> list[Taken]:
    taken = []
    for figure in FIGURES:
        for *labels, value in await rows_of(session, figure, now=now):
            taken.append(Taken(figure, " ".join(labels), float(value or 0)))
    taken.append(Taken(WORKERS_STARTED, "", float(await session.scalar(text(WORKERS)) or 0)))
    return taken


async def _forget(session: Session, *, now: datetime) -> None:
    await session.execute(
        text(
            "DELETE FROM capacity_samples old WHERE taken_at < :daily OR (taken_at < :hourly AND EXISTS ("
            "SELECT FROM capacity_samples WHERE what = old.what AND subject = old.subject"
            " AND taken_at >= date_trunc('day', old.taken_at, 'UTC') AND taken_at < old.taken_at))"
        ),
        {"daily": now - timedelta(days=DAILY_DAYS), "hourly": now - timedelta(days=HOURLY_DAYS)},
    )


async def of(session: Session, what: str, *, since: datetime, until: datetime) -> dict[str, list[Sample]]:
    """What was kept of ``what`` in that time, by subject, oldest first."""
    table = capacity_samples.c
    rows = await session.execute(
        select(table.subject, table.taken_at, table.value)
        .where(table.what == what, table.taken_at >= since, table.taken_at <= until)
        .order_by(table.subject, table.taken_at)
    )
    found: dict[str, list[Sample]] = {}
    for subject, taken_at, value in rows:
        found.setdefault(subject, []).append((taken_at, value))
    return found
