"""What is kept by the hour, and what is told from it: growth, days until full, what is usual."""

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, text

from getpro.checks.check import Finding, Level
from getpro.operations import procfs, samples, trends
from getpro.operations.deps import Deps
from getpro.operations.figures import rows_of
from getpro.operations.looks import machine, services, tables
from getpro.operations.models import capacity_samples
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import OperationsSettings
from shop import Shop

NOW = datetime(2026, 11, 28, 18, 20, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GONE = Database("postgresql://nobody@127.0.0.1:1/nothing")
GIB = 1024**3


async def seen(look: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in look]


async def keep(db: Database, what: str, past: dict[timedelta, float], subject: str = "") -> None:
    of = {"what": what, "subject": subject}
    rows = [of | {"taken_at": NOW - ago, "value": value} for ago, value in past.items()]
    async with db.begin("test") as session:
        await session.execute(insert(capacity_samples), rows)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine that has run for ten days, with 4 of 10 GiB free, as good as idle."""
    folder = tmp_path / "proc"
    folder.mkdir()
    told(folder, available=4, load=0.2, killed=3, up=10 * DAY)
    return folder


def told(proc: Path, *, available: float, load: float, killed: int, up: timedelta) -> None:
    kib = 1024**2
    (proc / "meminfo").write_text(f"MemTotal: {10 * kib} kB\nMemAvailable: {available * kib:.0f} kB\n")
    (proc / "loadavg").write_text(f"0.1 0.1 {load} 1/2 3\n")
    (proc / "vmstat").write_text(f"nr_free 1\noom_kill {killed}\n")
    (proc / "stat").write_text(f"cpu 1 2\nbtime {(NOW - up).timestamp():.0f}\n")


@pytest.fixture
def deps(shop: Shop, tmp_path: Path) -> Deps:
    shop.clock.now = NOW
    return Deps(
        db=shop.db,
        jobs=shop.jobs,
        clock=shop.clock,
        zone=ZoneInfo("Europe/Moscow"),
        settings=OperationsSettings(),
        folders={"data": tmp_path, "logs": tmp_path / "not/yet/there"},
    )


async def kept(db: Database) -> dict[str, int]:
    async with db.read("test") as session:
        rows = await session.execute(text("SELECT what, count(*) FROM capacity_samples GROUP BY what"))
        return {row[0]: row[1] for row in rows}


async def test_an_hour_is_kept_once_with_all_that_later_is_asked_for(deps: Deps, shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    for _ in range(2):
        await samples.take(deps)
    found = await kept(deps.db)
    of_server = {samples.WORKERS_STARTED, samples.WAL_BYTES, samples.WAL_WRITTEN}
    assert set(found) == {*samples.FIGURES, *samples.MACHINE, *of_server, *samples.PEAKS}
    assert (found["getpro_users"], found[samples.DISK_FREE], found[samples.LOAD]) == (1, 3, 1)
    async with deps.db.read("test") as session:
        users = await samples.of(session, "getpro_users", since=NOW - DAY, until=NOW)
    assert users == {"": [(NOW.replace(minute=0), 1.0)]}


async def values(db: Database, what: str) -> dict[str, float]:
    """By the day, of one without subjects."""
    async with db.read("test") as session:
        found = await samples.of(session, what, since=NOW - 500 * DAY, until=NOW)
    return {f"{at:%d.%m}": value for at, value in found.get("", [])}


async def test_the_most_of_a_days_hours_is_kept(deps: Deps, shop: Shop, proc: Path) -> None:
    for hour, (available, load) in {1: (4, 0.2), 2: (2, 1.5), 3: (5, 0.1)}.items():
        shop.clock.now = NOW.replace(hour=hour)
        told(proc, available=available, load=load, killed=0, up=DAY)
        await samples.take(deps, proc=proc)
    assert await values(deps.db, samples.PEAK_MEMORY) == {"28.11": 8 * GIB}
    assert await values(deps.db, samples.PEAK_LOAD) == {"28.11": 1.5}
    assert (await values(deps.db, samples.PEAK_CONNECTIONS))["28.11"] >= 1


async def test_a_queue_that_waited_is_remembered(deps: Deps, shop: Shop) -> None:
    async with deps.db.begin("test") as session:
        await session.execute(
            text(
                "INSERT INTO procrastinate_jobs (task_name, queue_name, status, scheduled_at)"
                " VALUES ('x', 'settle', 'todo', :since)"
            ),
            {"since": NOW - timedelta(seconds=90)},
        )
    await samples.take(deps)
    async with deps.db.begin("test") as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))
    shop.clock.now = NOW + timedelta(minutes=30)
    await samples.take(deps)
    assert await values(deps.db, samples.PEAK_QUEUE) == {"28.11": 90}


async def test_days_that_are_over_are_counted_once_also_those_nobody_looked(deps: Deps, shop: Shop) -> None:
    async with deps.db.begin("test") as session:
        await session.execute(
            text(
                "INSERT INTO users (user_id, registration_date, language) SELECT n,"
                " CAST(:now AS timestamptz) - n * interval '1 day', 'ru' FROM generate_series(0, 3) AS n"
            ),
            {"now": NOW},
        )
        await session.execute(
            text(
                "INSERT INTO message_logs (user_id, timestamp, kind) SELECT 1,"
                " CAST(:now AS timestamptz) - interval '1 day' + n * interval '30 seconds', 'message'"
                " FROM generate_series(0, 5) AS n"
            ),
            {"now": NOW},
        )
    await samples.take(deps)
    assert await values(deps.db, samples.NEW_USERS) == {"25.11": 1, "26.11": 1, "27.11": 1}  # not yet today
    assert await values(deps.db, samples.MESSAGES) == {"27.11": 6}
    assert await values(deps.db, samples.PEAK_UPDATES) == {"27.11": pytest.approx(2 / 60)}
    assert await values(deps.db, samples.PAID) == {}
    shop.clock.now = NOW + 3 * DAY  # the shop stood still
    await samples.take(deps)
    async with deps.db.read("test") as session:
        [series] = (
            await samples.of(session, samples.NEW_USERS, since=NOW - 9 * DAY, until=NOW + 3 * DAY)
        ).values()
    assert [value for _, value in series] == [1, 1, 1, 1, 0, 0]


async def test_copies_and_logs_are_weighed(deps: Deps, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    (copies / "wal").mkdir(parents=True)
    (copies / "a.dump").write_bytes(b"x" * 1000)
    (copies / "wal/b").write_bytes(b"x" * 500)
    weighed = dataclasses.replace(deps, folders={"data": tmp_path, "backups": copies, "logs": copies / "no"})
    await samples.take(weighed)
    async with deps.db.read("test") as session:
        found = await samples.of(session, samples.FOLDER_BYTES, since=NOW - DAY, until=NOW)
    assert {purpose: value for purpose, [(_, value)] in found.items()} == {"backups": 1500, "logs": 0}


async def test_a_role_that_may_not_see_the_log_keeps_the_rest(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_MAY_WEIGH_WAL", "SELECT false")
    monkeypatch.setattr(samples, "_WAL", "SELECT 1 / 0")
    await samples.take(deps)
    found = await kept(deps.db)
    assert (samples.WAL_BYTES in found, samples.WAL_WRITTEN in found) == (False, True)


async def test_a_machine_that_tells_nothing_does_not_hide_the_database(deps: Deps, tmp_path: Path) -> None:
    await samples.take(deps, proc=tmp_path)
    found = await kept(deps.db)
    assert samples.MEMORY_BYTES not in found
    assert found["getpro_database_bytes"] == 1


async def test_old_hours_are_thinned_to_days_and_older_ones_forgotten(deps: Deps) -> None:
    midnight = NOW - NOW.replace(hour=0, minute=0)
    past = {midnight + 40 * DAY - hour * HOUR: 1.0 for hour in range(24)}
    past |= {midnight + 20 * DAY - hour * HOUR: 2.0 for hour in range(24)}
    past |= {800 * DAY: 3.0}
    await keep(deps.db, "old", past)
    await samples.take(deps)
    async with deps.db.read("test") as session:
        [series] = (await samples.of(session, "old", since=NOW - 900 * DAY, until=NOW)).values()
    values = [value for _, value in series]
    assert (values.count(1.0), values.count(2.0), values.count(3.0)) == (1, 24, 0)
    assert series[0][0] == NOW - midnight - 40 * DAY


def days(*values: float) -> dict[date, float]:
    return {date(2026, 11, 1) + timedelta(days=number): value for number, value in enumerate(values)}


def test_how_long_room_lasts_is_not_moved_by_one_wild_day() -> None:
    steady = [100 - number for number in range(12)]
    assert trends.days_until_gone(89, days(*steady)) == pytest.approx(89)
    steady[5] = 20  # a large file that came and went
    assert trends.days_until_gone(89, days(*steady)) == pytest.approx(89, rel=0.1)
    assert trends.days_until_gone(89, days(*[50.0] * 9)) == float("inf")
    assert trends.days_until_gone(89, days(*steady[:6])) is None


def test_growth_needs_a_sample_of_about_then() -> None:
    past = [(NOW - 8 * DAY, 10.0), (NOW - DAY, 15.0)]
    assert trends.growth(past, 25.0, now=NOW, days=7) == 15.0
    assert trends.growth(past, 25.0, now=NOW, days=30) is None


@pytest.mark.parametrize(("days_left", "level"), [(400, Level.OK), (20, Level.ATTENTION), (3, Level.WRONG)])
async def test_a_disk_that_will_be_full_soon_is_red(
    db: Database, tmp_path: Path, days_left: float, level: Level
) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    daily = free / days_left
    await keep(db, samples.DISK_FREE, {ago * DAY: free + ago * daily for ago in range(10)}, "data")
    [found] = await seen(machine.look_at_days_until_full(db, {"data": tmp_path}, now=NOW))
    assert (found.level, found.seen.startswith(f"на {days_left} дн")) == (level, True), found.seen


async def test_until_full_says_when_it_knows_too_little_and_is_red_when_nobody_measures(
    db: Database, tmp_path: Path
) -> None:
    async def judged() -> tuple[Level, str]:
        [found] = await seen(machine.look_at_days_until_full(db, {"data": tmp_path}, now=NOW))
        return found.level, found.seen

    assert await judged() == (Level.ATTENTION, "замеров ещё нет")
    await keep(db, samples.DISK_FREE, {ago * DAY + 5 * HOUR: 1e9 for ago in range(3)}, "data")
    assert await judged() == (Level.UNKNOWN, "последний замер 5 ч назад")
    await keep(db, samples.DISK_FREE, {HOUR: 1e9}, "data")
    assert await judged() == (Level.OK, "мало данных: дней 3, нужно 7")


async def test_whoever_the_kernel_has_killed_since_yesterday_is_red(db: Database, proc: Path) -> None:
    async def judged() -> tuple[Level, str]:
        [found] = await seen(machine.look_at_killed(db, now=NOW, proc=proc))
        return found.level, found.seen

    assert await judged() == (Level.WRONG, "с включения машины: 3")
    await keep(db, samples.OOM_KILLS, {25 * HOUR: 3, 3 * HOUR: 3})
    assert await judged() == (Level.OK, "за сутки: 0")
    told(proc, available=4, load=0.2, killed=5, up=10 * DAY)
    assert await judged() == (Level.WRONG, "за сутки: 2")
    told(proc, available=4, load=0.2, killed=1, up=2 * HOUR)  # and began to count anew
    assert await judged() == (Level.WRONG, "с включения машины: 1")
    (proc / "vmstat").write_text("nothing\n")
    assert (await judged())[0] is Level.UNKNOWN


async def test_memory_and_load_are_held_against_this_machines_own_week(db: Database, proc: Path) -> None:
    async def judged() -> Finding:
        [found] = await seen(machine.look_at_week(db, now=NOW, cores=2, proc=proc))
        return found

    assert (await judged()).seen == "мало данных: замеров 0, нужно 72"
    await keep(db, samples.MEMORY_AVAILABLE, {n * HOUR: 4 * GIB + n % 3 * 0.1 * GIB for n in range(1, 160)})
    await keep(db, samples.LOAD, {n * HOUR: 0.2 + n % 3 * 0.1 for n in range(1, 160)})
    assert (await judged()).level is Level.OK
    told(proc, available=1.5, load=0.2, killed=0, up=DAY)
    found = await judged()
    assert (found.level, "занято памяти 85%, обычно 59%" in found.seen) == (Level.ATTENTION, True), found.seen
    told(proc, available=4, load=1.9, killed=0, up=DAY)
    assert (await judged()).level is Level.ATTENTION
    told(proc, available=8, load=0.0, killed=0, up=DAY)  # more room than usual is no trouble
    assert (await judged()).level is Level.OK
    (proc / "loadavg").unlink()
    assert (await judged()).level is Level.UNKNOWN


async def test_tables_are_told_with_what_a_week_and_a_month_have_added(
    db: Database, database_url: str
) -> None:
    async def judged() -> dict[str, Finding]:
        return {one.name: one for one in await seen(tables.look_at_sizes(db, now=NOW))}

    found = await judged()
    whole = found["database.sizes"].seen
    assert whole.startswith("база ")
    assert whole.endswith("МБ, за 7 дн мало данных, за 30 дн мало данных")
    async with db.read("test") as session:
        [(size,)] = await rows_of(session, "getpro_database_bytes", now=NOW)
    await keep(db, "getpro_database_bytes", {7 * DAY: size - 5 * 1024**2, 31 * DAY: size + 2 * 1024**2})
    assert (await judged())["database.sizes"].seen.endswith("за 7 дн +5 МБ, за 30 дн −2 МБ")


async def test_a_large_table_that_swells_is_worth_a_look(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_LARGE_BYTES", 0)
    async with db.read("test") as session:
        size = float(await session.scalar(text("SELECT pg_total_relation_size('plans')")) or 0)
    monkeypatch.setattr(tables, "_SHOWN", 1000)
    await keep(db, "getpro_table_bytes", {7 * DAY: size / 3}, "plans")
    found = {one.name: one for one in await seen(tables.look_at_sizes(db, now=NOW))}
    assert found["database.sizes.plans"].level is Level.ATTENTION
    assert found["database.sizes.users"].level is Level.OK


async def test_a_shop_whose_work_nobody_does_is_red(db: Database, jobs: Jobs) -> None:
    async def judged() -> tuple[Level, str]:
        [found] = await seen(services.look_at_workers(db, now=NOW))
        return found.level, found.seen

    assert await judged() == (Level.WRONG, "никто их не делает")
    working = asyncio.create_task(jobs.work())
    async with asyncio.timeout(20):
        while (await judged())[0] is Level.WRONG:
            await asyncio.sleep(0.05)
    assert await judged() == (Level.OK, "процессов 1; о запусках за сутки мало данных")
    await keep(db, samples.WORKERS_STARTED, {25 * HOUR: -8})
    assert await judged() == (Level.ATTENTION, "процессов 1, запусков за сутки 3")
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    assert (await judged())[0] is Level.WRONG


async def test_without_the_database_each_of_them_is_red(proc: Path, tmp_path: Path) -> None:
    looks = [
        machine.look_at_killed(GONE, now=NOW, proc=proc),
        machine.look_at_week(GONE, now=NOW, cores=2, proc=proc),
        machine.look_at_days_until_full(GONE, {"data": tmp_path}, now=NOW),
        services.look_at_workers(GONE, now=NOW),
    ]
    for look in looks:
        assert [one.level for one in await seen(look)] == [Level.UNKNOWN]


def test_this_machine_tells_all_of_it() -> None:
    assert 0 < procfs.memory().available <= procfs.memory().total
    assert procfs.load() >= 0
    assert procfs.oom_kills() >= 0
    assert procfs.booted_at() > 1_500_000_000
