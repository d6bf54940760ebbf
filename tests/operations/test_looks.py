"""What the routines look at: each check has what makes it red, and what it says when it cannot see."""

import gzip
import os
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import yaml
from aiohttp import web
from sqlalchemy import text

from getpro.backups import store
from getpro.backups.claims import Compared
from getpro.backups.errors import BackupError, Busy, OffsiteAway, OffsiteRefused
from getpro.checks.check import Finding, Level
from getpro.operations.looks import backups, errors, machine, money, services, tables, targets
from getpro.operations.vacuum import clean
from getpro.panel.errors import PanelUnavailable
from getpro.platform.database import Database
from getpro.sandbox.serving import serving
from shop import Shop
from written import logging_into

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 28, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
EMPTY = gzip.compress(b"", mtime=0)
"""What is left of a dump of a server that was away."""
MANIFEST = """{"name": "2getpro-20261128-000000", "made_at": "2026-11-28T00:00:00+00:00",
    "program": "2", "server": "18", "database_bytes": 1, "file_bytes": 1,
    "sha256": "", "facts": {"revision": "", "rows": {}, "money": {}}}"""
GONE = Database("postgresql://nobody@127.0.0.1:1/nothing")


async def seen(look: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in look]


async def levels(look: AsyncIterator[Finding]) -> list[Level]:
    return [finding.level for finding in await seen(look)]


class Copies:
    """A folder of dumps, as the guide's line makes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, *, ago: timedelta, content: bytes = b"") -> None:
        path = self.folder / name
        path.write_bytes(content or gzip.compress(os.urandom(10_000)))
        moment = (NOW - ago).timestamp()
        os.utime(path, (moment, moment))

    async def judged(self) -> Finding:
        [finding] = await seen(backups.look(self.folder, now=NOW))
        return finding


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    """Six good days."""
    here = Copies(tmp_path)
    for day in range(1, 7):
        here.add(f"2getpro-{day}.sql.gz", ago=timedelta(days=day, hours=2))
    return here


async def test_a_fresh_copy_of_the_usual_size_is_fine(copies: Copies) -> None:
    copies.add("2getpro-0.sql.gz", ago=timedelta(hours=5))
    copies.add("latest.sql.gz", ago=timedelta(hours=5))
    found = await copies.judged()
    assert (found.level, found.seen) == (Level.OK, "2getpro-0.sql.gz: 0,0 МБ, 5 ч назад; всего 7")


@pytest.mark.parametrize(
    ("ago", "content", "says"),
    [
        (timedelta(hours=27), b"", "старая"),
        (timedelta(hours=-1), b"", "из будущего"),
        (timedelta(hours=1), EMPTY, "пустая или испорченная"),
        (timedelta(hours=1), b"pg_dump: error: connection refused" * 9, "пустая или испорченная"),
        (timedelta(hours=1), gzip.compress(bytes(range(250)) * 8, compresslevel=0, mtime=0), "обычно"),
    ],
)
async def test_a_copy_that_is_not_one_is_red(
    copies: Copies, ago: timedelta, content: bytes, says: str
) -> None:
    for path in copies.folder.iterdir():
        os.utime(path, ((NOW - timedelta(days=3)).timestamp(),) * 2)
    copies.add("2getpro-0.sql.gz", ago=ago, content=content)
    found = await copies.judged()
    assert found.level is Level.WRONG
    assert says in found.seen


async def test_copies_that_are_gone_or_cannot_be_seen_are_red(tmp_path: Path) -> None:
    [empty] = await seen(backups.look(tmp_path, now=NOW))
    assert (empty.level, "нет ни одной" in empty.seen) == (Level.WRONG, True)
    assert await levels(backups.look(tmp_path / "nowhere", now=NOW)) == [Level.UNKNOWN]
    assert await levels(backups.look(None, now=NOW)) == [Level.ATTENTION]


@pytest.mark.parametrize("name", ["cron.log", "cron.log.1.gz", "2getpro-0.sql.gz.sha256", "restore.sh"])
async def test_what_lies_beside_the_copies_is_none(copies: Copies, name: str) -> None:
    copies.add("2getpro-0.sql.gz", ago=timedelta(hours=5))
    copies.add(name, ago=timedelta(hours=1), content=b"done")
    found = await copies.judged()
    assert (found.level, found.seen) == (Level.OK, "2getpro-0.sql.gz: 0,0 МБ, 5 ч назад; всего 7")


async def test_a_folder_of_logs_has_no_copy(tmp_path: Path) -> None:
    here = Copies(tmp_path)
    here.add("cron.log", ago=timedelta(hours=1), content=b"pg_dump: done" * 99)
    found = await here.judged()
    assert (found.level, "нет ни одной" in found.seen) == (Level.WRONG, True)


@pytest.mark.parametrize(
    "name",
    ["a.sql", "a.dump", "a.SQL.GZ", "a.sql.zst", "a.dump.age", "a.tar", "a.tar.xz", "a.backup", "a.tgz"],
)
async def test_a_copy_may_be_made_in_many_ways(tmp_path: Path, name: str) -> None:
    here = Copies(tmp_path)
    here.add(name, ago=timedelta(hours=1))
    assert (await here.judged()).level is Level.OK


async def test_a_copy_that_is_being_written_is_not_judged_yet(copies: Copies) -> None:
    copies.add("2getpro-0.sql.gz", ago=timedelta(hours=24))
    copies.add("2getpro-now.sql.gz", ago=timedelta(minutes=4), content=EMPTY)
    found = await copies.judged()
    assert (found.level, found.seen) == (Level.OK, "2getpro-0.sql.gz: 0,0 МБ, 24 ч назад; всего 7")


async def test_a_copy_of_ours_that_is_described_is_whole_and_judged_at_once(copies: Copies) -> None:
    copies.add("2getpro-0.sql.gz", ago=timedelta(hours=24))
    copies.add("2getpro-now.dump.zst.age", ago=timedelta(minutes=4), content=EMPTY)
    assert (await copies.judged()).level is Level.OK
    (copies.folder / "2getpro-now.json").touch()
    found = await copies.judged()
    assert (found.level, "2getpro-now.dump.zst.age" in found.seen) == (Level.WRONG, True)


async def test_a_copy_that_was_made_because_the_last_was_old_counts_at_once(copies: Copies) -> None:
    copies.add("2getpro-now.sql.gz", ago=timedelta(minutes=1))
    (copies.folder / "2getpro-1.sql.gz").unlink()
    assert (await copies.judged()).level is Level.OK


async def test_the_only_copy_is_judged_though_it_is_being_written(tmp_path: Path) -> None:
    here = Copies(tmp_path)
    here.add("2getpro-now.sql.gz", ago=timedelta(minutes=4), content=EMPTY)
    found = await here.judged()
    assert (found.level, "пустая или испорченная" in found.seen) == (Level.WRONG, True)


async def test_a_copy_from_the_future_is_not_fresh_for_ever(copies: Copies) -> None:
    copies.add("2getpro-0.sql.gz", ago=timedelta(hours=5))
    copies.add("2getpro-later.sql.gz", ago=timedelta(days=-400))
    found = await copies.judged()
    assert (found.level, "2getpro-later.sql.gz" in found.seen) == (Level.WRONG, True)


@pytest.mark.parametrize(
    ("available", "level"), [(8000, Level.OK), (900, Level.ATTENTION), (200, Level.WRONG)]
)
async def test_memory_is_judged_by_what_is_available(tmp_path: Path, available: int, level: Level) -> None:
    kept = (
        f"MemTotal: 10000 kB\nMemFree: 10 kB\nMemAvailable: {available} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
    )
    (tmp_path / "meminfo").write_text(kept)
    assert await levels(machine.look_at_memory(tmp_path)) == [level]


async def test_this_machine_can_be_looked_at() -> None:
    [memory] = await seen(machine.look_at_memory())
    [load] = await seen(machine.look_at_load(os.cpu_count() or 1))
    assert memory.seen.startswith("свободно")
    assert load.level in {Level.OK, Level.ATTENTION}


async def test_a_machine_that_tells_nothing_is_red(tmp_path: Path) -> None:
    assert await levels(machine.look_at_memory(tmp_path)) == [Level.UNKNOWN]
    assert await levels(machine.look_at_load(2, tmp_path)) == [Level.UNKNOWN]
    (tmp_path / "meminfo").write_text("nonsense\n")
    assert await levels(machine.look_at_memory(tmp_path)) == [Level.UNKNOWN]
    (tmp_path / "loadavg").write_text("0.1 0.2 9.5 1/2 3\n")
    assert await levels(machine.look_at_load(2, tmp_path)) == [Level.ATTENTION]


def target(job: str, health: str) -> dict[str, Any]:
    return {
        "labels": {"job": job},
        "scrapeUrl": f"http://{job}:9464/metrics",
        "health": health,
        "lastError": "",
    }


async def prometheus(found: Any) -> list[Finding]:
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(found)

    app.router.add_get("/api/v1/targets", answer)
    async with serving(app) as url:
        return await seen(targets.look(url))


async def test_a_target_that_is_down_is_named() -> None:
    up, down = target("bot", "up"), target("worker", "down")
    found = await prometheus({"status": "success", "data": {"activeTargets": [up, down]}})
    assert [(one.level, one.seen) for one in found] == [
        (Level.WRONG, "worker http://worker:9464/metrics: down")
    ]
    [fine] = await prometheus({"status": "success", "data": {"activeTargets": [up]}})
    assert (fine.level, fine.seen) == (Level.OK, "все на месте: 1")


@pytest.mark.parametrize("said", [{"data": {"activeTargets": []}}, {"data": {}}, [], {"data": None}])
async def test_a_prometheus_that_watches_nobody_is_red(said: Any) -> None:
    assert (await prometheus(said))[0].level in {Level.WRONG, Level.UNKNOWN}


async def test_a_prometheus_that_is_away_is_red() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert await levels(targets.look(f"http://127.0.0.1:{port}")) == [Level.UNKNOWN]
    assert await levels(targets.look(None)) == [Level.ATTENTION]


async def test_whoever_has_restarted_is_told_by_the_name_that_docker_compose_knows() -> None:
    configured = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    known = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    jobs = [one["job_name"] for one in configured["scrape_configs"] if "static_configs" in one]
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        result = [{"metric": {"job": job}, "value": [0, "1"]} for job in jobs]
        return web.json_response({"status": "success", "data": {"result": result}})

    app.router.add_get("/api/v1/query", answer)
    async with serving(app) as url:
        found = await seen(services.look_at_restarts(url, ["bot"], now=NOW))
    named = {one.seen.partition(":")[0]: one.remedy.split()[-1].rstrip(".") for one in found}
    assert set(named) == set(jobs)
    assert set(named.values()) <= set(known)
    assert (named["node"], named["postgres"]) == ("node-exporter", "postgres-exporter")


def told(event: str, *, ago: timedelta, level: str = "ERROR") -> str:
    return f'{{"timestamp": "{(NOW - ago).isoformat()}", "level": "{level}", "event": "{event}"}}\n'


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes a file of the log."""
    monkeypatch.setattr(errors, "_ONCE_MORE_SECONDS", 0)

    def write(name: str, *lines: str) -> None:
        (tmp_path / name).write_text("".join(lines))

    return write


async def errors_of(directory: Path) -> list[tuple[Level, str]]:
    found = await seen(errors.look(directory, now=NOW, span=timedelta(hours=24)))
    return [(one.level, one.seen) for one in found]


async def test_a_log_in_which_nobody_writes_is_red(tmp_path: Path, log: Callable[..., None]) -> None:
    assert [level for level, _ in await errors_of(tmp_path)] == [Level.UNKNOWN]
    log("web.log")
    assert [level for level, _ in await errors_of(tmp_path)] == [Level.UNKNOWN]


async def test_a_process_that_is_silent_does_not_hide_behind_another(
    tmp_path: Path, log: Callable[..., None]
) -> None:
    log("web.log", told("fine", ago=30 * HOUR, level="INFO"))
    log("worker.log", told("fine", ago=HOUR, level="INFO"))
    [(level, said)] = await errors_of(tmp_path)
    assert (level, "web.log за это время ни одной строки" in said) == (Level.UNKNOWN, True)


async def test_that_the_routine_itself_has_begun_is_no_sign_of_life(
    tmp_path: Path, log: Callable[..., None]
) -> None:
    log("worker.log", told("ops.begun", ago=timedelta(0), level="INFO"))
    [(level, said)] = await errors_of(tmp_path)
    assert (level, "worker.log" in said) == (Level.UNKNOWN, True)
    log("worker.log", told("ops.begun", ago=HOUR, level="INFO"), told("log.still_written", ago=HOUR))
    assert Level.UNKNOWN not in [level for level, _ in await errors_of(tmp_path)]


async def test_a_second_worker_that_is_gone_is_not_missed(tmp_path: Path, log: Callable[..., None]) -> None:
    log("worker.log", told("fine", ago=HOUR, level="INFO"))
    with logging_into(tmp_path, name="worker-2"):
        log("worker-2.log", told("fine", ago=30 * HOUR, level="INFO"))
        assert [level for level, _ in await errors_of(tmp_path)] == [Level.UNKNOWN]
    assert [level for level, _ in await errors_of(tmp_path)] == [Level.OK]


async def test_a_log_that_does_not_reach_back_so_far_is_worth_attention(
    tmp_path: Path, log: Callable[..., None]
) -> None:
    log("web.log", told("fine", ago=HOUR, level="INFO"))
    assert [level for level, _ in await errors_of(tmp_path)] == [Level.OK]
    log("web.log.7", told("fine", ago=5 * HOUR, level="INFO"))
    forgets, fine = await errors_of(tmp_path)
    assert forgets == (Level.ATTENTION, "web.log: файлов хватает на 5 ч, прежних ошибок не видно")
    assert fine == (Level.OK, "ни одной, строк 2")


async def test_new_errors_are_red_and_known_ones_yellow(tmp_path: Path, log: Callable[..., None]) -> None:
    log("web.log", told("known", ago=30 * HOUR), told("known", ago=HOUR), told("new", ago=HOUR))
    assert [level for level, _ in await errors_of(tmp_path)] == [Level.WRONG, Level.ATTENTION]
    log("web.log", told("fine", ago=HOUR, level="INFO"))
    assert [level for level, _ in await errors_of(tmp_path)] == [Level.OK]


async def test_whoever_waits_for_what_they_have_paid_for_turns_yellow_then_red(shop: Shop) -> None:
    assert await levels(money.look_at_waiting(shop.db, now=shop.clock())) == [Level.OK]
    shop.panel.trouble = PanelUnavailable("away")
    await shop.notice(shop.pay(await shop.order(await shop.customer("alice"))))
    await shop.run_jobs()
    assert await levels(money.look_at_waiting(shop.db, now=shop.clock())) == [Level.ATTENTION]
    shop.clock.now += timedelta(minutes=6)
    [found] = await seen(money.look_at_waiting(shop.db, now=shop.clock()))
    assert (found.level, found.seen) == (Level.WRONG, "ждут 1, дольше всех 6 мин")


async def test_an_hour_without_the_usual_payments_is_red(shop: Shop) -> None:
    """Twelve in that hour of each of two past weeks, and none now."""
    payment = await shop.purchase(await shop.customer("alice"))
    now = shop.clock()
    async with shop.db.begin("test") as session:
        await session.execute(
            text("UPDATE payments SET paid_at = :at WHERE payment_id = :id"),
            {"at": now - timedelta(days=14, minutes=1), "id": payment.payment_id},
        )
        columns = (
            "user_id, provider, amount, status, created_at, subscription_duration_months, days, asked_amount,"
            " asked_currency, paid_amount, paid_currency"
        )
        copied = (
            f"INSERT INTO payments (order_key, charge_id, paid_at, {columns})"  # noqa: S608 -- columns of ours
            f" SELECT gen_random_uuid(), 'c' || n, paid_at + (n % 2) * interval '7 days', {columns}"
            " FROM payments, generate_series(1, 23) AS n"
        )
        await session.execute(text(copied))
    [found] = await seen(money.look_at_hour(shop.db, now=now))
    assert (found.level, found.seen) == (
        Level.WRONG,
        "0, обычно 12: слишком мало у fakepay 0 из 12",
    )
    [later] = await seen(money.look_at_hour(shop.db, now=now - timedelta(days=7)))
    assert later.level is Level.OK


async def test_one_provider_that_fails_does_not_hide_behind_the_others(shop: Shop) -> None:
    """Of twelve an hour each, one has none today, and the other has all of both."""
    payment = await shop.purchase(await shop.customer("alice"))
    now = shop.clock()
    columns = (
        "user_id, amount, status, created_at, subscription_duration_months, days, asked_amount,"
        " asked_currency, paid_amount, paid_currency"
    )
    async with shop.db.begin("test") as session:
        await session.execute(
            text(
                f"INSERT INTO payments (order_key, charge_id, paid_at, provider, {columns})"  # noqa: S608 -- columns of ours
                " SELECT gen_random_uuid(), p.source || n || p.ago, :now - p.ago * interval '7 days',"
                f" p.source, {columns} FROM payments, generate_series(1, 12) AS n,"
                " (VALUES ('one', 1), ('other', 1), ('other', 0)) AS p (source, ago) WHERE payment_id = :id"
            ),
            {"now": now - timedelta(minutes=1), "id": payment.payment_id},
        )
    [found] = await seen(money.look_at_hour(shop.db, now=now))
    assert (found.level, found.seen) == (
        Level.WRONG,
        "13 (fakepay 1, other 12), обычно 24: слишком мало у one 0 из 12",
    )


async def test_money_that_waits_for_a_person_is_red(shop: Shop) -> None:
    payment = await shop.order(await shop.customer("alice"))
    await shop.notice(shop.pay(payment, taken=payment.asked - payment.asked.__class__(100, "RUB")))
    await shop.run_jobs()
    assert await levels(money.look_at_stuck(shop.db, now=shop.clock())) == [Level.WRONG]


def day_of(shop: Shop, now: datetime) -> AsyncIterator[Finding]:
    return money.look_at_day(shop.db, now=now, zone=ZoneInfo("UTC"))


async def test_the_day_is_told_against_this_hour_a_week_ago(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.clock.now += timedelta(days=7, hours=-1)
    found = {one.name: one.seen for one in await seen(day_of(shop, shop.clock()))}
    assert found["money.day.change"] == "сравнить не с чем"  # a week ago it was not sold yet at this hour
    shop.clock.now += timedelta(hours=2)
    for _ in range(2):
        await shop.purchase(alice)
    found = {one.name: one.seen for one in await seen(day_of(shop, shop.clock()))}
    assert found["money.day.change"] == "+100 %"
    assert found["money.day.periods"] == "пробных 0, впервые оплачено 0, продлений 2"


async def test_the_day_is_the_operators(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    here = {one.name: one.seen for one in await seen(day_of(shop, shop.clock()))}
    assert here["money.day"] == "новых 1, покупателей 1, платежей 1, выручка 199\u00a0₽"
    tomorrow = shop.clock() + timedelta(hours=11)  # still today in UTC, tomorrow in Vladivostok
    there, *_ = await seen(money.look_at_day(shop.db, now=tomorrow, zone=ZoneInfo("Asia/Vladivostok")))
    assert there.seen.startswith("новых 0, покупателей 0")


def week_of(shop: Shop, now: datetime) -> AsyncIterator[Finding]:
    return money.look_at_week(shop.db, now=now, zone=ZoneInfo("UTC"))


async def test_a_week_is_told_against_the_one_before(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.clock.now += timedelta(days=8)
    for _ in range(2):
        await shop.purchase(alice)
    tomorrow = shop.clock() + timedelta(days=1)
    found = {one.name: one.seen for one in await seen(week_of(shop, tomorrow))}
    assert found["money.week"] == "новых 0, покупателей 1, платежей 2, выручка 398\u00a0₽"
    assert found["money.week.before"].startswith("новых 1, покупателей 1, платежей 1")
    assert found["money.week.change"] == "+100 %"
    assert found["money.week.periods"] == "пробных 0, впервые оплачено 0, продлений 2"
    assert found["money.week.periods.before"] == "пробных 0, впервые оплачено 1, продлений 0"
    assert found["money.week.average"] == "199\u00a0₽"
    today = {one.name: one.seen for one in await seen(week_of(shop, shop.clock()))}
    assert today["money.week"].startswith("новых 0, покупателей 0"), "a day that is not over is no day yet"


async def test_a_database_that_is_away_is_red_wherever_it_is_asked() -> None:
    looks = [
        money.look_at_hour(GONE, now=NOW),
        money.look_at_waiting(GONE, now=NOW),
        money.look_at_stuck(GONE, now=NOW),
        money.look_at_day(GONE, now=NOW, zone=ZoneInfo("UTC")),
        money.look_at_week(GONE, now=NOW, zone=ZoneInfo("UTC")),
        tables.look_at_sizes(GONE, now=NOW),
        tables.look_at_dead_rows(GONE, now=NOW),
        tables.look_at_indexes(GONE),
        clean(GONE),
    ]
    for look in looks:
        assert await levels(look) == [Level.UNKNOWN]


async def test_indexes_that_are_there_twice_or_broken_are_told_and_none_is_dropped(
    db: Database, database_url: str
) -> None:
    [fine] = await seen(tables.look_at_indexes(db))
    assert fine.level is Level.OK, fine.seen
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE INDEX again_idx ON users (registration_date)")
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'plans_pkey'::regclass")
        found = await seen(tables.look_at_indexes(db))
        assert [one.level for one in found] == [Level.WRONG, Level.ATTENTION]
        assert "plans_pkey" in found[0].seen
        assert "users_registration_date_idx, again_idx" in found[1].seen
        assert connection.execute("SELECT to_regclass('again_idx') IS NOT NULL").fetchone() == (True,)


async def test_indexes_that_are_missing_are_suggested(
    db: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_MANY_ROWS", 1000)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (note_id int PRIMARY KEY, user_id bigint REFERENCES users)")
        connection.execute("INSERT INTO notes SELECT n, NULL FROM generate_series(1, 2000) n")
        connection.execute("ANALYZE notes")
        connection.execute(
            "INSERT INTO users (user_id, first_name) SELECT n, 'x' FROM generate_series(1, 101) n"
        )
        connection.execute("DELETE FROM users")
        for _ in range(101):
            connection.execute("SELECT FROM notes WHERE user_id = 1")
        connection.execute("SELECT pg_stat_force_next_flush()")
        found = await seen(tables.look_at_indexes(db))
        assert [(one.level, one.seen.partition(",")[0]) for one in found] == [
            (Level.ATTENTION, "не хватает: notes (user_id) для notes_user_id_fkey"),
            (Level.ATTENTION, "notes читают целиком"),
        ]
        connection.execute("CREATE INDEX ON notes (user_id)")
        connection.execute("SELECT pg_stat_reset()")
    [fine] = await seen(tables.look_at_indexes(db))
    assert fine.level is Level.OK, fine.seen


async def test_rows_that_stay_dead_are_worth_a_look(
    db: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await levels(tables.look_at_dead_rows(db, now=NOW)) == [Level.OK]
    monkeypatch.setattr(tables, "_MANY_DEAD", 100)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO users (user_id, first_name) SELECT n, 'x' FROM generate_series(1, 500) n"
        )
        connection.execute("DELETE FROM users")
        connection.execute("SELECT pg_stat_force_next_flush()")
    [found] = await seen(tables.look_at_dead_rows(db, now=NOW))
    assert (found.level, found.seen) == (Level.ATTENTION, "users 500")


async def test_a_week_that_brings_much_less_than_the_last_is_worth_a_look(shop: Shop) -> None:
    alice = await shop.customer("alice")
    for _ in range(10):
        await shop.purchase(alice)
    shop.clock.now += timedelta(days=8)
    for _ in range(6):
        await shop.purchase(alice)
    tomorrow = shop.clock() + timedelta(days=1)
    found = {one.name: one for one in await seen(week_of(shop, tomorrow))}
    assert (found["money.week.change"].level, found["money.week.change"].seen) == (Level.ATTENTION, "−40 %")


async def test_vacuum_cleans_what_is_free_and_names_what_is_held(db: Database, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO users (user_id, first_name) SELECT n, 'x' FROM generate_series(1, 500) n"
        )
        connection.execute("DELETE FROM users")
        connection.execute("INSERT INTO telegram_updates VALUES (1, now())")
        connection.execute("SELECT pg_stat_force_next_flush()")
    with psycopg.connect(database_url) as holding:
        holding.execute("LOCK TABLE telegram_updates")
        [found] = await seen(clean(db))
    assert found.level is Level.ATTENTION
    assert "telegram_updates" in found.seen
    with psycopg.connect(database_url) as connection:
        vacuumed = connection.execute(
            "SELECT last_vacuum IS NOT NULL FROM pg_stat_user_tables WHERE relid = 'users'::regclass"
        ).fetchone()
        assert vacuumed == (True,)
    [free] = await seen(clean(db))
    assert free.level is Level.OK


async def test_a_trial_is_told_how_it_went_and_how_long_ago(shop: Shop) -> None:
    async def look() -> Finding:
        [found] = await seen(
            backups.look_at_restores(shop.db, now=shop.clock(), is_ours=True, has_bases=True)
        )
        return found

    assert (await look()).level is Level.ATTENTION
    async with shop.db.begin("test") as session:
        await session.execute(
            text(
                "INSERT INTO backups (name, state, asked_by, started_at, verified_at, is_good, verification)"
                " VALUES ('old', 'failed', 'x', :now, :now, true, '{}')"
            ),
            {"now": shop.clock()},
        )
    assert (await look()).level is Level.OK
    shop.clock.now += timedelta(days=9)
    assert ((await look()).level, "9 дн" in (await look()).seen) == (Level.WRONG, True)
    async with shop.db.begin("test") as session:
        await session.execute(
            text(
                "INSERT INTO backups (name, state, asked_by, started_at, verified_at, is_good, verification)"
                """ VALUES ('new', 'failed', 'x', :now, :now, false, '{"trouble": "users: строк 2"}')"""
            ),
            {"now": shop.clock()},
        )
    assert ((await look()).level, (await look()).seen) == (Level.WRONG, "new: users: строк 2")
    shop.clock.now += timedelta(hours=1)
    async with shop.db.begin("test") as session:
        await session.execute(
            text(
                "INSERT INTO backups (name, kind, state, asked_by, started_at, verified_at, is_good)"
                " VALUES ('base', 'full', 'failed', 'x', :now, :now, true)"
            ),
            {"now": shop.clock()},
        )
    assert ((await look()).level, (await look()).seen) == (Level.WRONG, "new: users: строк 2")
    [gone] = await seen(backups.look_at_restores(GONE, now=NOW, is_ours=True, has_bases=True))
    assert gone.level is Level.UNKNOWN


async def test_a_base_backup_that_is_not_tried_or_does_not_leave_is_red_after_two_nights(shop: Shop) -> None:
    async def compare() -> Compared:
        return Compared(1, [])

    async def tried(*, has_bases: bool = True) -> Finding:
        looking = backups.look_at_restores(shop.db, now=shop.clock(), is_ours=True, has_bases=has_bases)
        [found] = await seen(looking)
        return found

    async def sent() -> Finding:
        [found] = await seen(backups.look_at_offsite(shop.db, compare, now=shop.clock()))
        return found

    async def does(statement: str) -> None:
        async with shop.db.begin("test") as session:
            await session.execute(text(statement), {"now": shop.clock(), "manifest": MANIFEST})

    await does(
        "INSERT INTO backups (name, kind, state, asked_by, started_at, bytes, manifest)"
        " VALUES ('base', 'full', 'made', 'x', :now, 1, :manifest)"
    )
    shop.clock.now += timedelta(hours=51)
    await does(
        "INSERT INTO backups (name, state, asked_by, started_at, bytes, manifest, verified_at, is_good,"
        " offsite_place, offsite_at)"
        " VALUES ('night', 'made', 'x', :now, 1, :manifest, :now, true, 's3', :now)"
    )
    assert ((await tried()).level, (await tried()).seen) == (Level.WRONG, "базовую копию не проверяли 2 дн")
    assert (await tried(has_bases=False)).level is Level.OK
    assert (await sent()).level is Level.OK  # the log stays here, too
    async with shop.db.begin("test") as session:
        await store.note_stream(
            session, "1", safe_until=shop.clock(), has_offsite=True, trouble=None, now=shop.clock()
        )
    await does("UPDATE wal_streams SET offsite_until = :now")
    assert (await sent()).seen == "ни одной базовой, журнал без неё ни к чему"
    await does(
        "UPDATE backups SET offsite_place = 's3', offsite_at = :now, verified_at = :now, is_good = true"
    )
    assert ((await sent()).level, (await sent()).seen) == (Level.WRONG, "base, 2 дн назад: базовая старая")
    await does("UPDATE backups SET started_at = :now")
    assert ((await tried()).level, (await sent()).level) == (Level.OK, Level.OK)


async def test_of_a_server_that_is_too_old_it_is_said_that_only_nights_can_be_gone_back_to(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "OLDEST_SERVER", 99)
    [found] = await seen(backups.look_at_log(shop.db, now=shop.clock(), is_kept=True))
    assert found.level is Level.ATTENTION
    assert found.seen.endswith("они делаются с 99")


async def test_a_copy_that_lies_only_here_is_red_after_a_day_and_yellow_before(shop: Shop) -> None:
    answer: Compared | BackupError = Compared(1, [])

    async def compare() -> Compared:
        if isinstance(answer, BackupError):
            raise answer
        return answer

    async def look() -> tuple[Level, str]:
        [found] = await seen(backups.look_at_offsite(shop.db, compare, now=shop.clock()))
        return found.level, found.seen

    async def copy(name: str, **values: object) -> None:
        values = {"place": None, "at": None, "trouble": None} | values
        async with shop.db.begin("test") as session:
            await session.execute(
                text(
                    "INSERT INTO backups (name, state, asked_by, started_at, bytes, manifest, offsite_place,"
                    " offsite_at, offsite_trouble) VALUES (:name, 'made', 'x', :now, 1, :manifest, :place,"
                    " :at, :trouble)"
                ),
                {"name": name, "now": shop.clock(), "manifest": MANIFEST} | values,
            )

    assert (await look())[0] is Level.WRONG
    await copy("old", place="s3://b/old", at=shop.clock())
    assert await look() == (Level.OK, "old, 0 мин назад")
    for error, level in (
        (OffsiteRefused("нельзя смотреть", ""), Level.ATTENTION),
        (Busy("журнал уходит"), Level.ATTENTION),
        (OffsiteAway("нет ответа", ""), Level.UNKNOWN),
    ):
        answer = error
        assert await look() == (level, f"old; на месте ли, не проверить: {error}")
    answer = Compared(2, ["old: нет файла", "older: нет файла"])
    assert await look() == (Level.WRONG, "old: нет файла; всего 2")
    answer = Compared(2, [])
    shop.clock.now += timedelta(hours=24)
    await copy("new", trouble="такого бакета нет")
    assert await look() == (Level.ATTENTION, "old; новее не ушла: такого бакета нет")
    shop.clock.now += timedelta(hours=3)
    assert await look() == (Level.WRONG, "old, 27 ч назад: старая: такого бакета нет")
    [gone] = await seen(backups.look_at_offsite(GONE, compare, now=NOW))
    assert gone.level is Level.UNKNOWN
