"""A copy or a trial that nobody waits for any more ends at once: nothing runs on, nothing is half written."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from pyrage import x25519

from commanded import SOURCE
from getpro.backups import service, store
from getpro.backups.deps import Deps
from getpro.backups.folder import LATEST, UNFINISHED, held, written
from getpro.backups.sealed import seal, unseal
from getpro.backups.states import BackupState
from getpro.backups.trial import SCRATCH
from getpro.platform.jobs import UPKEEP, Backoff, JobKind, JobName, Jobs
from getpro.platform.postgres import Cluster
from shop import KEY, Shop
from waiting import until

COUNTING, COPYING, PLAINLY = "Считаем строки и суммы", "Пишем копию", f"Пишем {LATEST}"


def programs() -> dict[int, str]:
    """What this process has started and what is still running: its number and name."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            if rest.split()[0] != "Z" and (Path("/proc/self").resolve().name == rest.split()[1]):
                found[int(stat.parent.name)] = name
    return found


Stuck = Callable[[str], Callable[[str], None]]
TABLES = {COUNTING: "users", COPYING: "synthetic.users", PLAINLY: "synthetic.users"}
"""Who counts reads the first; who copies, both, but the first is held by who has counted."""


@pytest.fixture
def stuck(database_url: str) -> Iterator[Stuck]:
    """Make who reads the database wait for ever from a step on."""
    with psycopg.connect(database_url) as connection:

        def from_step(wanted: str) -> Callable[[str], None]:
            def lock(step: str) -> None:
                if step == wanted:
                    connection.execute(f"LOCK TABLE {TABLES[step]} IN ACCESS EXCLUSIVE MODE")

            return lock

        yield from_step


async def is_waited_for(url: str) -> None:
    """Returns once somebody waits for a lock."""

    def found() -> bool:
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
        return row != (0,)

    await until(found, seconds=40)  # a command takes its time to start


@pytest.mark.parametrize(("step", "program"), [(COUNTING, None), (COPYING, "pg_dump"), (PLAINLY, "pg_dump")])
async def test_a_copy_that_is_cancelled_is_over_before_the_folder_is_free(
    deps: Deps, stuck: Stuck, step: str, program: str | None
) -> None:
    under_way = asyncio.create_task(service.create(deps, asked_by="olga", on_progress=stuck(step)))
    await is_waited_for(deps.database_url)
    before = programs()
    under_way.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await under_way
    assert program is None or program in before.values()
    with held(deps.folder):
        assert "pg_dump" not in programs().values()
        assert [path.name for path in deps.folder.iterdir()] == [".lock"]
    async with deps.db.read("test") as session:
        [copy] = await store.newest_first(session)
    assert (copy.state, copy.trouble) == (BackupState.FAILED, "прервано")


async def test_a_worker_that_is_told_to_stop_ends_its_copy_and_another_makes_it(
    deps: Deps,
    jobs: Jobs,
    shop: Shop,
    stuck: Callable[[str], Callable[[str], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though it was the last try: that the worker ended was no fault of the copy's."""

    async def make() -> None:
        await service.create(deps, asked_by="schedule", on_progress=stuck(COPYING))

    make_backup = JobName("make_backup", UPKEEP)
    jobs.register([JobKind(make_backup, make, Backoff(attempts=1))])
    monkeypatch.setattr("getpro.platform.jobs.GRACE_SECONDS", 0.1)
    async with shop.db.begin("test") as session:
        await jobs.defer(session, make_backup)
    working = asyncio.create_task(jobs.work())
    await is_waited_for(deps.database_url)
    working.cancel()
    async with asyncio.timeout(8):
        with pytest.raises(asyncio.CancelledError):
            await working
    assert "pg_dump" not in programs().values()
    assert not list(deps.folder.glob(f"{UNFINISHED}*"))
    with psycopg.connect(deps.database_url) as connection:
        left = connection.execute("SELECT task_name, status::text FROM procrastinate_jobs").fetchall()
    assert left == [("make_backup", "todo")]


async def test_a_trial_that_is_cancelled_stops_its_server_and_clears_up(deps: Deps) -> None:
    used = asyncio.Event()
    loop = asyncio.get_running_loop()

    def use(url: str) -> None:
        loop.call_soon_threadsafe(used.set)
        with psycopg.connect(url) as connection:
            connection.execute("SELECT pg_sleep(600)")

    await service.create(deps, asked_by="olga")
    under_way = asyncio.create_task(service.verify(replace(deps, use=use)))
    await used.wait()
    server = Cluster(deps.trials / SCRATCH / "postgres").server_pid()
    under_way.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await under_way
    with held(deps.trials):
        assert server is not None
        assert server not in programs()
        assert not (deps.trials / SCRATCH).exists()
    async with deps.db.read("test") as session:
        [copy] = await store.newest_first(session)
    assert (copy.state, copy.verified_at) == (BackupState.MADE, None)


async def test_ctrl_c_ends_the_command_and_its_copy(database_url: str, tmp_path: Path) -> None:
    environment = {
        "PYTHONPATH": str(SOURCE),
        "DATABASE_URL": database_url,
        "DATABASE_KEYS": KEY,
        "TELEGRAM_BOT_TOKEN": "42:TEST",
        "PANEL_URL": "http://127.0.0.1:9",
        "PANEL_TOKEN": "t",
        "GETPRO_DATA_DIR": str(tmp_path),
    }
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        with subprocess.Popen(  # noqa: ASYNC220 -- it is left alone while we wait
            # Whoever started the tests in the background may have had it ignored.
            ["env", "--default-signal=INT", sys.executable, "-m", "getpro", "backup", "create"],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
        ) as process:
            await is_waited_for(database_url)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=10)[1]
    assert (process.returncode, said) == (130, b"")
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [".lock"]


def test_ctrl_c_ends_the_opening_of_a_copy(tmp_path: Path) -> None:
    key, path, has_begun = x25519.Identity.generate(), tmp_path / "copy", threading.Event()
    with written(path) as sink:
        seal(BytesIO(os.urandom(2**22)), sink, [key.to_public()])

    def slowly(_: int) -> None:
        has_begun.set()
        time.sleep(0.05)

    def interrupt() -> None:
        assert has_begun.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with written(tmp_path / "plain") as plain, pytest.raises(KeyboardInterrupt):
        unseal(path, key, plain, on_bytes=slowly)
    assert plain.bytes < 2**22
