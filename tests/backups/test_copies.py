"""Copies of the database: made while the shop sells, restored for trial, taken for what they are."""

import contextlib
import json
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import structlog
from pyrage import x25519
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from copies import newest
from getpro.backups import jobs, places, room, service, store
from getpro.backups.deps import Deps
from getpro.backups.errors import Busy, DumpFailed, NoFolder, NoRoom, NotRestored, NotThere
from getpro.backups.folder import ARCHIVE, LATEST, SETTINGS, held
from getpro.backups.keys import FILE, Keys, keys
from getpro.backups.proof import proof_of
from getpro.backups.retention import Keep
from getpro.backups.sources import Copy
from getpro.backups.states import BackupKind, BackupState
from getpro.backups.store import Backup
from getpro.bootstrap.backups import sell_once
from getpro.kit import crashpoints
from getpro.kit.trouble import Trouble
from getpro.platform.postgres import tools_for
from getpro.platform.postgres.tools import tools_of
from getpro.platform.schedules import next_run
from shop import Shop

DEAD = "postgresql://nobody@127.0.0.1:1/nothing"
HERE = "2getpro_v2"
COUNTS = "SELECT (SELECT count(*) FROM users), count(*), sum(amount) FROM payments WHERE status = 'succeeded'"


async def a_shop_that_sells(shop: Shop) -> None:
    for name in ("alice", "bob"):
        await shop.purchase(await shop.customer(name))


async def copy_of(deps: Deps) -> Backup:
    return await service.create(deps, asked_by="olga")


async def states(deps: Deps) -> dict[str, BackupState]:
    async with deps.db.read("test") as session:
        return {one.name: one.state for one in await store.newest_first(session)}


def files(deps: Deps) -> set[str]:
    return {path.name for path in deps.folder.iterdir() if path.name != ".lock"}


async def test_a_copy_holds_everything_and_is_closed_to_others(deps: Deps, shop: Shop) -> None:
    await a_shop_that_sells(shop)
    made = await copy_of(deps)
    assert made.state is BackupState.MADE
    assert files(deps) == {f"{made.name}{end}" for end in (ARCHIVE, SETTINGS, ".json")} | {LATEST}
    assert {path.stat().st_mode & 0o777 for path in deps.folder.iterdir() if path.name != ".lock"} == {0o600}
    assert made.manifest is not None
    assert made.manifest.facts.rows["users"] == 2
    assert made.manifest.facts.money["payments"] == {"succeeded": "398.00"}
    beside = json.loads((deps.folder / f"{made.name}.json").read_text(encoding="utf-8"))
    assert (beside["sha256"], beside["file_bytes"]) == (made.manifest.sha256, made.bytes)
    closed = (deps.folder / f"{made.name}{ARCHIVE}").read_bytes()
    assert closed.startswith(b"age-encryption.org/v1\n")
    assert b"alice" not in closed
    tried = await service.verify(deps)
    assert tried.is_good, tried.verification
    assert not list(deps.trials.glob("scratch"))


async def test_a_copy_of_a_database_that_lacks_an_index_of_its_version_is_not_good(deps: Deps) -> None:
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute("DROP INDEX users_registration_date_idx")
        try:
            await copy_of(deps)
        finally:
            connection.execute("CREATE INDEX users_registration_date_idx ON users (registration_date)")
    tried = await service.verify(deps)
    assert tried.verification is not None
    assert "не хватает: CREATE INDEX users_registration_date_idx" in tried.verification["trouble"]


async def test_the_servers_limits_of_time_are_for_the_shop_and_end_no_copy(deps: Deps) -> None:
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        for limit in ("transaction_timeout = '1s'", "idle_in_transaction_session_timeout = '500ms'"):
            connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET {limit}')
    made = await service.create(deps, asked_by="olga", on_progress=lambda _: time.sleep(0.6))
    assert made.state is BackupState.MADE


@pytest.mark.long
async def test_the_product_itself_boots_on_what_was_restored_and_sells(
    deps: Deps, shop: Shop, figure: Callable[[str], None]
) -> None:
    await a_shop_that_sells(shop)
    await copy_of(deps)
    tried = await service.verify(replace(deps, use=sell_once))
    assert tried.is_good, tried.verification
    assert tried.verification is not None
    figure(
        f"restore test of a small shop: {sum(seconds for _, seconds in tried.verification['steps']):.1f} s"
    )


def unzipped(deps: Deps) -> bytes:
    """By the program that the guide uses."""
    with (deps.folder / LATEST).open("rb") as latest:
        return subprocess.run(["gunzip"], stdin=latest, check=True, capture_output=True).stdout


def psql(
    deps: Deps, database: str, *arguments: str, script: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    url = f"{deps.database_url.rpartition('/')[0]}/{database}"
    command, environment = tools_for(18).client("psql", url)
    return subprocess.run(
        [*command, "-X", *arguments], input=script, check=False, capture_output=True, env=environment
    )


@pytest.fixture
def other(deps: Deps) -> Iterator[str]:
    """The guide's database for a trial."""
    server = deps.database_url.rpartition("/")[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE test_db")
        yield "test_db"
        connection.execute("DROP DATABASE test_db WITH (FORCE)")


@pytest.mark.xdist_group("one test_db a server")
async def test_the_guides_line_restores_the_latest_also_the_second_time(
    deps: Deps, shop: Shop, other: str
) -> None:
    await a_shop_that_sells(shop)
    await copy_of(deps)
    for _ in range(2):
        plain = unzipped(deps)
        done = psql(deps, other, script=plain)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.decode().splitlines()[-1].startswith("2GETPRO: восстановлено целиком, на 2026-")
        seen = psql(deps, other, "-At", "-c", COUNTS).stdout.decode().strip()
        assert seen == "2|2|398.00"


async def test_a_plain_copy_that_breaks_off_or_fails_changes_nothing_and_does_not_say_whole(
    deps: Deps, shop: Shop, other: str
) -> None:
    await a_shop_that_sells(shop)
    await copy_of(deps)
    plain = unzipped(deps)
    assert psql(deps, other, script=plain).returncode == 0
    cut, failing = (
        plain[: plain.rindex(b";\n", 0, len(plain) // 2) + 2],
        plain.replace(b"\nCOPY ", b"\nSELECT 1/0;\nCOPY ", 3),
    )
    for script, code in ((cut, 0), (failing, 3)):
        done = psql(deps, other, script=script)
        assert (done.returncode, "целиком" in done.stdout.decode()) == (code, False), done.stderr
        assert psql(deps, other, "-At", "-c", COUNTS).stdout.decode().strip() == "2|2|398.00"


async def test_a_statement_that_fails_in_the_restore_is_red(deps: Deps, shop: Shop) -> None:
    """Here of a table whose own check, as the archive has it, refuses the row that is in it."""
    async with shop.db.begin("test") as session:
        await session.execute(text("CREATE FUNCTION lost() RETURNS int LANGUAGE sql AS 'SELECT 1'"))
        await session.execute(text("CREATE TABLE of_lost (n int DEFAULT lost(), CHECK (lost() = 1))"))
        await session.execute(text("INSERT INTO of_lost DEFAULT VALUES"))
        await session.execute(
            text("CREATE OR REPLACE FUNCTION lost() RETURNS int LANGUAGE sql AS 'SELECT 2'")
        )
    await copy_of(deps)
    tried = await service.verify(deps)
    assert (tried.is_good, "of_lost" in (tried.verification or {})["trouble"]) == (False, True), (
        tried.verification
    )


async def test_a_reference_that_is_broken_is_red(deps: Deps, shop: Shop) -> None:
    await a_shop_that_sells(shop)
    async with shop.db.begin("test") as session:
        await session.execute(
            text("SET LOCAL session_replication_role = replica")
        )  # as of a row that was lost
        await session.execute(text("DELETE FROM users WHERE user_id = 101"))
    await copy_of(deps)
    tried = await service.verify(deps)
    assert (tried.is_good, "foreign key" in (tried.verification or {})["trouble"]) == (False, True)


async def test_copies_are_made_by_the_programs_of_pg_bin(
    deps: Deps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, real = tmp_path / "bin", tools_for(18)
    theirs.mkdir()
    for program in ("psql", "pg_dump"):
        wrapper = theirs / program
        wrapper.write_text(
            f"#!/bin/sh\nLD_LIBRARY_PATH={real.environment().get('LD_LIBRARY_PATH', '')}\n"
            f'export LD_LIBRARY_PATH\necho {program} >> {tmp_path}/used\nexec {real.path(program)} "$@"\n'
        )
        wrapper.chmod(0o755)
    monkeypatch.setenv("PG_BIN", str(theirs))
    await copy_of(deps)
    assert "pg_dump" in (tmp_path / "used").read_text().split()
    assert tools_for(99).bin != theirs  # an older pg_dump would refuse the server
    assert (await service.verify(deps)).is_good
    with pytest.raises(Trouble, match="его программ здесь нет"):
        tools_of(17)
    (theirs / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.2'\n")
    (theirs / "postgres").chmod(0o755)
    assert tools_of(17).bin == theirs


PLANTED = """
CREATE FUNCTION reach(lies text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_database() = '2getpro_v2' THEN  -- where a copy is restored
    EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'touch ' || lies);
  END IF;
EXCEPTION WHEN insufficient_privilege THEN RETURN;
END $$;
CREATE FUNCTION planted(said text, lies text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.reach(lies); RETURN said; END $$;
CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.reach(TG_ARGV[0]); RETURN NEW; END $$;
CREATE EXTENSION pg_stat_statements;  -- none but a superuser may make it
COMMENT ON EXTENSION pg_stat_statements IS 'nor say anything of it';
CREATE TABLE of_mallory (said text CHECK (public.planted(said, '{lies}/check') <> ''));
INSERT INTO of_mallory VALUES ('hello');
CREATE INDEX ON of_mallory (public.planted(said, '{lies}/index'));
CREATE TRIGGER planted BEFORE INSERT ON users FOR EACH ROW
  EXECUTE FUNCTION public.planted('{lies}/trigger');
"""


async def test_what_is_planted_in_a_copy_reaches_no_program_while_it_is_tried(
    deps: Deps, shop: Shop, tmp_path: Path
) -> None:
    """As a superuser's it would: while it is restored and looked through, and when something is sold."""
    lies = tmp_path / "reached"
    lies.mkdir()
    lies.chmod(0o777)
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute(PLANTED.replace("{lies}", str(lies)).encode())

    def use(url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO users (user_id) VALUES (1)")

    await copy_of(deps)
    tried = await service.verify(replace(deps, use=use))
    assert tried.is_good, tried.verification
    assert [path.name for path in lies.iterdir()] == []


async def test_over_the_shops_own_database_it_stops_before_any_change(deps: Deps, shop: Shop) -> None:
    await a_shop_that_sells(shop)
    await copy_of(deps)
    server = deps.database_url.rpartition("/")[0]
    plain = unzipped(deps)
    with psycopg.connect(f"{server}/{HERE}", autocommit=True) as connection:
        connection.execute("CREATE TABLE precious (n int)")
        try:
            done = psql(deps, HERE, script=plain)
            assert done.returncode == 3
            assert "ничего не изменено" in done.stderr.decode()
            found = connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            )
            assert [row[0] for row in found if not row[0].startswith("pg_")] == ["precious"]
        finally:
            connection.execute("DROP TABLE precious")


async def test_a_server_that_is_away_leaves_no_copy_and_is_told(deps: Deps) -> None:
    """The guide's ``pg_dump | gzip`` ends with 0 and a file of 20 bytes."""
    earlier = await copy_of(deps)
    before = (deps.folder / LATEST).read_bytes()
    with pytest.raises(DumpFailed):
        await copy_of(replace(deps, database_url=DEAD, clock=lambda: deps.clock() + timedelta(days=1)))
    assert sorted((await states(deps)).values()) == [BackupState.FAILED, BackupState.MADE]
    assert files(deps) == {f"{earlier.name}{end}" for end in (ARCHIVE, SETTINGS, ".json")} | {LATEST}
    assert (deps.folder / LATEST).read_bytes() == before


async def test_a_server_that_goes_away_for_good_is_told_as_what_went_wrong(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, psycopg.OperationalError("the connection is closed"))

    monkeypatch.setattr(store, "failed", away)
    with pytest.raises(DumpFailed):
        await copy_of(replace(deps, database_url=DEAD))
    monkeypatch.undo()
    await service.tidy(deps)
    assert list((await states(deps)).values()) == [BackupState.FAILED]


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file grows beyond ``size``, as on a disk that fills."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("step", ["Пишем копию", f"Пишем {LATEST}"])
async def test_a_disk_that_fills_in_the_middle_leaves_no_copy_and_what_was_there(
    deps: Deps, shop: Shop, step: str
) -> None:
    earlier = await copy_of(deps)
    before = files(deps)
    latest = (deps.folder / LATEST).read_bytes()
    await a_shop_that_sells(shop)
    shop.clock.now += timedelta(days=1)
    with contextlib.ExitStack() as disk:

        def fill(reached: str) -> None:
            if reached == step:
                disk.enter_context(room_for(4_000))

        with pytest.raises(DumpFailed):
            await service.create(deps, asked_by="olga", on_progress=fill)
    assert files(deps) == before
    assert (deps.folder / LATEST).read_bytes() == latest
    assert (await states(deps))[earlier.name] is BackupState.MADE


def free_is(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: size)


async def test_a_copy_is_begun_only_where_there_is_room_for_one_like_the_last_and_for_the_shop(
    deps: Deps, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await copy_of(deps)
    there = files(deps)
    asked: list[str] = []
    needed = (made.bytes or 0) + (deps.folder / LATEST).stat().st_size + 256 * 2**20
    free_is(monkeypatch, needed - 1)
    shop.clock.forward(hours=1)
    with pytest.raises(NoRoom, match="нет места на диске"):
        await service.create(deps, asked_by="olga", on_progress=asked.append)
    assert (asked, files(deps)) == ([], there)
    assert sorted((await states(deps)).values()) == [BackupState.FAILED, BackupState.MADE]
    free_is(monkeypatch, needed)
    shop.clock.forward(hours=1)
    assert (await copy_of(deps)).state is BackupState.MADE


async def test_a_copy_is_not_tried_where_that_would_fill_the_disk(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await copy_of(deps)
    source = Copy(deps.folder, newest(deps), deps.keys.identity)
    free_is(monkeypatch, source.restored_bytes + 256 * 2**20 - 1)
    tried = await service.verify(deps)
    assert (tried.is_good, tried.state) == (False, BackupState.MADE)
    assert "нет места на диске" in (tried.verification or {})["trouble"]
    assert [step for step, _ in (tried.verification or {})["steps"]] == []
    assert not list(deps.folder.glob("*.proof"))  # it says nothing of the copy
    free_is(monkeypatch, source.restored_bytes + 256 * 2**20)
    assert (await service.verify(deps, made.name)).is_good
    proof = proof_of(deps.folder, newest(deps), deps.keys.identity)
    assert (proof is not None and proof.is_good) is True


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def one_bit_off(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [truncated, one_bit_off])
async def test_a_file_that_is_not_what_was_written_does_not_pass(
    deps: Deps, harm: Callable[[Path], None]
) -> None:
    made = await copy_of(deps)
    harm(deps.folder / f"{made.name}{ARCHIVE}")
    tried = await service.verify(deps)
    assert tried.is_good is False
    assert "не те байты" in (tried.verification or {})["trouble"]


async def test_a_wrong_key_opens_nothing(deps: Deps) -> None:
    await copy_of(deps)
    stranger = x25519.Identity.generate()
    tried = await service.verify(replace(deps, keys=Keys(stranger, (stranger.to_public(),))))
    assert "ключ её не открывает" in (tried.verification or {})["trouble"]


async def test_rows_or_kopeks_that_are_missing_do_not_pass(deps: Deps, shop: Shop) -> None:
    """As if the copy had been made of another database than the one that was counted."""
    await a_shop_that_sells(shop)
    await copy_of(deps)
    rows, money = ("{facts,rows,users}", "3"), ("{facts,money,payments,succeeded}", '"398.01"')
    for path, value in (rows, money):
        async with deps.db.begin("test") as session:
            await session.execute(
                text(
                    "UPDATE backups SET manifest = jsonb_set("
                    "manifest - 'signature', CAST(:path AS text[]), CAST(:value AS jsonb))"
                ),
                {"path": path, "value": value},
            )
    tried = await service.verify(deps)
    assert tried.is_good is False
    assert "users: строк 2 вместо 3" in (tried.verification or {})["trouble"]
    assert "398.01" in (tried.verification or {})["trouble"]


async def test_a_shop_that_does_not_sell_on_it_makes_a_copy_bad(deps: Deps) -> None:
    def cannot(_: str) -> None:
        raise NotRestored("купить нельзя")

    await copy_of(deps)
    tried = await service.verify(replace(deps, use=cannot))
    assert (tried.is_good, (tried.verification or {})["trouble"]) == (False, "купить нельзя")


async def test_a_copy_that_was_deleted_behind_our_back_is_lost_and_may_come_back(deps: Deps) -> None:
    made = await copy_of(deps)
    there = deps.folder / f"{made.name}{ARCHIVE}"
    there.rename(there.with_name("aside"))
    await service.tidy(deps)
    assert await states(deps) == {made.name: BackupState.LOST}
    tried = await service.verify(deps)
    assert "файла нет" in (tried.verification or {})["trouble"]
    there.with_name("aside").rename(there)
    await service.tidy(deps)
    assert await states(deps) == {made.name: BackupState.MADE}


async def test_by_a_clock_that_was_put_back_a_copy_is_made_and_neither_it_nor_a_newer_one_goes(
    deps: Deps,
) -> None:
    newer = await copy_of(deps)
    behind = replace(deps, clock=lambda: newer.started_at - timedelta(hours=2))
    made = await service.create(behind, asked_by="olga")
    assert made.started_at < newer.started_at
    await service.prune(behind)
    assert await states(deps) == {newer.name: BackupState.MADE, made.name: BackupState.MADE}


async def test_two_copies_of_one_second_have_names_of_their_own(deps: Deps) -> None:
    made = [await copy_of(deps), await copy_of(deps)]
    unlisted = await service.create_unlisted(deps, asked_by="migration")
    assert len({*(one.name for one in made), unlisted.name}) == 3
    assert await states(deps) == {one.name: BackupState.MADE for one in made}


async def test_nothing_to_try_is_told(deps: Deps) -> None:
    with pytest.raises(NotThere):
        await service.verify(deps)
    await copy_of(deps)
    with pytest.raises(NotThere, match="no-such"):
        await service.verify(deps, "no-such")


async def test_two_do_not_work_in_one_folder(deps: Deps) -> None:
    with held(deps.folder), pytest.raises(Busy):
        await copy_of(deps)


async def test_a_folder_that_cannot_be_is_told_and_nothing_is_begun(deps: Deps, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoFolder, match="в пути стоит файл"):
        await copy_of(replace(deps, folder=tmp_path / "file" / "backups"))
    assert await states(deps) == {}


async def test_what_was_interrupted_is_swept_by_the_next(deps: Deps) -> None:
    killed = "2getpro-20250101-000000"
    made = await copy_of(deps)
    async with deps.db.begin("test") as session:
        await store.begin(session, killed, BackupKind.DUMP, asked_by="olga", now=deps.clock())
    (deps.folder / f".making-{killed}.dump.zst.age").write_bytes(b"half")
    (deps.folder / f"{killed}{ARCHIVE}").write_bytes(b"whole, but nobody said so")
    in_clear = deps.trials.parent / places.RESTORED / places.SCRATCH / "restored.dump"
    in_clear.parent.mkdir(parents=True)
    in_clear.write_bytes(b"of who looked at one customer")
    await service.tidy(deps)
    assert not in_clear.exists()
    assert await states(deps) == {made.name: BackupState.MADE, killed: BackupState.FAILED}
    assert files(deps) == {f"{made.name}{end}" for end in (ARCHIVE, SETTINGS, ".json")} | {LATEST}


async def test_in_a_database_restored_from_it_a_copy_is_not_taken_for_half_made(deps: Deps) -> None:
    """It holds its own row as of the moment at which it was being made."""
    made = await copy_of(deps)
    async with deps.db.begin("test") as session:
        await session.execute(
            text("UPDATE backups SET state = 'making', finished_at = NULL, bytes = NULL, manifest = NULL")
        )
    await service.tidy(deps)
    assert await states(deps) == {made.name: BackupState.MADE}
    assert (deps.folder / f"{made.name}{ARCHIVE}").exists()
    assert (await service.verify(deps)).is_good


async def test_what_no_count_keeps_goes_and_the_proven_one_stays(deps: Deps, shop: Shop) -> None:
    made = []
    for _ in range(4):
        made.append((await copy_of(deps)).name)
        if len(made) == 1:
            assert (await service.verify(deps)).is_good
        shop.clock.now += timedelta(days=1)
    would = [copy.name for copy in await service.to_prune(deps)]
    assert would == [made[1]]
    assert [copy.name for copy in await service.prune(deps)] == would
    assert (await states(deps))[made[1]] is BackupState.DELETED
    assert not (deps.folder / f"{made[1]}{ARCHIVE}").exists()
    assert await service.prune(deps) == []


class Died(BaseException):
    """As a process does: nothing that follows is carried out but what gives things back."""


async def test_death_at_any_point_of_letting_go_leaves_no_claim_that_is_not_true(
    deps: Deps, shop: Shop
) -> None:
    only_newest = replace(deps, keep=Keep(daily=1, weekly=0, monthly=0, yearly=0))
    passed: list[str] = []

    def die(point: str) -> None:
        passed.append(point)
        if len(passed) == at:
            raise Died

    at, died = 0, True
    while died:
        at += 1
        passed.clear()
        shop.clock.now += timedelta(days=1)
        newest = await copy_of(deps)
        crashpoints.listen(die)
        try:
            await service.prune(only_newest)
            died = False
        except Died:
            pass
        finally:
            crashpoints.listen(None)
        async with deps.db.read("test") as session:
            for one in await store.newest_first(session, BackupState.MADE):
                assert (deps.folder / f"{one.name}{ARCHIVE}").exists(), passed
        await service.prune(only_newest)
        assert lying(deps) == {f"{newest.name}{end}" for end in (ARCHIVE, SETTINGS, ".json")}
    assert len(passed) > 4, passed


FORGED = (
    "UPDATE backups SET state = 'deleted'",
    """UPDATE backups SET is_good = false,
       manifest = jsonb_set(manifest, '{made_at}', '"2020-01-01T00:00:00Z"')""",
    "INSERT INTO backups (name, state, asked_by, started_at) VALUES ('../precious', 'making', 'm', now())",
    """INSERT INTO backups (name, state, asked_by, started_at, is_good, bytes, manifest)
       SELECT '2getpro-2027010' || n || '-000000', 'made', 'm', now(), true, bytes,
           jsonb_set(manifest, '{made_at}', to_jsonb('2027-01-0' || n || 'T00:00:00Z'))
       FROM backups, generate_series(1, 3) n WHERE backup_id = 1""",
    "UPDATE backups SET manifest = '{}'",
)


async def test_whoever_writes_to_the_catalogue_alone_has_no_copy_deleted(
    deps: Deps, shop: Shop, tmp_path: Path
) -> None:
    made = []
    for _ in range(2):
        made.append(await copy_of(deps))
        shop.clock.forward(days=1)
    assert (await service.verify(deps, made[0].name)).is_good
    before = lying(deps)
    (tmp_path / "precious.json").touch()
    for forged in FORGED:
        async with deps.db.begin("test") as session:
            await session.execute(text(forged))
        await service.prune(deps)
        assert lying(deps) == before, forged
    assert (tmp_path / "precious.json").exists()
    assert (await states(deps))[made[0].name] is BackupState.MADE


def lying(deps: Deps) -> set[str]:
    return {path.name for path in deps.folder.glob("2getpro-*")}


def test_a_key_is_made_once_and_never_again_over_a_broken_one(tmp_path: Path) -> None:
    copies = tmp_path / "backups"
    with structlog.testing.capture_logs() as told:
        first = keys(tmp_path, copies)
        assert str(keys(tmp_path, copies).identity) == str(first.identity)
    assert [(one["event"], one["file"]) for one in told] == [("backup.key_made", str(tmp_path / FILE))]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / FILE).write_text("rubbish")
    with pytest.raises(Trouble, match="испорчен"):
        keys(tmp_path, copies)
    other = x25519.Identity.generate().to_public()
    (tmp_path / FILE).unlink()
    assert len(keys(tmp_path, copies, [str(other)]).recipients) == 2
    with pytest.raises(Trouble, match="BACKUP_RECIPIENTS"):
        keys(tmp_path, copies, ["nonsense"])


@pytest.mark.parametrize("closed", ["2getpro-20260301-023000.dump.zst.age", f"wal/7/{'0' * 24}.zst.age"])
def test_a_key_that_is_gone_is_asked_for_and_none_is_made_beside_what_it_has_closed(
    tmp_path: Path, closed: str
) -> None:
    copies = tmp_path / "backups"
    first = keys(tmp_path, copies)
    (copies / closed).parent.mkdir(parents=True)
    (copies / closed).touch()
    saved = (tmp_path / FILE).rename(tmp_path / "saved.key")
    with pytest.raises(Trouble, match="Ключа копий нет"):
        keys(tmp_path, copies)
    assert not (tmp_path / FILE).exists()
    saved.rename(tmp_path / FILE)
    assert str(keys(tmp_path, copies).identity) == str(first.identity)
    (tmp_path / FILE).unlink()
    copies.rename(tmp_path / "former")  # on purpose
    assert str(keys(tmp_path, copies).identity) != str(first.identity)


async def test_every_night_a_copy_is_made_and_old_ones_go_and_on_fridays_one_is_proven(
    deps: Deps, shop: Shop
) -> None:
    kinds = {kind.name: kind for kind in jobs.job_kinds(lambda: deps)}
    schedules = [*jobs.schedules("UTC", sends=True), *jobs.point_in_time_schedules("UTC")]
    for _ in range(4):
        await kinds["make_backup"].run()
        shop.clock.now += timedelta(days=1)
    assert sorted((await states(deps)).values()) == [*[BackupState.DELETED] * 2, *[BackupState.MADE] * 2]
    await kinds["prove_backup"].run()
    async with deps.db.read("test") as session:
        assert [one.is_good for one in await store.newest_first(session, BackupState.MADE)] == [True, None]
    assert {schedule.name for schedule in schedules} == set(kinds) - {jobs.TELEGRAM.name}
    sunday = datetime(2026, 3, 1, 12, tzinfo=UTC)
    due = {schedule.name: next_run(schedule.rule, schedule.zone, after=sunday) for schedule in schedules}
    assert due["make_backup"] == sunday.replace(day=2, hour=2, minute=30)
    assert due["prove_backup"] == sunday.replace(day=6, hour=5)


async def test_a_broken_key_stops_a_copy_and_no_shop() -> None:
    def broken() -> Deps:
        raise Trouble("Ключ копий испорчен.", "x.", "y.")

    for kind in jobs.job_kinds(broken):
        arguments = {"name": "2getpro-20260301-120000"} if kind.job == jobs.TELEGRAM else {}
        with pytest.raises(kind.expected, match="испорчен"):
            await kind.run(**arguments)
