"""The month's second week: growth, forecasts against limits, what to do, the picture, and what if."""

import struct
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, text

from getpro.checks.check import Finding, Level, Line, worst
from getpro.operations import capacity, outlook, samples
from getpro.operations.deps import Deps
from getpro.operations.forecast import LEAST_DAYS
from getpro.operations.looks import capacity as looks
from getpro.operations.models import capacity_samples
from getpro.operations.routines import ROUTINES, carry_out
from getpro.operations.units import BYTES, COUNT, PER_SECOND
from getpro.platform.database import Database
from getpro.platform.settings import OperationsSettings
from getpro.platform.typesetting import draw
from getpro.sandbox.shop.product import _absent
from guide_lines import GUIDE
from shop import Shop

NOW = datetime(2026, 11, 8, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GIB = 1024**3
GONE = Database("postgresql://nobody@127.0.0.1:1/nothing")


@pytest.fixture
def deps(shop: Shop, tmp_path: Path) -> Deps:
    shop.clock.now = NOW
    return Deps(
        db=shop.db,
        jobs=shop.jobs,
        clock=shop.clock,
        zone=ZoneInfo("Europe/Moscow"),
        settings=OperationsSettings(),
        folders={"data": tmp_path},
    )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """100 GiB of disk in one piece, 4 GiB of memory, two cores."""
    monkeypatch.setattr(capacity, "disks", lambda _: [capacity.Disk(DISK, ("data",), 100 * GIB, 50 * GIB)])
    monkeypatch.setattr(capacity, "_cores", lambda: 2)
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "meminfo").write_text(f"MemTotal: {4 * 1024**2} kB\nMemAvailable: {3 * 1024**2} kB\n")
    return proc


DISK = Line("machine.growth.disk.data", "Диск / (данные)")


async def keep(deps: Deps, what: str, values: Mapping[int, float], subject: str = "") -> None:
    """``values`` by how many days ago."""
    midnight = NOW.replace(hour=0)
    rows = [
        {"what": what, "subject": subject, "taken_at": midnight - ago * DAY, "value": value}
        for ago, value in values.items()
    ]
    async with deps.db.begin("test") as session:
        await session.execute(insert(capacity_samples), rows)


async def keep_disk(deps: Deps, used: Callable[[int], float], days: int = 60) -> None:
    """``used`` GiB of 100, so many days ago."""
    await keep(deps, samples.DISK_BYTES, dict.fromkeys(range(days), 100 * GIB), "data")
    await keep(deps, samples.DISK_FREE, {ago: (100 - used(ago)) * GIB for ago in range(days)}, "data")


async def seen(look: AsyncIterator[Finding]) -> dict[str, Finding]:
    return {finding.name: finding async for finding in look}


async def on_machine(deps: Deps, machine: Path) -> dict[str, Finding]:
    return await seen(looks.look_at_machine(deps, now=NOW, proc=machine))


async def test_a_disk_says_when_it_will_be_at_80_90_and_100_percent(deps: Deps, machine: Path) -> None:
    await keep_disk(deps, lambda ago: 60 - 0.1 * ago)
    found = (await on_machine(deps, machine))[DISK.name]
    assert found.level is Level.OK
    assert found.seen.replace("\N{NO-BREAK SPACE}", " ") == (
        "60% от 100 ГБ, +717 МБ в неделю; 80% 27.05.2027, 90% 04.09.2027, 100% 13.12.2027"
    )


@pytest.mark.parametrize(
    ("used", "per_day", "level"),
    [
        (50, 0.1, Level.OK),
        (60, 0.5, Level.ATTENTION),  # full in eighty days
        (70, 0.25, Level.ATTENTION),  # at nine tenths in eighty
        (91, 0.0, Level.ATTENTION),  # stands, and has little left
        (80, 0.6, Level.WRONG),  # full in 34 days: before anybody looks again
    ],
)
async def test_a_disk_is_judged_by_when_it_is_full(
    deps: Deps, machine: Path, used: float, per_day: float, level: Level
) -> None:
    await keep_disk(deps, lambda ago: used - per_day * ago)
    assert (await on_machine(deps, machine))[DISK.name].level is level


async def test_what_to_do_names_partitions_that_may_go_and_the_disk_that_a_year_takes(
    deps: Deps, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "_EMPTY_BYTES", 0)
    async with deps.db.begin("test") as session:
        for month in (1, 2):
            await session.execute(
                text(
                    f"CREATE TABLE message_logs_2026_0{month} PARTITION OF message_logs"
                    f" FOR VALUES FROM ('2026-0{month}-01 00:00Z') TO ('2026-0{month + 1}-01 00:00Z')"
                )
            )
    await keep_disk(deps, lambda ago: 80 - 0.6 * ago)
    found = (await on_machine(deps, machine))[DISK.name]
    assert "2getpro logs --delete-older 30d" in found.remedy
    assert '2getpro psql -c "DROP TABLE message_logs_2026_01, message_logs_2026_02' in found.remedy
    # In a year 80 + 0.6 * 365 GiB, a fifth of it to spare: 373.75, of which 100 are there.
    assert "на год нужно ещё 274\N{NO-BREAK SPACE}ГБ" in found.remedy


async def test_the_latest_months_of_messages_are_never_offered(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "_EMPTY_BYTES", 0)
    async with deps.db.begin("test") as session:
        for month in range(5, 10):
            await session.execute(
                text(
                    f"CREATE TABLE message_logs_2026_0{month} PARTITION OF message_logs"
                    f" FOR VALUES FROM ('2026-0{month}-01 00:00Z') TO ('2026-{month + 1:02}-01 00:00Z')"
                )
            )
        names = [name for name, _ in await capacity.old_partitions(session, NOW)]
    assert names == [f"message_logs_2026_0{month}" for month in (5, 6, 7, 8)]


@pytest.mark.parametrize("what", [samples.PEAK_MEMORY, samples.PEAK_LOAD])
async def test_memory_and_cores_that_will_not_do_are_red(deps: Deps, machine: Path, what: str) -> None:
    limit, line = {
        samples.PEAK_MEMORY: (4 * GIB, capacity.MEMORY),
        samples.PEAK_LOAD: (2, capacity.LOAD),
    }[what]
    await keep(deps, what, {ago: limit * (0.9 - 0.005 * ago) for ago in range(1, 60)})
    found = (await on_machine(deps, machine))[line.name]
    assert (found.level, "на год нужно" in found.remedy) == (Level.WRONG, True), found
    others = {capacity.MEMORY.name, capacity.LOAD.name} - {line.name}
    assert all(
        "мало данных" in one.seen for name, one in (await on_machine(deps, machine)).items() if name in others
    )


async def test_todays_peak_may_still_come_and_is_not_told(deps: Deps, machine: Path) -> None:
    await keep(deps, samples.PEAK_LOAD, {0: 0.0} | dict.fromkeys(range(1, 60), 1.0))
    found = (await on_machine(deps, machine))[capacity.LOAD.name]
    assert found.seen.startswith("50% от 2, 0 в неделю")


async def test_too_short_a_past_is_said_and_a_full_disk_even_then(deps: Deps, machine: Path) -> None:
    found = await on_machine(deps, machine)
    assert found[DISK.name].seen == "мало данных: дней 0, нужно 28"
    await keep_disk(deps, lambda _: 95, days=LEAST_DAYS - 1)
    found = await on_machine(deps, machine)
    assert found[DISK.name].level is Level.ATTENTION
    assert found[DISK.name].seen.endswith("прогноз: мало данных: дней 27, нужно 28")


async def test_a_machine_that_says_nothing_is_red(deps: Deps, machine: Path) -> None:
    (machine / "meminfo").unlink()
    [found] = (await on_machine(deps, machine)).values()
    assert found.level is Level.UNKNOWN


async def test_connections_that_will_run_out_are_red(deps: Deps) -> None:
    async def judged() -> Finding:
        return (await seen(looks.look_at_database(deps, now=NOW)))[capacity.CONNECTIONS.name]

    async with deps.db.read("test") as session:
        most = float(await session.scalar(text("SELECT current_setting('max_connections')::int")) or 0)
    await keep(deps, samples.PEAK_CONNECTIONS, {ago: most * (0.9 - 0.005 * ago) for ago in range(1, 60)})
    found = await judged()
    assert (found.level, "max_connections" in found.remedy) == (Level.WRONG, True)


async def test_a_log_of_the_database_that_somebody_holds_is_told(deps: Deps) -> None:
    async def judged() -> Level:
        return (await seen(looks.look_at_database(deps, now=NOW)))[capacity.WAL.name].level

    await keep(deps, samples.WAL_BYTES, dict.fromkeys(range(1, 3), 1.0 * GIB))
    assert await judged() is Level.OK
    await keep(deps, samples.WAL_BYTES, {0: 5.0 * GIB})
    assert await judged() is Level.ATTENTION


async def test_the_tables_that_grow_most_are_named(deps: Deps) -> None:
    for name, added in {"payments": 10, "users": 3, "plans": 0, "message_logs": 500}.items():
        await keep(deps, "getpro_table_bytes", {30: GIB, 0: GIB + added * 1024**2}, name)
    await keep(deps, "getpro_table_bytes", {3: 0, 0: 900.0 * GIB}, "new")  # of which nothing is known
    found = (await seen(looks.look_at_database(deps, now=NOW)))[looks.TABLES.name]
    assert found.seen.replace("\N{NO-BREAK SPACE}", " ") == (
        "за 30 дн message_logs +500 МБ, payments +10 МБ, users +3 МБ"
    )


async def test_updates_that_the_machine_will_not_bear_are_red(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "_cores", lambda: 2)
    await keep(deps, samples.PEAK_UPDATES, {ago: 190.0 - ago for ago in range(1, 60)})
    found = (await seen(looks.look_at_load(deps, now=NOW)))[capacity.PEAK.name]
    # In a year 190 + 365 a second: 5.55 cores, a fifth to spare.
    assert (found.level, "Прибавьте ядер: на год нужно 7" in found.remedy) == (Level.WRONG, True), found


async def test_work_that_waits_on_most_days_wants_a_worker(deps: Deps) -> None:
    async def judged() -> Finding:
        return (await seen(looks.look_at_load(deps, now=NOW)))[capacity.QUEUE.name]

    assert (await judged()).seen == "мало данных: ни одного целого дня"
    await keep(deps, samples.PEAK_QUEUE, {1: 300, 2: 200, 3: 300} | dict.fromkeys(range(4, 8), 1))
    assert (await judged()).level is Level.OK  # three days of seven
    await keep(deps, samples.PEAK_QUEUE, {0: 900})  # today is not over
    assert (await judged()).level is Level.OK
    async with deps.db.begin("test") as session:
        await session.execute(
            text("UPDATE capacity_samples SET value = 61 WHERE value = 1 AND taken_at > :day"),
            {"day": NOW - 5 * DAY},
        )
    found = await judged()
    assert (found.level, "--scale worker=2" in found.remedy) == (Level.ATTENTION, True)


async def test_samples_that_nobody_takes_are_red(deps: Deps, shop: Shop) -> None:
    async def judged(now: datetime) -> Level:
        return (await seen(looks.look_at_samples(deps, now=now)))[looks.SAMPLES.name].level

    assert await judged(NOW) is Level.ATTENTION
    await samples.take(deps)
    assert await judged(NOW) is Level.OK
    assert await judged(NOW + timedelta(hours=5)) is Level.UNKNOWN


async def customers(deps: Deps, *, by_day: Mapping[int, int]) -> None:
    """New ones by how many days ago."""
    rows = [ago for ago, count in by_day.items() for _ in range(count)]
    async with deps.db.begin("test") as session:
        await session.execute(
            text(
                "INSERT INTO users (user_id, registration_date, language)"
                " SELECT number, CAST(:now AS timestamptz) - ago * interval '1 day', 'ru'"
                " FROM unnest(CAST(:ago AS int[])) WITH ORDINALITY AS those(ago, number)"
            ),
            {"now": NOW, "ago": rows},
        )


async def test_customers_are_foretold_of_the_tables_own_past(deps: Deps) -> None:
    """A shop that was brought up to date today has its whole past: nobody has to wait for samples."""
    await customers(deps, by_day=dict.fromkeys(range(1, 61), 3) | {0: 50})
    await samples.take(deps)
    [users, *_] = await capacity.of_customers(deps, NOW)
    assert [users.days[date(2026, 11, 7) - ago * DAY] for ago in (0, 1, 59)] == [180, 177, 3]
    found = await seen(looks.look_at_customers(deps, now=NOW))
    assert found[capacity.USERS.name].seen.replace("\N{NO-BREAK SPACE}", " ") == (
        "180, +21 в неделю; через 3 мес 453, через год 1 275"
    )


async def test_months_are_the_operators_and_an_empty_one_is_shown(deps: Deps) -> None:
    """Registered on 31 October at 22:00 in UTC: in Moscow it is November."""
    of_november = (NOW - datetime(2026, 10, 31, 22, 0, tzinfo=UTC)) / DAY
    async with deps.db.begin("test") as session:
        for number, ago in enumerate([of_november, 95, 96, 400]):
            await session.execute(
                text(
                    "INSERT INTO users (user_id, registration_date, language)"
                    " VALUES (:number, CAST(:now AS timestamptz) - :ago * interval '1 day', 'ru')"
                ),
                {"number": number, "now": NOW, "ago": ago},
            )
        months = await capacity.months(session, deps, NOW)
    assert months == {
        date(2026, 8, 1): 2,
        date(2026, 9, 1): 0,
        date(2026, 10, 1): 0,
        date(2026, 11, 1): 1,
    }
    found = await seen(looks.look_at_customers(deps, now=NOW))
    assert found[looks.MONTHS.name].seen == "сентябрь 0, октябрь 0, ноябрь 1 пока"


async def test_twelve_months_are_whole(deps: Deps) -> None:
    """In December those begin with January: not with the last hours of the December before."""
    for number, at in enumerate(["2025-12-31 20:59Z", "2025-12-31 21:00Z", "2026-12-05 10:00Z"]):
        async with deps.db.begin("test") as session:
            await session.execute(
                text("INSERT INTO users (user_id, registration_date, language) VALUES (:number, :at, 'ru')"),
                {"number": number, "at": datetime.fromisoformat(at)},
            )
    async with deps.db.read("test") as session:
        months = await capacity.months(session, deps, datetime(2026, 12, 8, 8, 0, tzinfo=UTC))
    assert len(months) == 12
    assert {month: new for month, new in months.items() if new} == {date(2026, 1, 1): 1, date(2026, 12, 1): 1}


async def test_without_the_database_each_line_is_red(deps: Deps) -> None:
    gone = replace(deps, db=GONE)
    checks = ROUTINES["capacity"].checks(gone, NOW)
    for check in checks:
        found = [finding async for finding in check.look()]
        assert (worst(found), found[-1].name) == (Level.UNKNOWN, check.line.name)


async def test_the_sandbox_tells_of_customers_and_the_database_and_not_of_this_computer(deps: Deps) -> None:
    await customers(deps, by_day=dict.fromkeys(range(1, 41), 3))
    await samples.take(deps)
    run = await carry_out(replace(deps, absent=_absent), ROUTINES["capacity"])
    absent = {finding.title for finding in run.findings if finding.level is Level.ABSENT}
    assert absent == {capacity.DISKS.title, capacity.BACKUPS.title, looks.SAMPLES.title}
    assert run.level is Level.OK
    assert {capacity.USERS.title, capacity.DATABASE.title} <= {finding.title for finding in run.findings}
    assert run.picture is not None


def test_one_disk_behind_several_folders_is_one(tmp_path: Path) -> None:
    found = capacity.disks({"data": tmp_path, "backups": tmp_path / "not/yet/there"})
    purposes = [purpose for disk in found for purpose in disk.purposes]
    assert sorted(purposes) == ["backups", "data", "system"]
    [mine] = [disk for disk in found if "data" in disk.purposes]
    assert "backups" in mine.purposes
    assert "данные, копии" in mine.line.title


async def test_what_if_there_were_a_million_is_in_proportion(deps: Deps) -> None:
    await customers(deps, by_day=dict.fromkeys(range(1, 51), 40))
    await samples.take(deps)
    async with deps.db.begin("test") as session:
        await session.execute(
            text("DELETE FROM capacity_samples WHERE what = ANY(:names)"),
            {"names": ["getpro_database_bytes", samples.FOLDER_BYTES]},
        )
    await keep(deps, "getpro_database_bytes", {0: 2.0 * GIB})
    await keep(deps, samples.FOLDER_BYTES, {0: 6.0 * GIB}, "backups")
    await keep(deps, samples.MESSAGES, {2: 3000, 1: 5000})
    await keep(deps, samples.PAID, {2: 10, 1: 30})
    await keep(deps, samples.PEAK_UPDATES, {2: 0.5, 1: 0.25})
    found = await capacity.what_if(deps, NOW, 1_000_000)
    assert (found.now, found.is_measured) == (2000, True)
    assert (found.database, found.backups, found.disk) == (1000 * GIB, 3000 * GIB, 5000 * GIB)
    assert (found.messages, found.paid) == (2_000_000, 10_000)
    assert (found.peak, found.cores, found.processes) == (
        250,
        4,
        2,
    )  # a fifth free
    assert found.when is None  # 40 a day
    soon = await capacity.what_if(deps, NOW, 2400)
    assert soon.when == date(2026, 11, 17)
    assert (await capacity.what_if(deps, NOW, 100)).when is None


async def test_a_shop_of_few_is_answered_by_the_bench(deps: Deps) -> None:
    await customers(deps, by_day={1: 12})
    await samples.take(deps)
    await keep(deps, samples.MESSAGES, {1: 10})  # all is known; it is just too little
    found = await capacity.what_if(deps, NOW, 1_000_000)
    assert (found.is_measured, found.now, found.cores) == (False, 12, 1)
    assert found.database == pytest.approx(12.3e9)


async def test_the_picture_is_a_phone_wide_and_says_what_it_shows(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[str] = []

    async def note(source: str) -> bytes:
        sources.append(source)
        return await draw(source)

    monkeypatch.setattr(outlook, "draw", note)
    monkeypatch.setattr(
        capacity, "disks", lambda _: [capacity.Disk(replace_title('Диск /"#[x'), ("data",), 100 * GIB, 1)]
    )
    await customers(deps, by_day={ago: 3 + ago % 5 for ago in range(1, 300)})
    await samples.take(deps)
    await keep_disk(deps, lambda ago: 80 - 0.6 * ago, days=100)
    assert width(await outlook.picture(deps, NOW)) == 1080
    [source] = sources
    for words in ("[ноя]", '"Клиенты"', "100%", "80%", "случаях из 5", '\\"#[x'):
        assert words in source
    assert "Обновлений" not in source  # of which there are none


def width(png: bytes) -> int:
    """From the first chunk."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found: int = struct.unpack(">I", png[16:20])[0]
    return found


def replace_title(title: str) -> Line:
    return Line(DISK.name, title)


async def test_a_new_shop_is_drawn_too(deps: Deps) -> None:
    assert width(await outlook.picture(deps, NOW)) == 1080


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (BYTES.words(0), "0 Б"),
        (BYTES.words(1536), "1,5 КБ"),
        (BYTES.words(-3 * GIB, sign=True), "−3 ГБ"),
        (BYTES.words(123.4 * GIB), "123 ГБ"),
        (COUNT.words(12_345), "12 345"),
        (COUNT.words(123_456), "123 тыс"),
        (COUNT.words(1_500_000, sign=True), "+1,5 млн"),
        (PER_SECOND.words(0.034), "0,03 в секунду"),
        (PER_SECOND.words(250), "250 в секунду"),
    ],
)
def test_figures_in_words(words: str, expected: str) -> None:
    assert words.replace("\N{NO-BREAK SPACE}", " ") == expected


def test_the_guides_line_of_disks_works_as_written() -> None:
    """G31."""
    done = subprocess.run(["bash", "-c", GUIDE["G31"]], capture_output=True, text=True, check=True)
    assert any(line.split()[0].endswith("%") for line in done.stdout.splitlines())
    assert "Use%" not in done.stdout
    assert not done.stderr
