"""The month's second week: what has grown, where that goes, and what to do before it is full."""

import math
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import text

from getpro.checks.check import Finding, Level, Line
from getpro.kit.trouble import system_words
from getpro.operations import capacity, procfs, samples
from getpro.operations.capacity import SPARE, Growth
from getpro.operations.deps import Deps
from getpro.operations.forecast import LEAST_DAYS, Range, Reached
from getpro.operations.looks.asking import asks_database
from getpro.operations.procfs import PROC
from getpro.operations.units import BYTES, COUNT, NO_BREAK

SAMPLES: Final = Line("machine.samples", "Замеры")
MONTHS: Final = Line("capacity.months", "Новые клиенты")
TABLES: Final = Line("database.growth.tables", "Больше всех растут")
SHARES: Final = (0.8, 0.9, 1.0)
_ATTENTION: Final = timedelta(days=90)
"""Whoever orders a machine needs some weeks."""
_WRONG: Final = timedelta(days=35)
"""Before anybody looks at it again."""
_QUARTER: Final = timedelta(days=91)
_YEAR: Final = timedelta(days=365)
_MONTH_DAYS: Final = 30
_SHOWN_TABLES: Final = 3
_SHOWN_PARTITIONS: Final = 3
_NEWEST: Final = "SELECT max(taken_at), min(taken_at) FROM capacity_samples WHERE what = :what"
_WAITS_LONG_SECONDS: Final = 60
_WEEK: Final = 7
_WAL_MUCH_BYTES: Final = 4 * 1024**3
"""Four times what PostgreSQL keeps by itself."""
_TOO_EARLY: Final = f"мало данных: дней {{}}, нужно {LEAST_DAYS}"
_WHO_KEEPS_WAL: Final = (
    'Кто его держит: 2getpro psql -c "SELECT slot_name, active, restart_lsn FROM pg_replication_slots".'
)
_MORE_CONNECTIONS: Final = (
    'Прибавьте: 2getpro psql -c "ALTER SYSTEM SET max_connections = 200" от postgres, и перезапустите базу.'
)
MONTH_NAMES: Final = (
    "январь", "февраль", "март", "апрель", "май", "июнь",
    "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь",
)  # fmt: skip


@asks_database(SAMPLES)
async def look_at_samples(deps: Deps, *, now: datetime) -> AsyncIterator[Finding]:
    """Whether there is anything to tell from."""
    async with deps.db.read("look: samples") as session:
        [(newest, first)] = await session.execute(text(_NEWEST), {"what": "getpro_database_bytes"})
    if newest is None:
        yield SAMPLES.attention("ещё нет", "Магазин делает их каждый час, пока работает: 2getpro run.")
    elif now - newest > samples.STALE_AFTER:
        yield SAMPLES.unknown(
            f"последний {(now - newest).total_seconds() / 3600:.0f} ч назад",
            "Их делает магазин, пока работает: 2getpro doctor.",
        )
    else:
        yield SAMPLES.ok(f"каждый час, с {first.astimezone(deps.zone):%d.%m.%Y}")


@asks_database(MONTHS)
async def look_at_customers(deps: Deps, *, now: datetime) -> AsyncIterator[Finding]:
    """By month as the guide asks, and how many there will be."""
    async with deps.db.read("look: months") as session:
        months = await capacity.months(session, deps, now)
    shown = [f"{MONTH_NAMES[month.month - 1]} {_count(new)}" for month, new in sorted(months.items())[-3:]]
    yield MONTHS.ok(f"{', '.join(shown)} пока" if shown else "ни одного за год")
    users, *_ = await capacity.of_customers(deps, now)
    yield users.line.ok(told(users))


@asks_database(capacity.PEAK)
async def look_at_load(deps: Deps, *, now: datetime) -> AsyncIterator[Finding]:
    peak, queue = await capacity.of_load(deps, now)
    yield judged(peak, now=now, remedy=_more_cores(peak))
    recent = sorted(queue.days)[-_WEEK:]
    slow = [day for day in recent if queue.days[day] > _WAITS_LONG_SECONDS]
    if not recent:
        yield queue.line.ok("мало данных: ни одного целого дня")
    elif len(slow) > len(recent) / 2:
        yield queue.line.attention(
            f"ждали дольше минуты, дней из {len(recent)}: {len(slow)}",
            "Добавьте worker: docker-compose up -d --scale worker=2, без Docker ещё один 2getpro worker.",
        )
    else:
        yield queue.line.ok(f"работы ждали не больше {max(queue.days[day] for day in recent):.0f} с")


@asks_database(capacity.DATABASE)
async def look_at_database(deps: Deps, *, now: datetime) -> AsyncIterator[Finding]:
    database, wal, connections = await capacity.of_database(deps, now)
    async with deps.db.read("look: tables") as session:
        tables = await capacity.tables(session, now, days=_MONTH_DAYS)
    yield database.line.ok(told(database))
    growing = [
        f"{name} {BYTES.words(added, sign=True)}"
        for name, (_, added) in list(tables.items())[:_SHOWN_TABLES]
        if added > 0
    ]
    yield TABLES.ok(f"за {_MONTH_DAYS} дн {', '.join(growing)}" if growing else "за 30 дн ни одна")
    if wal.now is not None:
        is_much = wal.now > _WAL_MUCH_BYTES
        seen = told(wal)
        yield wal.line.attention(seen, _WHO_KEEPS_WAL) if is_much else wal.line.ok(seen)
    yield judged(connections, now=now, remedy=_MORE_CONNECTIONS)


@asks_database(capacity.BACKUPS)
async def look_at_backups(deps: Deps, *, now: datetime) -> AsyncIterator[Finding]:
    for one in await capacity.of_backups(deps, now):
        yield one.line.ok(told(one))


@asks_database(capacity.DISKS)
async def look_at_machine(deps: Deps, *, now: datetime, proc: Path = PROC) -> AsyncIterator[Finding]:
    """Each disk, the memory and the cores, against what there is of them."""
    try:
        found = await capacity.of_machine(deps, now, proc)
    except (OSError, procfs.Unreadable) as error:
        why = system_words(error) if isinstance(error, OSError) else str(error)
        yield capacity.DISKS.unknown(why, "Посмотрите сами: df -h; free -h.")
        return
    async with deps.db.read("look: partitions") as session:
        partitions = await capacity.old_partitions(session, now)
    for one in found:
        remedies = {capacity.MEMORY: _more_memory(one), capacity.LOAD: _more_cores(one)}
        holds_database = one.line.name.endswith(".data")
        room = _more_room(one, partitions if holds_database else [])
        yield judged(one, now=now, remedy=remedies.get(one.line, room))


def judged(one: Growth, *, now: datetime, remedy: str) -> Finding:
    """By when it is expected to be full: before the next look red; nearly so within three months yellow."""
    limit = one.limit or math.inf
    if one.now is None:
        return one.line.ok(_TOO_EARLY.format(0))
    today = now.astimezone(UTC).date()
    share = (one.now if one.ahead is None else one.ahead.on(one.ahead.last_day).expected) / limit
    level = Level.ATTENTION if share >= SHARES[1] else Level.OK
    if one.ahead is not None:
        if _within(one.ahead.reaches(SHARES[1] * limit).expected, today + _ATTENTION):
            level = Level.ATTENTION
        if _within(one.ahead.reaches(limit).expected, today + _WRONG):
            level = Level.WRONG
    if level is Level.WRONG:
        return one.line.wrong(told(one), remedy)
    return one.line.attention(told(one), remedy) if level is Level.ATTENTION else one.line.ok(told(one))


def _within(day: date | None, last: date) -> bool:
    return day is not None and day <= last


def told(one: Growth) -> str:
    """How much it is, how fast it grows, and when it is full or how much it will be."""
    if one.now is None:
        return _TOO_EARLY.format(0)
    seen = one.unit.words(one.now)
    if one.limit is not None:
        seen = f"{one.now / one.limit:.0%} от {one.unit.words(one.limit)}"
    ahead = one.ahead
    if ahead is None:
        return f"{seen}; прогноз: {_TOO_EARLY.format(len(one.days))}"
    seen += f", {one.unit.words(_WEEK * ahead.per_day, sign=True)} в неделю"
    if one.limit is None:
        quarter, year = ahead.on(ahead.last_day + _QUARTER), ahead.on(ahead.last_day + _YEAR)
        return f"{seen}; через 3 мес {between(one, quarter)}, через год {between(one, year)}"
    reached = [(share, ahead.reaches(share * one.limit)) for share in SHARES]
    if all(when.expected is None for _, when in reached):
        seen += "; хватит больше чем на два года"
        worst = reached[-1][1].earliest
        return seen if worst is None else f"{seen}, в худшем случае до {worst:%d.%m.%Y}"
    return f"{seen}; " + ", ".join(f"{share:.0%} {dates(when)}" for share, when in reached)


def between(one: Growth, values: Range) -> str:
    """``12,4 ГБ (11–13,8)``; ``12,4 ГБ`` where it is certain."""
    divisor, name = one.unit.scale(values.expected)
    low, high = (_short(value / divisor) for value in (values.low, values.high))
    expected = f"{_short(values.expected / divisor)}{NO_BREAK}{name}".rstrip(NO_BREAK)
    return expected if low == high else f"{expected} ({low}–{high})"


def dates(when: Reached) -> str:
    """``03.03.2027 (с 12.01.2027)``: when it is expected, and since when it may be."""
    if when.expected is None:
        return "позже чем через два года" + (
            "" if when.earliest is None else f" (но может и {when.earliest:%d.%m.%Y})"
        )
    if when.earliest is None or when.earliest == when.expected:
        return f"{when.expected:%d.%m.%Y}"
    return f"{when.expected:%d.%m.%Y} (с {when.earliest:%d.%m.%Y})"


def _short(value: float) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1  # noqa: PLR2004 -- three signs
    return f"{value:,.{digits}f}".replace(",", NO_BREAK).replace(".", ",")


def _count(value: int) -> str:
    return COUNT.words(value)


def _more_room(one: Growth, partitions: list[tuple[str, int]]) -> str:
    """What may go, and how much of a disk would do for a year."""
    found = ["старые журналы: 2getpro logs --delete-older 30d"]
    if partitions:
        oldest = partitions[:_SHOWN_PARTITIONS]
        size = BYTES.words(sum(size for _, size in oldest))
        names = ", ".join(name for name, _ in oldest)
        found.append(f'старый журнал сообщений, {size}: 2getpro psql -c "DROP TABLE {names}"')
    words = f"Удалите {'; '.join(found)}."
    wanted = _wanted(one)
    if wanted is not None and one.limit is not None and wanted > one.limit:
        words += f" Или прибавьте диска: на год нужно ещё {BYTES.words(wanted - one.limit)}."
    return words


def _more_memory(one: Growth) -> str:
    wanted = _wanted(one)
    year = "" if wanted is None or wanted <= (one.limit or 0) else f": на год нужно {BYTES.words(wanted)}"
    return f"Прибавьте памяти{year}. Кто её занял: ps aux --sort=-rss | head."


def _more_cores(one: Growth) -> str:
    wanted = _wanted(one)
    if wanted is not None and one.line == capacity.PEAK:
        wanted /= capacity.UPDATES_PER_CORE
    year = "" if wanted is None else f": на год нужно {max(1, math.ceil(wanted))}"
    return f"Прибавьте ядер{year}; или вынесите 2getpro worker на другую машину."


def _wanted(one: Growth) -> float | None:
    """So much of it that in a year, if all goes badly, a fifth is left."""
    return None if one.ahead is None else one.ahead.on(one.ahead.last_day + _YEAR).high / SPARE
