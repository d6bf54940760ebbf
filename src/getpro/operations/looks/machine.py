"""This machine: its memory, how busy it is, whom it had to kill, and how that differs from its own week."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.kit.trouble import system_words
from getpro.operations import procfs, samples
from getpro.operations.looks.asking import asks_database
from getpro.operations.procfs import PROC
from getpro.operations.trends import LEAST_DAYS, Sample, daily, days_until_gone, is_far_off
from getpro.platform.database import Database

MEMORY: Final = Line("machine.memory", "Память")
LOAD: Final = Line("machine.load", "Нагрузка")
KILLED: Final = Line("machine.killed", "Убиты из-за памяти")
WEEK: Final = Line("machine.week", "Память и нагрузка против недели")
FULL: Final = Line("machine.full", "На сколько хватит диска")
_SCARCE: Final = 0.10
_NONE_LEFT: Final = 0.03
_MIB: Final = 1024**2
_BUSY: Final = 2.0
"""Waiting for a core, each."""
_DAY: Final = timedelta(days=1)
_LEAST_HOURS: Final = 72
"""Of the 168 of a week: of fewer nothing is usual yet."""
_MEMORY_MATTERS: Final = 0.15
_LOAD_MATTERS: Final = 0.5
"""Differences, of all memory and of a core, below which nothing is unusual."""
_FULL_ATTENTION_DAYS: Final = 30
_FULL_WRONG_DAYS: Final = 7
_NEVER_DAYS: Final = 3650
_WHO_TOOK_MEMORY: Final = "Найдите, кто её занял: ps aux --sort=-rss | head."


async def look_at_memory(proc: Path = PROC) -> AsyncIterator[Finding]:
    """What programs could still have, as ``free -h`` calls available."""
    try:
        memory = await asyncio.to_thread(procfs.memory, proc)
    except procfs.Unreadable as error:
        yield MEMORY.unknown(str(error), "Посмотрите сами: free -h.")
        return
    share = memory.available / memory.total
    seen = f"свободно {memory.available // _MIB} МБ из {memory.total // _MIB}, {share:.0%}"
    if memory.swapped:
        seen += f"; в подкачке {memory.swapped // _MIB} МБ"
    if share < _NONE_LEFT:
        yield MEMORY.wrong(seen, _WHO_TOOK_MEMORY)
    elif share < _SCARCE:
        yield MEMORY.attention(seen, _WHO_TOOK_MEMORY)
    else:
        yield MEMORY.ok(seen)


async def look_at_load(cores: int, proc: Path = PROC) -> AsyncIterator[Finding]:
    try:
        load = await asyncio.to_thread(procfs.load, proc)
    except procfs.Unreadable as error:
        yield LOAD.unknown(str(error), "Посмотрите сами: uptime.")
        return
    seen = f"за 15 минут {_number(load)} на {cores} ядра"
    yield LOAD.attention(seen, "Найдите, кто занят: top.") if load > _BUSY * cores else LOAD.ok(seen)


@asks_database(KILLED)
async def look_at_killed(db: Database, *, now: datetime, proc: Path = PROC) -> AsyncIterator[Finding]:
    """How many programs the kernel has killed for want of memory since yesterday, or since it started."""
    try:
        killed, booted_at = await asyncio.to_thread(lambda: (procfs.oom_kills(proc), procfs.booted_at(proc)))
    except procfs.Unreadable as error:
        yield KILLED.unknown(str(error), "Посмотрите сами: dmesg | grep -i oom.")
        return
    async with db.read("look: killed") as session:
        kept = await samples.of(session, samples.OOM_KILLS, since=now - 2 * _DAY, until=now)
    # A reboot has set it to zero.
    past = [
        value for at, value in kept.get("", []) if datetime.fromtimestamp(booted_at, UTC) <= at <= now - _DAY
    ]
    before = past[-1] if past else 0
    seen = f"{'за сутки' if past else 'с включения машины'}: {killed - before:.0f}"
    if killed > before:
        yield KILLED.wrong(seen, f"Кого: dmesg | grep -i oom. {_WHO_TOOK_MEMORY}")
    else:
        yield KILLED.ok(seen)


@asks_database(WEEK)
async def look_at_week(
    db: Database, *, now: datetime, cores: int, proc: Path = PROC
) -> AsyncIterator[Finding]:
    """Memory and load against what was usual here by the hour of the last seven days."""
    try:
        memory, load = await asyncio.to_thread(lambda: (procfs.memory(proc), procfs.load(proc)))
    except procfs.Unreadable as error:
        yield WEEK.unknown(str(error), "Посмотрите сами: free -h; uptime.")
        return
    span = {"since": now - 7 * _DAY, "until": now}
    async with db.read("look: week") as session:
        available = _values(await samples.of(session, samples.MEMORY_AVAILABLE, **span))
        loads = _values(await samples.of(session, samples.LOAD, **span))
    if len(loads) < _LEAST_HOURS or len(available) < _LEAST_HOURS:
        yield WEEK.ok(f"мало данных: замеров {len(loads)}, нужно {_LEAST_HOURS}")
        return
    usual_memory, usual_load = median(available), median(loads)
    seen = (
        f"занято памяти {1 - memory.available / memory.total:.0%},"
        f" обычно {1 - usual_memory / memory.total:.0%};"
        f" нагрузка {_number(load)}, обычно {_number(usual_load)}"
    )
    is_memory = memory.available < usual_memory and is_far_off(
        memory.available, available, least=_MEMORY_MATTERS * memory.total
    )
    is_load = load > usual_load and is_far_off(load, loads, least=_LOAD_MATTERS * cores)
    if is_memory or is_load:
        yield WEEK.attention(seen, "Найдите, что изменилось: top; 2getpro logs --since 24h.")
    else:
        yield WEEK.ok(seen)


@asks_database(FULL)
async def look_at_days_until_full(
    db: Database, folders: Mapping[str, Path], *, now: datetime
) -> AsyncIterator[Finding]:
    """By the median slope of the last thirty days' free room; the disk that is full first is told."""
    async with db.read("look: until full") as session:
        kept = await samples.of(session, samples.DISK_FREE, since=now - 30 * _DAY, until=now)
    newest = max((series[-1][0] for series in kept.values()), default=None)
    if newest is None:
        yield FULL.attention("замеров ещё нет", "Магазин делает их каждый час, пока работает: 2getpro run.")
        return
    if now - newest > samples.STALE_AFTER:
        yield FULL.unknown(
            f"последний замер {(now - newest).total_seconds() / 3600:.0f} ч назад",
            "Их делает магазин, пока работает: 2getpro doctor.",
        )
        return
    try:
        free = {purpose: await asyncio.to_thread(_free, folder) for purpose, folder in folders.items()}
    except OSError as error:
        yield FULL.unknown(system_words(error), "Посмотрите сами: df -h.")
        return
    days = {purpose: daily(kept.get(purpose, [])) for purpose in folders}
    left = [days_until_gone(free[purpose], days[purpose]) for purpose in folders]
    known = [one for one in left if one is not None]
    if not known:
        yield FULL.ok(f"мало данных: дней {max(map(len, days.values()))}, нужно {LEAST_DAYS}")
        return
    days_left = min(known, default=float("inf"))
    if days_left > _NEVER_DAYS:
        yield FULL.ok("надолго: за 30 дней занятое почти не выросло")
        return
    seen = f"на {days_left:.0f} дн, если занимать его как последние 30 дней"
    remedy = "Освободите место или увеличьте диск: du -xh / | sort -h | tail."
    if days_left < _FULL_WRONG_DAYS:
        yield FULL.wrong(seen, remedy)
    elif days_left < _FULL_ATTENTION_DAYS:
        yield FULL.attention(seen, remedy)
    else:
        yield FULL.ok(seen)


def _free(folder: Path) -> int:
    """Bytes; of one that is not there yet, those of the folder it will be made in."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    room = os.statvfs(there)
    return room.f_bavail * room.f_frsize


def _values(kept: dict[str, list[Sample]]) -> list[float]:
    return [value for _, value in kept.get("", [])]


def _number(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")
