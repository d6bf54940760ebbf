"""What this machine and the database hold, kept by the hour: to tell growth, and what is usual.

``what`` is the name of a figure of the database (``getpro.operations.figures``) or one of those below;
``subject`` is what it is of: a table, a folder by its purpose. Bytes, counts, seconds. Kept by the hour for
:data:`HOURLY_DAYS`, of older days the first of each for :data:`DAILY_DAYS`. :data:`PEAKS` and :data:`OF_DAYS`
are of whole days, in UTC, and have one sample each, at the day's beginning.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from sqlalchemy import func, select, text
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
CONNECTIONS: Final = "getpro_database_connections"
FIGURES: Final = (
    "getpro_users",
    "getpro_subscriptions_active",
    "getpro_database_bytes",
    CONNECTIONS,
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
FOLDER_BYTES: Final = "folder_bytes"
WAL_BYTES: Final = "wal_bytes"
WAL_WRITTEN: Final = "wal_written_bytes"
MACHINE: Final = (DISK_BYTES, DISK_FREE, FOLDER_BYTES, MEMORY_BYTES, MEMORY_AVAILABLE, LOAD, OOM_KILLS)
SYSTEM: Final = "system"
"""The purpose of the disk that the machine itself is on."""
WEIGHED: Final = ("backups", "logs")
"""Folders whose files are ours to sum up; the data are the database's."""
PEAK_MEMORY: Final = "peak_memory_bytes"
PEAK_LOAD: Final = "peak_load"
PEAK_CONNECTIONS: Final = "peak_connections"
PEAK_QUEUE: Final = "peak_queue_seconds"
PEAKS: Final = (PEAK_MEMORY, PEAK_LOAD, PEAK_CONNECTIONS, PEAK_QUEUE)
"""The most of a day's hours."""
NEW_USERS: Final = "new_users"
PAID: Final = "paid_payments"
MESSAGES: Final = "messages"
PEAK_UPDATES: Final = "peak_updates"
OF_DAYS: Final = (NEW_USERS, PAID, MESSAGES, PEAK_UPDATES)
"""Counted of the tables when the day is over; ``PEAK_UPDATES`` by the second, in the day's busiest minute."""
_LONG_AGO: Final = timedelta(days=400)
_NOT_LONG_AGO: Final = timedelta(days=35)
"""How far back they are counted where none is kept yet; messages are many."""
_COUNTED: Final = {
    (NEW_USERS,): (
        _LONG_AGO,
        "SELECT min(registration_date) FROM users",
        "SELECT count(*) FROM users WHERE registration_date >= day AND registration_date < day + '1 day'",
    ),
    (PAID,): (
        _LONG_AGO,
        "SELECT min(paid_at) FROM payments",
        "SELECT count(*) FROM payments WHERE paid_at >= day AND paid_at < day + '1 day'",
    ),
    (MESSAGES, PEAK_UPDATES): (
        _NOT_LONG_AGO,
        "SELECT min(timestamp) FROM message_logs",
        (
            "SELECT coalesce(sum(of_minute), 0), coalesce(max(of_minute), 0) / 60.0 FROM ("
            "SELECT count(*) AS of_minute FROM message_logs"
            " WHERE timestamp >= day AND timestamp < day + '1 day' GROUP BY date_trunc('minute', timestamp)"
            ") AS minutes"
        ),
    ),
}
"""By names: how far back, when it began, and a day's figures: ``day`` is its beginning."""
WORKERS: Final = (
    "SELECT coalesce(pg_sequence_last_value("
    "pg_get_serial_sequence('procrastinate_workers', 'id')::regclass), 0)"
)
"""How many workers have ever begun: each takes the next number."""
_WAL_WRITTEN: Final = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
_WAL: Final = "SELECT sum(size) FROM pg_ls_waldir()"
_MAY_WEIGH_WAL: Final = "SELECT has_function_privilege('pg_ls_waldir()', 'execute')"
"""A role of one's own server may not belong to ``pg_monitor``."""
_BY_DAY: Final = (
    "SELECT what, subject, (taken_at AT TIME ZONE 'UTC')::date AS day,"
    " percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FROM capacity_samples"
    " WHERE what = ANY(:names) AND taken_at >= :since AND taken_at <= :until"
    " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)
_DAY: Final = timedelta(days=1)
_KEY: Final = ("what", "subject", "taken_at")


class Taken(NamedTuple):
    what: str
    subject: str
    value: float


async def take(deps: Deps, proc: Path = procfs.PROC) -> None:
    """Keep this hour's figures, once, with the day's peaks and what days that are over brought; a flow.

    What is old is forgotten.
    """
    now = deps.clock()
    taken = await asyncio.to_thread(lambda: list(_of_machine(deps, proc)))
    async with deps.db.begin("samples") as session:
        taken += await _of_database(session, now)
        hour = now.replace(minute=0, second=0, microsecond=0)
        rows = [{"taken_at": hour} | one._asdict() for one in taken]
        await session.execute(insert(capacity_samples).values(rows).on_conflict_do_nothing())
        await _keep_peaks(session, taken, now=now)
        await _count_days(session, now=now)
        await _forget(session, now=now)


async def _keep_peaks(session: Session, taken: Sequence[Taken], *, now: datetime) -> None:
    """What this hour has of the day's most."""
    by_name: dict[str, float] = {}
    for one in taken:
        by_name[one.what] = by_name.get(one.what, 0) + one.value
    peaks = {PEAK_CONNECTIONS: by_name.get(CONNECTIONS, 0), PEAK_QUEUE: await _queue_seconds(session, now)}
    if MEMORY_AVAILABLE in by_name:
        peaks[PEAK_MEMORY] = by_name[MEMORY_BYTES] - by_name[MEMORY_AVAILABLE]
    if LOAD in by_name:
        peaks[PEAK_LOAD] = by_name[LOAD]
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    new = insert(capacity_samples).values(
        [{"taken_at": day, "what": what, "subject": "", "value": value} for what, value in peaks.items()]
    )
    greatest = {"value": func.greatest(capacity_samples.c.value, new.excluded.value)}
    await session.execute(new.on_conflict_do_update(index_elements=_KEY, set_=greatest))


async def _queue_seconds(session: Session, now: datetime) -> float:
    rows = await rows_of(session, "getpro_queue_oldest_seconds", now=now)
    return max((float(value or 0) for _, value in rows), default=0.0)


async def _count_days(session: Session, *, now: datetime) -> None:
    """Count what the days that are over have brought, from the day after the last that is kept.

    Where nothing is kept yet, from when it began: a shop that was brought up to date has its past.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for names, (back, beginning, statement) in _COUNTED.items():
        last = await session.scalar(
            select(func.max(capacity_samples.c.taken_at)).where(capacity_samples.c.what == names[0])
        )
        first = await session.scalar(text(beginning)) if last is None else last + _DAY
        if first is None:
            continue
        first = max(first.astimezone(UTC), today - back).replace(hour=0, minute=0, second=0, microsecond=0)
        counted = await session.execute(
            text(
                "SELECT day, of_day.* FROM generate_series(CAST(:first AS timestamptz), :last, '1 day')"  # noqa: S608 -- our own statement
                f" AS days(day), LATERAL ({statement}) AS of_day"
            ),
            {"first": first, "last": today - _DAY},
        )
        rows = [
            {"taken_at": day, "what": what, "subject": "", "value": float(value)}
            for day, *values in counted
            for what, value in zip(names, values, strict=True)
        ]
        if rows:
            await session.execute(insert(capacity_samples).values(rows).on_conflict_do_nothing())


def _of_machine(deps: Deps, proc: Path) -> Iterator[Taken]:
    """What cannot be read is told in the log, and by the looks; the rest is kept."""
    for purpose, folder in disks(deps.folders).items():
        try:
            there = next(path for path in (folder, *folder.parents) if path.exists())
            room = os.statvfs(there)
        except OSError as error:
            log.warning("samples.no_folder", purpose=purpose, error=type(error).__name__)
            continue
        yield Taken(DISK_BYTES, purpose, room.f_blocks * room.f_frsize)
        yield Taken(DISK_FREE, purpose, room.f_bavail * room.f_frsize)
        if purpose in WEIGHED:
            yield Taken(FOLDER_BYTES, purpose, _weigh(folder))
    try:
        memory = procfs.memory(proc)
        yield Taken(MEMORY_BYTES, "", memory.total)
        yield Taken(MEMORY_AVAILABLE, "", memory.available)
        yield Taken(LOAD, "", procfs.load(proc))
        yield Taken(OOM_KILLS, "", procfs.oom_kills(proc))
    except procfs.Unreadable as error:
        log.warning("samples.no_machine", error=str(error))


def disks(folders: Mapping[str, Path]) -> dict[str, Path]:
    """Where room is looked at: what is written to, and the machine's own disk."""
    return {**folders, SYSTEM: Path("/")}


def _weigh(folder: Path) -> int:
    """The bytes of all files in it; what goes meanwhile weighs nothing."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118 -- thousands, each hour
    return total


async def _of_database(session: Session, now: datetime) -> list[Taken]:
    taken = []
    for figure in FIGURES:
        for *labels, value in await rows_of(session, figure, now=now):
            taken.append(Taken(figure, " ".join(labels), float(value or 0)))
    taken.append(Taken(WORKERS_STARTED, "", float(await session.scalar(text(WORKERS)) or 0)))
    taken.append(Taken(WAL_WRITTEN, "", float(await session.scalar(text(_WAL_WRITTEN)) or 0)))
    if await session.scalar(text(_MAY_WEIGH_WAL)):
        taken.append(Taken(WAL_BYTES, "", float(await session.scalar(text(_WAL)) or 0)))
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


async def by_day(
    session: Session, names: Sequence[str], *, since: datetime, until: datetime
) -> dict[str, dict[str, dict[date, float]]]:
    """The median of each day, in UTC, by figure and subject, oldest first."""
    rows = await session.execute(text(_BY_DAY), {"names": list(names), "since": since, "until": until})
    found: dict[str, dict[str, dict[date, float]]] = {}
    for what, subject, day, value in rows:
        found.setdefault(what, {}).setdefault(subject, {})[day] = value
    return found
