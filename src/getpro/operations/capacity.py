"""How the shop has grown, what that comes to, and what it would take for so many customers.

Read of the samples (``getpro.operations.samples``); the method is :mod:`getpro.operations.forecast`'s.
"""

import asyncio
import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import text

from getpro.checks.check import Line
from getpro.messaging import partitions
from getpro.operations import procfs, samples
from getpro.operations.deps import Deps
from getpro.operations.figures import rows_of
from getpro.operations.forecast import Days, Forecast, forecast
from getpro.operations.units import BYTES, CORES, COUNT, PER_SECOND, SECONDS, Unit
from getpro.platform.database import Session

USERS: Final = Line("capacity.users", "Клиенты")
PAID: Final = Line("capacity.paid", "Оплат в день")
MESSAGES: Final = Line("capacity.messages", "Сообщений в день")
PEAK: Final = Line("capacity.peak", "Обновления в пике")
QUEUE: Final = Line("capacity.queue", "Очередь в пике")
DATABASE: Final = Line("database.growth", "База растёт")
WAL: Final = Line("database.growth.wal", "Журнал базы на диске")
CONNECTIONS: Final = Line("database.growth.connections", "Соединения в пике")
BACKUPS: Final = Line("backups.growth", "Копии на диске")
DISKS: Final = Line("machine.growth", "Диск и память: прогноз")
MEMORY: Final = Line("machine.growth.memory", "Память в пике")
LOAD: Final = Line("machine.growth.load", "Нагрузка в пике")

UPDATES_PER_CORE: Final = 100
"""A press takes 4 ms of a core, its SQL and the rest of the machine about as much again; a fifth is to spare.
Measured: docs/development/performance.md."""
UPDATES_PER_PROCESS: Final = 200
"""A process has one core to itself."""
SPARE: Final = 0.8
"""What is full to four fifths is full enough."""
LEAST_USERS: Final = 1000
"""Of fewer, what each takes is mostly what an empty shop takes."""
SINCE_DAYS: Final = 400
_DAY: Final = timedelta(days=1)
_SAME_ROOM: Final = 0.001
_PURPOSES: Final = {"data": "данные", "logs": "журналы", "backups": "копии", samples.SYSTEM: "система"}
_BEFORE_TODAY: Final = "SELECT count(*) FROM users WHERE registration_date < :today"
_MONTHS: Final = (
    "SELECT date_trunc('month', registration_date AT TIME ZONE :zone)::date AS month, count(*) FROM users"
    " WHERE registration_date >= (date_trunc('month', CAST(:now AS timestamptz) AT TIME ZONE :zone)"
    " - interval '11 months') AT TIME ZONE :zone GROUP BY 1 ORDER BY 1"
)
_PARTITIONS: Final = (
    f"SELECT name, pg_total_relation_size(name::regclass) FROM ({partitions.EXISTING}) AS existing(name)"  # noqa: S608 -- our own statement
    " ORDER BY 1"
)
_LOOKED_BACK_AT: Final = 2
"""Whole months of messages before the running one: reports are made of them."""
_EMPTY_BYTES: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Growth:
    """One figure: its past by the day, where it goes, and what it must not reach, if anything."""

    line: Line
    unit: Unit
    days: Days
    limit: float | None = None
    ahead: Forecast | None = None
    """None: the past is too short to tell."""

    @property
    def now(self) -> float | None:
        """The last that is known."""
        return self.days[max(self.days)] if self.days else None


def growth(line: Line, unit: Unit, days: Days, limit: float | None = None) -> Growth:
    return Growth(line, unit, days, limit, forecast(days))


async def of_customers(deps: Deps, now: datetime) -> list[Growth]:
    today = _midnight(now)
    async with deps.db.read("capacity: customers") as session:
        kept = await _kept(session, (samples.NEW_USERS, samples.PAID, samples.MESSAGES), now)
        before_today = int(await session.scalar(text(_BEFORE_TODAY), {"today": today}) or 0)
    totals = _backwards(_one(kept, samples.NEW_USERS), before_today)
    return [
        growth(USERS, COUNT, totals),
        growth(PAID, COUNT, _one(kept, samples.PAID)),
        growth(MESSAGES, COUNT, _one(kept, samples.MESSAGES)),
    ]


def _backwards(new: Days, total: int) -> dict[date, float]:
    """How many there were at the end of each day, of what each has added and how many there are now."""
    found, later = {}, 0.0
    for day in sorted(new, reverse=True):
        found[day] = total - later
        later += new[day]
    return found


async def of_load(deps: Deps, now: datetime) -> list[Growth]:
    async with deps.db.read("capacity: load") as session:
        kept = await _kept(session, (samples.PEAK_UPDATES, samples.PEAK_QUEUE), now)
    return [
        growth(PEAK, PER_SECOND, _one(kept, samples.PEAK_UPDATES), UPDATES_PER_CORE * _cores()),
        growth(QUEUE, SECONDS, _whole(_one(kept, samples.PEAK_QUEUE), now)),
    ]


async def of_database(deps: Deps, now: datetime) -> list[Growth]:
    names = ("getpro_database_bytes", samples.WAL_BYTES, samples.PEAK_CONNECTIONS)
    async with deps.db.read("capacity: database") as session:
        kept = await _kept(session, names, now)
        [(connections_max,)] = await rows_of(session, "getpro_database_connections_max", now=now)
    return [
        growth(DATABASE, BYTES, _one(kept, names[0])),
        growth(WAL, BYTES, _one(kept, names[1])),
        growth(CONNECTIONS, COUNT, _whole(_one(kept, names[2]), now), float(connections_max)),
    ]


async def of_backups(deps: Deps, now: datetime) -> list[Growth]:
    async with deps.db.read("capacity: copies") as session:
        kept = await _kept(session, (samples.FOLDER_BYTES,), now)
    return [growth(BACKUPS, BYTES, kept.get(samples.FOLDER_BYTES, {}).get("backups", {}))]


async def of_machine(deps: Deps, now: datetime, proc: Path = procfs.PROC) -> list[Growth]:
    """Raises OSError and Unreadable, where the machine does not say what it has."""
    found = await asyncio.to_thread(disks, deps.folders)
    memory = await asyncio.to_thread(procfs.memory, proc)
    names = (samples.DISK_BYTES, samples.DISK_FREE, samples.PEAK_MEMORY, samples.PEAK_LOAD)
    async with deps.db.read("capacity: machine") as session:
        kept = await _kept(session, names, now)
    free = kept.get(samples.DISK_FREE, {})
    used = {
        purpose: {day: size - free[purpose][day] for day, size in days.items() if day in free[purpose]}
        for purpose, days in kept.get(samples.DISK_BYTES, {}).items()
        if purpose in free
    }
    return [
        *(growth(one.line, BYTES, used.get(one.purposes[0], {}), one.total) for one in found),
        growth(MEMORY, BYTES, _whole(_one(kept, samples.PEAK_MEMORY), now), memory.total),
        growth(LOAD, CORES, _whole(_one(kept, samples.PEAK_LOAD), now), _cores()),
    ]


async def everything(deps: Deps, now: datetime) -> list[Growth]:
    """All of them; of a machine that does not say, the rest."""
    found = [*await of_customers(deps, now), *await of_load(deps, now), *await of_database(deps, now)]
    if deps.absent(BACKUPS) is None:
        found += await of_backups(deps, now)
    if deps.absent(DISKS) is None:
        with contextlib.suppress(OSError, procfs.Unreadable):  # the routine's line says it
            found += await of_machine(deps, now)
    return found


class Disk(NamedTuple):
    """One file system, however many of our folders are on it. Bytes."""

    line: Line
    purposes: tuple[str, ...]
    total: float
    free: float


def disks(folders: Mapping[str, Path]) -> list[Disk]:
    """The file systems that we write to, and the machine's own. Raises OSError.

    Two that are equally large and equally full are one: from a container the same disk is seen through
    several mounts.
    """
    found: list[tuple[list[str], Path, float, float]] = []
    for purpose, folder in samples.disks(folders).items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        room = os.statvfs(there)
        total, free = float(room.f_blocks * room.f_frsize), float(room.f_bavail * room.f_frsize)
        for purposes, _, size, left in found:
            if size == total and abs(left - free) <= _SAME_ROOM * total:
                purposes.append(purpose)
                break
        else:
            found.append(([purpose], _mount(there), total, free))
    return [
        Disk(
            Line(f"machine.growth.disk.{purposes[0]}", f"Диск {mount} ({_in_words(purposes)})"),
            tuple(purposes),
            total,
            free,
        )
        for purposes, mount, total, free in found
    ]


def _mount(path: Path) -> Path:
    path = path.resolve()
    return next(one for one in (path, *path.parents) if os.path.ismount(one))


def _in_words(purposes: Sequence[str]) -> str:
    return ", ".join(_PURPOSES.get(purpose, purpose) for purpose in purposes)


async def months(session: Session, deps: Deps, now: datetime) -> dict[date, int]:
    """New customers of the last twelve months, by the operator's calendar; the running one is not over."""
    rows = await session.execute(text(_MONTHS), {"now": now, "zone": deps.zone.key})
    counted = {month: int(count) for month, count in rows}
    if not counted:
        return {}
    this = now.astimezone(deps.zone).date().replace(day=1)
    return {month: counted.get(month, 0) for month in _through(min(counted), this)}


def _through(first: date, last: date) -> list[date]:
    """The first days of the months from ``first`` to ``last``."""
    found = [first]
    while found[-1] < last:
        found.append((found[-1] + timedelta(days=31)).replace(day=1))
    return found


async def tables(session: Session, now: datetime, *, days: int) -> dict[str, tuple[float, float]]:
    """By table: its bytes, and what ``days`` have added; of those whose past is known, the fastest first."""
    kept = await samples.by_day(session, ("getpro_table_bytes",), since=now - (days + 1) * _DAY, until=now)
    found = {
        name: (past[max(past)], past[max(past)] - past[min(past)])
        for name, past in kept.get("getpro_table_bytes", {}).items()
        if (max(past) - min(past)).days >= days - 1
    }
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


async def old_partitions(session: Session, now: datetime) -> list[tuple[str, int]]:
    """Months of the message log that may go, the oldest first, with their bytes; empty ones do not help."""
    sizes = {name: int(size) for name, size in await session.execute(text(_PARTITIONS))}
    old = partitions.older(sizes, now, months=_LOOKED_BACK_AT)
    return [(name, sizes[name]) for name in old if sizes[name] > _EMPTY_BYTES]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What so many customers would take, if they do as those of today. Bytes; per day; per second."""

    users: int
    now: int
    when: date | None
    """When they are reached at this rate; None: not in two years, or nobody can tell."""
    database: float
    backups: float
    disk: float
    """For both, a fifth of it to spare."""
    messages: float
    paid: float
    peak: float
    cores: int
    processes: int
    """Of ``2getpro web``."""
    is_measured: bool
    """On this shop; if not, on the large database of the bench."""


class _Each(NamedTuple):
    """What one customer takes."""

    database: float
    backups: float
    messages: float
    paid: float
    peak: float


_BENCH: Final = _Each(database=12_300, backups=50_000, messages=0.07, paid=0.005, peak=8e-6)
"""Of bench/data.py: in two years five payments and fifty messages each. A dump of it takes a tenth of it, and
37 are kept, beside two base backups; the busiest minute is taken for ten usual ones."""


async def what_if(deps: Deps, now: datetime, users: int) -> WhatIf:
    """Everything in proportion to the number of customers; see :data:`LEAST_USERS`."""
    since = now - 30 * _DAY
    names = (samples.FOLDER_BYTES, "getpro_database_bytes", *samples.OF_DAYS)
    async with deps.db.read("capacity: what if") as session:
        kept = await samples.by_day(session, names, since=since, until=now)
        today = int(await session.scalar(text("SELECT count(*) FROM users")) or 0)
    [total, *_] = await of_customers(deps, now)
    each = _each(kept, today)
    is_measured = each is not None
    each = each or _BENCH
    database, backups, peak = users * each.database, users * each.backups, users * each.peak
    when = total.ahead.reaches(users).expected if total.ahead is not None and users > today else None
    return WhatIf(
        users=users,
        now=today,
        when=when,
        database=database,
        backups=backups,
        disk=(database + backups) / SPARE,
        messages=users * each.messages,
        paid=users * each.paid,
        peak=peak,
        cores=max(1, math.ceil(peak / (UPDATES_PER_CORE * SPARE))),
        processes=max(1, math.ceil(peak / (UPDATES_PER_PROCESS * SPARE))),
        is_measured=is_measured,
    )


def _each(kept: Mapping[str, Mapping[str, Days]], users: int) -> _Each | None:
    """What one of the ``users`` takes, by the last thirty days; None of too few, or where nothing is kept."""
    database = _one(kept, "getpro_database_bytes")
    messages = _one(kept, samples.MESSAGES)
    if users < LEAST_USERS or not database or not messages:
        return None
    folder = kept.get(samples.FOLDER_BYTES, {}).get("backups", {})
    paid, peak = _one(kept, samples.PAID), _one(kept, samples.PEAK_UPDATES)
    return _Each(
        database=database[max(database)] / users,
        backups=folder[max(folder)] / users if folder else 0.0,
        messages=sum(messages.values()) / len(messages) / users,
        paid=sum(paid.values()) / len(paid) / users if paid else 0.0,
        peak=max(peak.values(), default=0.0) / users,
    )


async def _kept(session: Session, names: Sequence[str], now: datetime) -> Mapping[str, Mapping[str, Days]]:
    return await samples.by_day(session, names, since=now - SINCE_DAYS * _DAY, until=now)


def _one(kept: Mapping[str, Mapping[str, Days]], what: str) -> Days:
    return kept.get(what, {}).get("", {})


def _whole(days: Days, now: datetime) -> Days:
    """Without today, whose peak may still come."""
    today = now.astimezone(UTC).date()
    return {day: value for day, value in days.items() if day < today}


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _cores() -> int:
    return os.cpu_count() or 1
