"""Any moment of the shop can be gone back to: base backups, the log that flows, recovery to a moment."""

import asyncio
import contextlib
import errno
import io
import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import structlog
from sqlalchemy import text

from copies import copies_in
from folders import open_up
from getpro import cli, migrations
from getpro.backups import base, drills, fetching, live, mirror, places, room, sending, service, store, stream
from getpro.backups.deps import Deps
from getpro.backups.errors import BackupError, LogBroken, NoRoom, NoTransaction
from getpro.backups.folder import FILES, UNFINISHED, archive_of, hash_of
from getpro.backups.interruption import LEAVE_SECONDS
from getpro.backups.jobs import job_kinds
from getpro.backups.manifest import Facts, facts_of
from getpro.backups.mirror import Mirror
from getpro.backups.recovery import Target, chain_for, recover
from getpro.backups.sources import SERVER, minute_of
from getpro.backups.states import BackupKind, BackupState
from getpro.backups.store import Backup
from getpro.backups.trial import SCRATCH, thrown_away
from getpro.backups.wal import FOLDER as WAL
from getpro.backups.wal import Log, Way, position
from getpro.cli import restore as command
from getpro.cli.tables import in_words
from getpro.kit.clock import utc_now
from getpro.kit.trouble import Trouble
from getpro.operations.looks.backups import look_at_log
from getpro.platform.database import DATABASE_AWAY, Database
from getpro.platform.env_file import EnvFile
from getpro.platform.postgres import Cluster
from getpro.platform.schedules import job_of
from storage import Place, Storage

KILLS = 20
WORK_KILLS = 6
ROOT = Path(__file__).parents[2]
STREAMING = Path(__file__).parent / "streaming.py"
WORKING = Path(__file__).parent / "working.py"
pytestmark = pytest.mark.xdist_group("a durable cluster")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """As a shop's own: base backups of one that may lose data at a power cut are worth nothing."""
    cluster = Cluster(open_up(tmp_path_factory.mktemp("postgres")) / "postgres")
    cluster.start()
    migrations.upgrade(cluster.url())
    yield cluster
    cluster.stop()


@pytest.fixture
async def deps(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Deps]:
    monkeypatch.setattr(stream, "SECONDS", 0.2)
    monkeypatch.setattr(stream, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(mirror, "SECONDS", 0.2)
    open_up(tmp_path)
    db = Database(cluster.url(), pool_size=2)
    yield replace(copies_in(tmp_path, db=db, database_url=cluster.url(), clock=utc_now), zone=ZoneInfo("UTC"))
    await db.close()
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("TRUNCATE backups, wal_streams; DELETE FROM users")
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


@pytest.fixture
async def flowing(deps: Deps) -> AsyncIterator[None]:
    async with flow(deps):
        yield


@contextlib.asynccontextmanager
async def flow(deps: Deps) -> AsyncIterator[None]:
    flows = (stream.keep_for_ever(lambda: deps), mirror.mirror_for_ever(lambda: deps))
    tasks = [asyncio.create_task(each) for each in flows]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def comes(deps: Deps, number: int) -> datetime:
    """A customer comes; all was committed by the moment that is returned."""
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO users (user_id) VALUES (%s)", [number])
    return datetime.now(UTC)


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.05)


async def safe_until(deps: Deps, moment: datetime, *, offsite: bool = False) -> None:
    async def is_safe() -> bool:
        try:
            async with deps.db.read("test") as session:
                if offsite:
                    flows = await store.newest_stream(session)
                    return flows is not None and bool(flows.offsite_until and flows.offsite_until >= moment)
                return await store.flowing(session, since=moment) is not None
        except DATABASE_AWAY:
            return False

    await until(is_safe)


async def is_told(deps: Deps, words: str) -> None:
    async def says() -> bool:
        async with deps.db.read("test") as session:
            flows = await store.newest_stream(session)
        return flows is not None and words in (flows.trouble or "")

    await until(says)


def customers(deps: Deps, chain: list[Backup], target: Target, place: Path) -> list[int]:
    manifests = [one.manifest for one in chain if one.manifest is not None]
    key = deps.keys.identity
    cluster = recover(deps.folder, chain_for(deps.folder, manifests, target, key), target, key, place)
    try:
        with psycopg.connect(cluster.url()) as connection:
            return [row[0] for row in connection.execute("SELECT user_id FROM users ORDER BY 1")]
    finally:
        cluster.stop()


async def test_any_moment_after_a_base_backup_can_be_gone_back_to(
    deps: Deps, flowing: None, tmp_path: Path
) -> None:
    comes(deps, 1)
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    second = comes(deps, 2)
    built = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="olga")
    await safe_until(deps, comes(deps, 3))
    assert (full.kind, built.kind) == (BackupKind.FULL, BackupKind.INCREMENTAL)
    assert (full.bytes or 0) > 2 * (built.bytes or 0)
    chain = [full, built]
    assert customers(deps, chain, Target(at=second), tmp_path / "a") == [1, 2]
    assert customers(deps, chain, Target(at=utc_now()), tmp_path / "b") == [1, 2, 3]


@pytest.mark.long
async def test_what_a_transaction_did_can_be_undone_by_its_number(
    deps: Deps, flowing: None, tmp_path: Path
) -> None:
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    comes(deps, 1)
    with psycopg.connect(deps.database_url) as connection:
        connection.execute("DELETE FROM users")
        row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert row is not None
    await safe_until(deps, comes(deps, 2))
    target = Target(before_transaction=row[0])
    assert customers(deps, [full], target, tmp_path / "a") == [1]


async def test_where_there_is_nothing_to_build_on_a_base_backup_is_full(deps: Deps, flowing: None) -> None:
    first = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="olga")
    (deps.folder / f"{first.name}{FILES}").unlink()  # as of one that was fetched
    second = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="olga")
    assert (first.kind, second.kind) == (BackupKind.FULL, BackupKind.FULL)


async def test_a_base_backup_is_begun_only_where_there_is_room_for_one_like_the_last(
    deps: Deps, flowing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    free = (full.bytes or 0) + 256 * 2**20 - 1
    monkeypatch.setattr(room, "free_bytes", lambda _: free)
    with pytest.raises(NoRoom):
        await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    built = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="olga")
    said = [one.manifest.physical for one in (full, built) if one.manifest is not None]
    whole, changed = (one.files_bytes for one in said if one is not None)
    assert whole > 2 * changed > 0


async def test_on_a_chain_that_is_broken_none_is_built(deps: Deps, flowing: None) -> None:
    made = [await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="olga") for _ in range(3)]
    assert [one.kind for one in made] == [BackupKind.FULL, *[BackupKind.INCREMENTAL] * 2]
    await safe_until(deps, utc_now())
    assert await service.base_due(deps) is None
    archive_of(deps.folder, made[1].name, made[1].kind).unlink()
    assert await service.base_due(deps) is BackupKind.FULL
    again = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="olga")
    assert again.kind is BackupKind.FULL


async def test_where_the_server_has_forgotten_what_has_changed_a_base_backup_is_full(
    deps: Deps, cluster: Cluster, flowing: None
) -> None:
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    comes(deps, 1)
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        query = "SELECT count(*) FROM pg_available_wal_summaries() WHERE end_lsn > %s::pg_lsn"
        assert full.manifest is not None
        assert full.manifest.physical is not None
        start = full.manifest.physical.start
        async with asyncio.timeout(30):
            while connection.execute(query, [start]).fetchone() == (0,):
                await asyncio.sleep(0.1)
    for summary in (cluster.data / "pg_wal/summaries").iterdir():
        summary.unlink()
    made = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="olga")
    async with deps.db.read("test") as session:
        states = [(one.kind, one.state) for one in await store.newest_first(session)]
    assert made.kind is BackupKind.FULL
    assert states == [
        (BackupKind.FULL, BackupState.MADE),
        (BackupKind.INCREMENTAL, BackupState.FAILED),
        (BackupKind.FULL, BackupState.MADE),
    ]


async def test_base_backups_pass_their_trial(deps: Deps, flowing: None) -> None:
    comes(deps, 1)
    made = [
        await service.create_base(deps, kind, asked_by="olga")
        for kind in (BackupKind.FULL, BackupKind.INCREMENTAL)
    ]
    tried = await service.verify(deps, made[1].name)
    assert tried.is_good, tried.verification
    assert made[1].manifest is not None
    assert made[1].manifest.facts.rows["users"] == 1


async def test_the_servers_limits_of_time_are_for_the_shop_and_end_no_base_backup(
    deps: Deps, flowing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_a_large_one(connection: "psycopg.Connection[Any]") -> Facts:
        connection.execute("SELECT pg_sleep(2.5)")
        return facts_of(connection)

    monkeypatch.setattr(base, "facts_of", of_a_large_one)
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE \"{name}\" SET statement_timeout = '2s'")
        try:
            made = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
        finally:
            connection.execute(f'ALTER DATABASE "{name}" RESET ALL')
    assert made.state is BackupState.MADE


async def test_a_segment_that_is_missing_is_told_and_leads_to_a_new_beginning(
    deps: Deps, cluster: Cluster, flowing: None, tmp_path: Path
) -> None:
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    assert full.manifest is not None
    physical = full.manifest.physical
    assert physical is not None
    log = Log(deps.folder, physical.system, physical.segment_bytes)
    came = [comes(deps, 1)]
    for number in (2, 3):
        came.append(comes(deps, number))
        with psycopg.connect(deps.database_url, autocommit=True) as connection:
            connection.execute("SELECT pg_switch_wal()")
    last = comes(deps, 4)
    await safe_until(deps, last)
    after = position(physical.end) // log.segment_bytes + 2
    [lost] = [one for one in log.pieces() if one.is_whole and log.number(one.segment) == after]
    assert await service.base_due(deps) is None
    (log.folder / lost.name).unlink()
    assert await service.base_due(deps) is BackupKind.FULL
    reached = []
    for number, target in enumerate((Target(at=last), Target())):
        with pytest.raises(LogBroken, match="пропуск") as told:
            customers(deps, [full], target, tmp_path / str(number))
        assert told.value.last is not None
        assert came[0] < told.value.last < came[2]
        reached.append(told.value.last)
    before = min(reached) - timedelta(microseconds=1)  # the server stops at what comes after
    there = customers(deps, [full], Target(at=before), tmp_path / "a")
    assert (1 in there, 3 in there) == (True, False)


@pytest.mark.long
async def test_a_receiver_and_a_server_that_are_killed_cost_nothing(
    deps: Deps, cluster: Cluster, flowing: None, tmp_path: Path
) -> None:
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    os.kill(int((deps.spool / "receiver.pid").read_text()), signal.SIGKILL)
    await safe_until(deps, comes(deps, 1))
    cluster.kill()
    cluster.revive()
    await safe_until(deps, comes(deps, 2))
    assert await service.base_due(deps) is None
    assert customers(deps, [full], Target(), tmp_path / "a") == [1, 2]


async def test_a_byte_that_is_flipped_in_a_base_backup_or_in_the_log_is_found(
    deps: Deps, flowing: None, tmp_path: Path
) -> None:
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    came = comes(deps, 1)
    await safe_until(deps, came)
    archive = archive_of(deps.folder, full.name, full.kind)
    with flipped(archive):
        tried = await service.verify(deps, full.name)
        assert (tried.is_good, archive.name in (tried.verification or {})["trouble"]) == (False, True)
    assert full.manifest is not None
    physical = full.manifest.physical
    assert physical is not None
    log = Log(deps.folder, physical.system, physical.segment_bytes)
    needed = next(
        one
        for one in log.pieces()
        if log.number(one.segment) * log.segment_bytes + one.end > position(physical.start)
    )
    with flipped(log.folder / needed.name), pytest.raises(BackupError):
        customers(deps, [full], Target(), tmp_path / "a")
    with flipped(log.folder / log.pieces()[-1].name):
        with pytest.raises(LogBroken, match="не открывается") as told:
            customers(deps, [full], Target(), tmp_path / "c")
        assert told.value.last is not None
        assert told.value.last <= came
    assert customers(deps, [full], Target(), tmp_path / "b") == [1]


@contextlib.contextmanager
def flipped(path: Path) -> Iterator[None]:
    """A bit of it is another one while the block runs."""
    before = path.read_bytes()
    middle = len(before) // 2
    path.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
    yield
    path.write_bytes(before)


async def test_a_slot_that_was_lost_is_made_anew_and_the_log_flows_on(deps: Deps) -> None:
    """The server has forgotten what we had begun to take: a new base backup is the new beginning."""
    async with flow(deps):
        await service.create_base(deps, BackupKind.FULL, asked_by="olga")
        await safe_until(deps, comes(deps, 1))
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        for number in range(2, 6):
            connection.execute("INSERT INTO users (user_id) VALUES (%s)", [number])
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
    async with flow(deps):
        await safe_until(deps, comes(deps, 6))
        assert await service.base_due(deps) is BackupKind.FULL
        again = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
        assert (await service.verify(deps, again.name)).is_good


async def test_behind_the_end_of_the_log_the_moment_is_the_last_that_was_written(
    deps: Deps, flowing: None, tmp_path: Path
) -> None:
    await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    last = comes(deps, 1)
    await safe_until(deps, last)
    asked = utc_now() + timedelta(hours=3)
    source = minute_of(deps.folder, Target(at=asked), deps.keys.identity)
    assert source.moment == asked
    with source.restored(tmp_path / "a"):
        assert last - timedelta(seconds=5) < source.moment < utc_now()
    nowhere = minute_of(deps.folder, Target(before_transaction=2**31), deps.keys.identity)
    with (
        pytest.raises(NoTransaction, match=f"транзакции {2**31} в журнале нет"),
        nowhere.restored(tmp_path / "b"),
    ):
        pass


async def test_what_the_system_refuses_stops_nobody_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "AGAIN_SECONDS", 0.01)
    tries = 0

    def prepare() -> Deps:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENOSPC, "full") if tries % 2 else Trouble("Нет.", "Ключа нет.", "Верните.")

    task = asyncio.create_task(stream.keep_for_ever(prepare))
    await until(lambda: asyncio.sleep(0, tries > 4), seconds=5)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.long
async def test_a_base_backup_whose_trial_was_cut_off_is_tried_by_the_next(deps: Deps, flowing: None) -> None:
    await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    await safe_until(deps, comes(deps, 1))
    kinds = {kind.name: kind for kind in job_kinds(lambda: deps)}
    await kinds[job_of("make_base_backup").name].run()
    async with deps.db.read("test") as session:
        [base] = await store.newest_bases(session, now=utc_now())
    assert base.is_good
    before = base.verified_at
    await kinds[job_of("make_base_backup").name].run()
    async with deps.db.read("test") as session:
        [base] = await store.newest_bases(session, now=utc_now())
    assert base.verified_at == before


@pytest.mark.long
async def test_a_folder_that_takes_nothing_is_told_each_time_and_the_log_waits_for_it(
    deps: Deps, flowing: None, tmp_path: Path
) -> None:
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    with structlog.testing.capture_logs() as lines:
        for number in (1, 3):
            deps.folder.rename(tmp_path / "away")
            deps.folder.write_text("a file, and no folder")
            comes(deps, number)
            await is_told(deps, "что-то есть")
            assert await service.base_due(deps) is None
            deps.folder.unlink()
            (tmp_path / "away").rename(deps.folder)
            await safe_until(deps, comes(deps, number + 1))
    told = [line for line in lines if "что-то есть" in line.get("error", "")]
    assert [line["event"] for line in told] == ["backup.log_does_not_flow"] * 2
    assert customers(deps, [full], Target(), tmp_path / "a") == [1, 2, 3, 4]


async def test_whoever_loses_the_machine_loses_the_last_seconds(
    deps: Deps, flowing: None, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """The folder is all that is left, as it is at a moment while customers come."""
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    writing = asyncio.create_task(asyncio.to_thread(come_for, deps, seconds=3))
    await asyncio.sleep(2.5)
    lost_at = datetime.now(UTC)
    left = shutil.copytree(deps.folder, tmp_path / "left")
    await writing
    assert full.manifest is not None
    cluster = recover(left, [full.manifest], Target(), deps.keys.identity, tmp_path / "a")
    try:
        with psycopg.connect(cluster.url()) as connection:
            row = connection.execute("SELECT max(registration_date), count(*) FROM users").fetchone()
    finally:
        cluster.stop()
    assert row is not None
    lost = (lost_at - row[0]).total_seconds()
    assert lost < 2 + stream.SECONDS
    figure(f"lost with the machine: {lost:.1f} s of the log, which is put away every {stream.SECONDS} s")


def come_for(deps: Deps, *, seconds: float) -> None:
    ends = time.monotonic() + seconds
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        for number in itertools.count(1):
            connection.execute("INSERT INTO users (user_id) VALUES (%s)", [number])
            if time.monotonic() > ends:
                return


@pytest.mark.long
async def test_what_was_received_last_lies_in_the_folder_when_the_shop_ends(
    deps: Deps, tmp_path: Path
) -> None:
    async with flow(deps):
        full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
        comes(deps, 1)
        await asyncio.sleep(0.3)
    assert customers(deps, [full], Target(), tmp_path / "a") == [1]


async def test_base_backups_are_due_every_week_and_every_night(deps: Deps, flowing: None) -> None:
    assert await service.base_due(deps) is None  # nothing flows yet that it could lead into
    await safe_until(deps, utc_now())
    assert await service.base_due(deps) is BackupKind.FULL
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    tonight = full.started_at.replace(hour=3, minute=0) + timedelta(days=1)
    for moment, due in (
        (full.started_at, None),
        (tonight - timedelta(minutes=1), None),
        (tonight, BackupKind.INCREMENTAL),
        (full.started_at + timedelta(days=7), BackupKind.FULL),
    ):
        assert await service.base_due(await at(deps, moment)) is due, moment


@pytest.mark.long
async def test_a_base_backup_by_a_clock_that_was_ahead_holds_none_up(deps: Deps, flowing: None) -> None:
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    ahead = utc_now() + timedelta(days=40)
    future = await service.create_base(replace(deps, clock=lambda: ahead), BackupKind.FULL, asked_by="olga")
    tonight = full.started_at.replace(hour=3, minute=0) + timedelta(days=1)
    next_week = full.started_at + timedelta(days=7)
    for moment, due in ((tonight, BackupKind.INCREMENTAL), (next_week, BackupKind.FULL)):
        assert await service.base_due(await at(deps, moment)) is due, moment
    built = await service.create_base(await at(deps, tonight), BackupKind.INCREMENTAL, asked_by="olga")
    assert built.manifest is not None
    assert built.manifest.physical is not None
    assert built.manifest.physical.parent == full.name != future.name
    assert await service.untried_base(await at(deps, tonight)) == built.name


async def at(deps: Deps, moment: datetime) -> Deps:
    """Of a later moment, at which the log still flows."""
    async with deps.db.begin("test") as session:
        flows = await store.newest_stream(session)
        assert flows is not None
        await store.note_stream(session, flows.system_id, safe_until=moment, trouble=None, now=moment)
    return replace(deps, clock=lambda: moment)


@pytest.mark.long
async def test_old_ones_go_with_the_log_that_only_they_need(
    deps: Deps, flowing: None, tmp_path: Path
) -> None:
    old = [
        await service.create_base(deps, kind, asked_by="olga")
        for kind in (BackupKind.FULL, BackupKind.INCREMENTAL)
    ]
    new = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    assert await service.to_prune(deps) == []
    later = replace(deps, clock=lambda: utc_now() + timedelta(days=2))
    gone = await service.prune(later)
    assert [one.name for one in gone] == [one.name for one in old]
    assert {path.name.partition(".")[0] for path in deps.folder.glob("2getpro-*")} == {new.name}
    await safe_until(deps, comes(deps, 1))
    assert customers(deps, [new], Target(), tmp_path / "a") == [1]
    assert new.manifest is not None
    assert new.manifest.physical is not None
    log = Log(deps.folder, new.manifest.physical.system, new.manifest.physical.segment_bytes)
    start = position(new.manifest.physical.start) // log.segment_bytes
    assert min(log.number(piece.segment) for piece in log.pieces()) == start


async def test_of_a_server_that_is_too_old_only_dumps_are_made(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "OLDEST_SERVER", 99)
    await asyncio.wait_for(stream.keep_for_ever(lambda: deps), 10)  # it ends
    async with deps.db.read("test") as session:
        assert await store.newest_stream(session) is None


async def test_without_the_right_to_replicate_the_evening_says_what_to_do(
    deps: Deps, cluster: Cluster
) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'x'")
        try:
            url = "postgresql://plain:x@" + cluster.url().partition("@")[2]
            async with flow(replace(deps, database_url=url)):
                await is_told(deps, 'ALTER ROLE "plain" REPLICATION')
            found = [one async for one in look_at_log(deps.db, now=utc_now(), is_kept=True)]
            assert "ALTER ROLE" in found[0].seen
        finally:
            connection.execute("DROP ROLE plain")


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_killed_at_any_moment_the_log_goes_on_without_a_gap(
    deps: Deps, cluster: Cluster, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    async with flow(deps):
        full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    chance = random.Random(7)
    for number in range(1, KILLS + 1):
        with subprocess.Popen(  # noqa: ASYNC220 -- killed in any case
            [sys.executable, STREAMING, deps.database_url, tmp_path],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as process:
            comes(deps, number)
            if number % 4 == 0:
                with psycopg.connect(deps.database_url, autocommit=True) as connection:
                    connection.execute("SELECT pg_switch_wal()")
            await asyncio.sleep(chance.uniform(0.3, 2.0))
            process.kill()
    async with flow(deps):
        await safe_until(deps, comes(deps, KILLS + 1))
    assert customers(deps, [full], Target(), tmp_path / "a") == [*range(1, KILLS + 2)]
    figure(f"{KILLS} kills of what takes the log: no gap")


async def test_an_index_that_is_damaged_in_a_base_backup_is_found(deps: Deps, flowing: None) -> None:
    """It lacks the row that its table has: as of a disk, or of a library that sorts otherwise by now."""
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute("CREATE FUNCTION sorted(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'")
        connection.execute("CREATE TABLE of_index (n int)")
        try:
            connection.execute("INSERT INTO of_index VALUES (1)")
            connection.execute("CREATE INDEX damaged ON of_index (sorted(n))")
            connection.execute(
                "CREATE OR REPLACE FUNCTION sorted(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT -$1'"
            )
            full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
        finally:
            connection.execute("DROP TABLE of_index; DROP FUNCTION sorted")
    tried = await service.verify(deps, full.name)
    trouble = (tried.verification or {})["trouble"]
    assert (tried.is_good, "pg_amcheck" in trouble, "damaged" in trouble) == (False, True, True), trouble


async def test_a_reference_that_is_broken_in_a_base_backup_is_found(deps: Deps, flowing: None) -> None:
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE of_parents (n int PRIMARY KEY)")
        connection.execute("CREATE TABLE of_children (n int CONSTRAINT of_whom REFERENCES of_parents)")
        connection.execute("SET session_replication_role = replica")  # as of a row that was lost
        connection.execute("INSERT INTO of_children VALUES (1)")
        try:
            full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
        finally:
            connection.execute("DROP TABLE of_children, of_parents")
    tried = await service.verify(deps, full.name)
    trouble = (tried.verification or {})["trouble"]
    assert (tried.is_good, "of_whom" in trouble) == (False, True), trouble


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_minute_is_restored_by_the_operators_command(
    deps: Deps,
    flowing: None,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    minute = comes(deps, 1)
    await asyncio.sleep(0.05)
    last = comes(deps, 2)
    await safe_until(deps, last)
    (tmp_path / "machine").mkdir()
    open_up(tmp_path / "machine")
    monkeypatch.chdir(tmp_path / "machine")
    monkeypatch.setenv("GETPRO_DATA_DIR", str(tmp_path / "machine"))
    monkeypatch.setenv("DATABASE_URL", cluster.url("living"))
    monkeypatch.setattr(command, "reconcile", lambda: None)  # its own tests tell how that goes
    where = ["--from", str(deps.folder), "--key", str(tmp_path / "backup.key")]
    assert await asyncio.to_thread(cli.execute, ["restore", "list", *where]) == 0
    listed = capsys.readouterr().out
    assert "базовая, полная" in listed
    zone = ZoneInfo("Europe/Moscow")
    assert f"по {in_words(last, zone)}. Так: --to МИНУТА" in listed
    given = ["restore", *where, "--to"]
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE living")
        try:
            at = f"{minute:%Y-%m-%d %H:%M:%S.%f}+00:00"
            assert await asyncio.to_thread(cli.execute, [*given, at, "--into", "new", "--yes"]) == 0
            with Cluster.running(tmp_path / "machine" / "new" / "postgres") as url:
                assert known_to(url) == [1]
            file = ["--table", "users", "--out", "users.jsonl"]
            assert await asyncio.to_thread(cli.execute, [*given, "end", *file]) == 0
            written = await asyncio.to_thread(Path("users.jsonl").read_text, encoding="utf-8")
            assert written.count("\n") == 2
            over = ["--over-live", "--name", "living"]
            assert await asyncio.to_thread(cli.execute, [*given, at, *over]) == 0
            assert known_to(cluster.url("living")) == [1]
        finally:
            for (left,) in connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, 'living')"
            ).fetchall():
                connection.execute(f'DROP DATABASE "{left}" WITH (FORCE)')


def known_to(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT user_id FROM users ORDER BY 1")]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["base", "verify", "into", "to"])
async def test_killed_at_any_moment_of_its_work_the_next_one_cleans_up_and_does_it(
    deps: Deps, flowing: None, tmp_path: Path, what: str, figure: Callable[[str], None]
) -> None:
    comes(deps, 1)
    await service.create(deps, asked_by="olga")
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    await safe_until(deps, utc_now())
    chance, ended = random.Random(3), 0
    began = time.monotonic()
    assert await worked(deps, what, tmp_path) == 0
    seconds = time.monotonic() - began
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    for _ in range(WORK_KILLS):
        if await worked(deps, what, tmp_path, killed_after=chance.uniform(0.1, 0.9) * seconds) == 0:
            ended += 1
            shutil.rmtree(tmp_path / "new", ignore_errors=True)
        else:
            assert not (tmp_path / "new" / "place" / SERVER).exists()
        async with deps.db.read("test") as session:
            for one in await store.newest_bases(session, now=utc_now()):
                assert one.manifest is not None
                assert hash_of(archive_of(deps.folder, one.name, one.kind)) == one.manifest.sha256
    assert await worked(deps, what, tmp_path) == 0
    assert left_in(tmp_path) == []
    assert not (deps.trials / SCRATCH).exists()
    assert running_in(tmp_path) == []
    async with deps.db.read("test") as session:
        assert await store.newest_first(session, BackupState.MAKING) == []
        newest = (await store.newest_bases(session, now=utc_now()))[0]
    if what == "verify":
        assert newest.is_good
    elif what == "base":
        assert newest.name != full.name
        assert (await service.verify(deps, newest.name)).is_good
    else:
        with Cluster.running(tmp_path / "new" / "place" / SERVER) as url:
            assert known_to(url) == [1]
    figure(f"{WORK_KILLS - ended} kills of {what}")


async def worked(deps: Deps, what: str, home: Path, *, killed_after: float | None = None) -> int:
    """How the process ended; it is killed unless it was quicker."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, WORKING, what, deps.database_url, home),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(process.wait(), killed_after)
    process.kill()
    return await process.wait()


def left_in(folder: Path) -> list[Path]:
    """But of the log, which flows meanwhile."""
    return [path for path in folder.rglob(f"{UNFINISHED}*") if WAL not in path.parts]


def running_in(folder: Path) -> list[str]:
    """Servers on data that lie there."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_text(errors="replace").replace("\0", " "))
    return [line for line in lines if "postgres" in line.partition(" ")[0] and f" {folder}/" in line]


@pytest.mark.long
async def test_a_base_backup_is_tried_by_nobody_who_may_do_more_than_the_shop(
    deps: Deps, cluster: Cluster
) -> None:
    seen: list[object] = []

    def use(url: str) -> None:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT current_user, current_setting('is_superuser')").fetchone()
        seen.extend(row or ())

    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE keeper LOGIN REPLICATION PASSWORD 'x'")
        connection.execute("CREATE DATABASE shop OWNER keeper")
        try:
            url = "postgresql://keeper:x@" + cluster.url("shop").partition("@")[2]
            migrations.upgrade(url)
            db = Database(url, pool_size=2)
            keepers = replace(deps, database_url=url, db=db, use=use)
            async with flow(keepers):
                full = await service.create_base(keepers, BackupKind.FULL, asked_by="olga")
                tried = await service.verify(keepers, full.name)
            await db.close()
            assert tried.is_good, tried.verification
            assert seen == ["keeper", "off"]
        finally:
            connection.execute("DROP DATABASE shop WITH (FORCE)")
            connection.execute("DROP ROLE keeper")


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_where_a_shop_lives_on_in_a_past_of_its_own_every_moment_is_gone_back_to_as_it_was(
    deps: Deps, tmp_path: Path
) -> None:
    """One folder takes the log of both: customers 1 to 3 of the first life, 11 to 14 of the second."""
    async with flow(deps):
        await service.create_base(deps, BackupKind.FULL, asked_by="olga")
        branch = comes(deps, 1)
        await asyncio.sleep(0.05)
        left = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="olga")
        with psycopg.connect(deps.database_url, autocommit=True) as connection:
            comes(deps, 2)
            connection.execute("SELECT pg_switch_wal()")  # the first life writes more than the second
        abandoned = comes(deps, 3)
        await safe_until(deps, abandoned)
        first_ends = utc_now()
    async with second_life(deps, branch, tmp_path / "second") as second, flow(second):
        await safe_until(second, utc_now())
        lived = comes(second, 11)
        await asyncio.sleep(0.05)
        await safe_until(second, comes(second, 12))
        assert past(deps, Target(), tmp_path / "a") == [1, 11, 12]  # before it has a base backup of its own
        assert await service.base_due(second) is BackupKind.FULL
        full = await service.create_base(second, BackupKind.INCREMENTAL, asked_by="olga")
        assert full.kind is BackupKind.FULL
        middle = comes(second, 13)
        await asyncio.sleep(1.1)  # no two copies of one name
        built = await service.create_base(second, BackupKind.INCREMENTAL, asked_by="olga")
        await safe_until(second, comes(second, 14))
        assert await service.base_due(second) is None
        for name in (left.name, built.name):
            tried = await service.verify(second, name)
            assert tried.is_good, tried.verification
        assert await service.prune(replace(second, window=timedelta(days=1))) == []
    assert built.manifest is not None
    assert built.manifest.physical is not None
    assert built.manifest.physical.timeline == 2
    for number, (target, known) in enumerate(
        (
            (Target(), [1, 11, 12, 13, 14]),
            (Target(at=middle), [1, 11, 12, 13]),
            (Target(at=lived), [1, 11]),
            (Target(at=first_ends), [1, 2, 3]),
            (Target(at=branch), [1]),
        )
    ):
        assert past(deps, target, tmp_path / f"b{number}") == known, target
    async with second_life(deps, abandoned, tmp_path / "third") as third, flow(third):
        await safe_until(third, comes(third, 21))
        assert past(deps, Target(), tmp_path / "c") == [1, 2, 3, 21]


@contextlib.asynccontextmanager
async def second_life(deps: Deps, moment: datetime, place: Path) -> AsyncIterator[Deps]:
    """A shop that lives on in the place to which it was brought back, with the same folder of copies."""
    source = minute_of(deps.folder, Target(at=moment), deps.keys.identity)
    await asyncio.to_thread(places.into_new_place, source, place)
    with Cluster.running(place / "postgres") as url:
        db = Database(url, pool_size=2)
        try:
            yield replace(deps, db=db, database_url=url, spool=place / "wal")
        finally:
            await db.close()


def past(deps: Deps, target: Target, place: Path) -> list[int]:
    source = minute_of(deps.folder, target, deps.keys.identity)
    with source.restored(place) as (_, url), psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT user_id FROM users ORDER BY 1")]


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_killed_while_the_log_leaves_nothing_is_claimed_that_is_not_off_the_machine(
    deps: Deps, s3: Storage, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    place, chance, claims = s3.make(), random.Random(11), set()
    with contextlib.closing(place.bucket()) as bucket:
        away = replace(deps, bucket=bucket)
        async with flow(away):
            full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
            await safe_until(away, comes(deps, 0), offsite=True)
        assert (await sending.send(away)).failed == []
        log = log_of(deps, full)
        for number in range(1, KILLS + 1):
            with subprocess.Popen(  # noqa: ASYNC220 -- killed in any case
                [sys.executable, STREAMING, deps.database_url, tmp_path, s3.url, place.name],
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            ) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"begun\n"
                come = comes(deps, number)
                if number % 2 == 0:
                    with psycopg.connect(deps.database_url, autocommit=True) as connection:
                        connection.execute("SELECT pg_switch_wal()")
                if number % 3 == 0:
                    await safe_until(deps, come, offsite=True)
                await asyncio.sleep(chance.uniform(0.0, 1.0))
                process.kill()
            claims.add(await log_that_is_claimed_is_there(deps, place, full, tmp_path))
        async with flow(away):
            await safe_until(away, comes(deps, KILLS + 1), offsite=True)
        Mirror(bucket, log, deps.spool).follow()
        assert {key.rpartition("/")[2] for key in place.objects() if "wal/" in key} == set(log.names())
        assert not list(log.folder.glob(f"{UNFINISHED}*"))
        shutil.rmtree(deps.folder)
        await fetching.fetch(bucket, deps.folder, full.name)
    assert customers(deps, [full], Target(), tmp_path / "a") == [*range(KILLS + 2)]
    assert len(claims) > 1
    figure(f"{KILLS} kills while the log leaves, {len(claims)} claims looked at")


async def log_that_is_claimed_is_there(deps: Deps, place: Place, full: Backup, folder: Path) -> datetime:
    """The claim: what had come into the folder by then lies off the machine, in pieces or whole."""
    async with deps.db.read("test") as session:
        flows = await store.newest_stream(session)
    assert flows is not None
    assert flows.offsite_until is not None
    assert full.manifest is not None
    assert full.manifest.physical is not None
    here = log_of(deps, full)
    there = {key.rpartition("/")[2]: body for key, body in place.objects().items() if "wal/" in key}
    claimed = set()
    for name in here.names():
        path = here.folder / name
        assert there.get(name, path.read_bytes()) == path.read_bytes()
        if path.stat().st_mtime <= flows.offsite_until.timestamp():
            claimed.add(name)
    start = position(full.manifest.physical.start)
    line = Way.only(full.manifest.physical.timeline)
    assert named(folder / "there", here, set(there)).until(start, line) >= named(
        folder / "here", here, claimed
    ).until(start, line)
    return flows.offsite_until


def named(folder: Path, like: Log, names: set[str]) -> Log:
    """A log of files of these names."""
    shutil.rmtree(folder, ignore_errors=True)
    log = Log(folder, like.system, like.segment_bytes)
    log.make_folder()
    for name in names:
        (log.folder / name).touch()
    return log


async def test_what_a_kill_has_left_of_a_piece_is_swept(deps: Deps) -> None:
    left = deps.folder / "wal" / "7" / f"{UNFINISHED}{'0' * 24}.00000000-00000001.zst.age"
    left.parent.mkdir(parents=True)
    left.touch()
    async with flow(deps):
        await safe_until(deps, comes(deps, 1))
    assert not left.exists()


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_the_pages_commands_for_a_lost_server_bring_it_back_from_the_bucket(
    deps: Deps, s3: Storage, tmp_path: Path
) -> None:
    place = s3.make()
    with contextlib.closing(place.bucket()) as bucket:
        away = replace(deps, bucket=bucket)
        async with flow(away):
            await service.create(away, asked_by="olga")
            full = await service.create_base(away, BackupKind.FULL, asked_by="olga")
            assert (await sending.send(away)).failed == []
            await safe_until(away, comes(deps, 1), offsite=True)
    there = tmp_path / "there"
    there.mkdir()
    real = {
        "https://storage.example": s3.url,
        "my-vpn-copies": place.name,
        "reader-id": place.key_id,
        "reader-secret": place.secret,
        "2getpro-20260301-030000-full": full.name,
        "/mnt/backup.key": str(tmp_path / "backup.key"),
        "/mnt/": f"{there}/",
        "/var/lib/2getpro/data": f"{there}/data",
    }
    said = await typed(commands_for_a_lost_server(), real, there)
    assert full.name in said
    with Cluster.running(there / "data" / "postgres") as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT user_id FROM users").fetchall() == [(1,)]
    settings = EnvFile.read(there / ".env").values
    assert (settings["PANEL_TOKEN"], settings["GETPRO_DATA_DIR"]) == ("t", f"{there}/data")


def commands_for_a_lost_server() -> str:
    """From the bucket to a database that can be run on."""
    page = (ROOT / "docs/operations/disaster-recovery.md").read_text(encoding="utf-8")
    section = page.partition("\n## Сервера нет\n")[2].partition("\n## ")[0]
    fences = "".join(re.findall(r"(?ms)^```(?:sh run new)?\n(.*?)^```$", section)[:2])
    return re.sub(r"(?m)^2getpro psql .*\n", "", fences)  # of a shop's own name: tests/house types it


async def typed(commands: str, real: dict[str, str], folder: Path) -> str:
    """What they print in a shell of a machine that has nothing else; ``real`` for what is written."""
    for written, here in real.items():
        assert written in commands
        commands = commands.replace(written, here)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "2getpro").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m getpro "$@"\n')
    (programs / "2getpro").chmod(0o755)
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-ec", commands),
        cwd=folder,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "GETPRO_DATA_DIR": str(folder / "own"),  # not that of the machine on which this is a test
            "LANG": "C.UTF-8",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await shell.communicate())[0].decode()
    assert shell.returncode == 0, said
    return said


@pytest.mark.long
async def test_a_minute_is_brought_to_a_new_place_and_over_the_living_database(
    deps: Deps, flowing: None, cluster: Cluster, tmp_path: Path
) -> None:
    comes(deps, 1)
    await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    minute = comes(deps, 2)
    await asyncio.sleep(0.05)
    await safe_until(deps, comes(deps, 3))
    source = minute_of(deps.folder, Target(at=minute), deps.keys.identity)
    await asyncio.to_thread(places.into_new_place, source, tmp_path / "new")
    with Cluster.running(tmp_path / "new" / "postgres") as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT user_id FROM users ORDER BY 1").fetchall() == [(1,), (2,)]
    living = f"{cluster.url('living')}"
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE living")
    with thrown_away(tmp_path / "scratch") as place:
        kept = await asyncio.to_thread(live.over_live, source, living, place, now=utc_now())
    with psycopg.connect(living) as connection:
        assert connection.execute("SELECT user_id FROM users ORDER BY 1").fetchall() == [(1,), (2,)]
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE living WITH (FORCE)")
    live.drop(living, kept)


@pytest.mark.long
async def test_the_log_leaves_the_machine_too_and_brings_the_last_customer_back(
    deps: Deps, s3: Storage, tmp_path: Path
) -> None:
    place = s3.make()
    with contextlib.closing(place.bucket()) as bucket:
        away = replace(deps, bucket=bucket)
        async with flow(away):
            full = await service.create_base(away, BackupKind.FULL, asked_by="olga")
            assert (await sending.send(away)).failed == []
            with psycopg.connect(deps.database_url, autocommit=True) as connection:
                comes(deps, 1)
                connection.execute("SELECT pg_switch_wal()")
            await safe_until(away, comes(deps, 2), offsite=True)
        log = log_of(deps, full)
        there = {key.rpartition("/")[2] for key in place.objects() if key.startswith("wal/")}
        whole = {one.segment for one in log.pieces() if one.is_whole}
        assert there <= set(log.names())  # and no piece of a segment that is whole
        assert {f"{segment}.zst.age" for segment in whole} <= there
        shutil.rmtree(deps.folder)
        Mirror(bucket, log, deps.spool).follow()
        assert len(place.objects()) == len(there) + 2  # an emptied folder empties nothing else
        await fetching.fetch(bucket, deps.folder, full.name, catalogue=deps.db)
    assert customers(deps, [full], Target(), tmp_path / "a") == [1, 2]


@pytest.mark.long
async def test_a_log_that_cannot_leave_is_told_and_the_folder_has_it_all_the_same(
    deps: Deps, s3: Storage, tmp_path: Path
) -> None:
    with contextlib.closing(replace(s3.make(), name="no-such-bucket").bucket()) as bucket:
        away = replace(deps, bucket=bucket)
        async with flow(away):
            full = await service.create_base(away, BackupKind.FULL, asked_by="olga")
            began = comes(deps, 1)
            await safe_until(away, began)
            async with deps.db.begin("test") as session:
                await session.execute(
                    text("UPDATE wal_streams SET offsite_until = now() - interval '1 hour'")
                )
            found = [one async for one in look_at_log(deps.db, now=utc_now(), is_kept=True)]
            assert "вне машины журнал отстал" in found[0].seen
    assert customers(deps, [full], Target(), tmp_path / "a") == [1]


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes whoever comes, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def address_of(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


async def test_a_bucket_that_hangs_holds_up_neither_the_log_nor_its_end(
    deps: Deps, s3: Storage, silent: socket.socket
) -> None:
    with contextlib.closing(s3.make().bucket(s3_endpoint=address_of(silent))) as bucket:
        async with flow(replace(deps, bucket=bucket)):
            hanging, _ = await asyncio.to_thread(silent.accept)
            for number in range(3):
                await safe_until(deps, comes(deps, number))
            began = time.monotonic()
        assert time.monotonic() - began < LEAVE_SECONDS + 15
        hanging.close()


async def test_a_process_ends_although_its_bucket_hangs(
    deps: Deps, silent: socket.socket, tmp_path: Path
) -> None:
    with subprocess.Popen(  # noqa: ASYNC220 -- ended in any case
        [sys.executable, STREAMING, deps.database_url, tmp_path, address_of(silent), "shop"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            hanging, _ = await asyncio.to_thread(silent.accept)
            with hanging:
                process.send_signal(signal.SIGINT)
                await asyncio.to_thread(process.wait, LEAVE_SECONDS + 15)
        finally:
            process.kill()


async def test_what_a_whole_segment_replaces_while_it_is_sent_costs_nothing(
    s3: Storage, deps: Deps, tmp_path: Path
) -> None:
    log = Log(tmp_path / "backups", "7", len(b"whole"))
    log.keep_piece("0" * 24, 0, 3, io.BytesIO(b"who"), deps.keys.recipients)
    place = s3.make()
    with contextlib.closing(place.bucket()) as bucket:

        class Late:
            """Its first look at a file comes after the log has moved on."""

            def __getattr__(self, name: str) -> Any:
                return getattr(bucket, name)

            def put(self, path: Path, key: str, **how: Any) -> None:
                log.keep("0" * 24, io.BytesIO(b"whole"), deps.keys.recipients)
                bucket.put(path, key, **how)

        Mirror(Late(), log, tmp_path).follow()
    assert set(place.objects()) == {f"wal/7/{'0' * 24}.zst.age"}


def log_of(deps: Deps, base: Backup) -> Log:
    assert base.manifest is not None
    assert base.manifest.physical is not None
    return Log(deps.folder, base.manifest.physical.system, base.manifest.physical.segment_bytes)


async def test_right_after_a_start_a_drill_waits_for_the_log_of_before(deps: Deps) -> None:
    async with flow(deps):
        await service.create(deps, asked_by="olga")
        await service.create_base(deps, BackupKind.FULL, asked_by="olga")
        await safe_until(deps, comes(deps, 1))
    comes(deps, 2)
    there: list[list[int]] = []
    held = asyncio.create_task(
        drills.rehearse(replace(deps, use=lambda url: there.append(known_to(url))), asked_by="olga")
    )
    await asyncio.sleep(1)
    async with flow(deps):
        drill = await held
    assert (drill.trouble, there) == (None, [[1, 2]])
    assert drill.rpo is not None
    assert drill.rpo < timedelta(seconds=10)


async def test_a_drill_goes_to_the_end_of_the_log(deps: Deps, flowing: None) -> None:
    await service.create(deps, asked_by="olga")
    await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    last = comes(deps, 1)
    await safe_until(deps, last)
    held = await drills.rehearse(deps, asked_by="olga")
    assert held.is_good, held.trouble
    assert held.rpo is not None
    assert held.rpo < timedelta(seconds=60)
    assert "До нужной минуты" in dict(held.steps)
