"""The sandbox's clock: one for PostgreSQL, the shop and the simulators, and only forward."""

import asyncio
import importlib.util
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from forked import forked, preloaded

from folders import open_up
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.clock import LONGEST_MOVE_SECONDS, CannotMove, SandboxClock
from getpro.sandbox.shop.joblines import JOBS_FILE
from getpro.sandbox.shop.world import Product, World, world
from getpro.sandbox.telegram.state import Person

DAY = 86400


class Nobody(Product):
    """A sandbox without a shop starts at once."""

    async def start(self, *_: str) -> None:
        pass


Sql = Callable[[str], list[tuple[Any, ...]]]


def ahead(clock: SandboxClock) -> float:
    return (clock() - datetime.now(UTC)).total_seconds()


def seen_by_a_process(clock: SandboxClock) -> float:
    """How far ahead a program is that runs on the clock."""
    said = subprocess.run(
        ["date", "+%s"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/bin:/usr/bin"} | clock.environment,
    )
    return int(said.stdout) - time.time()


async def test_a_moved_clock_is_seen_by_every_process_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    clock = SandboxClock(open_up(tmp_path))
    assert clock.is_movable
    assert ahead(clock) == pytest.approx(0, abs=0.1)
    began = time.monotonic()
    moment = await clock.move(7 * DAY)
    assert time.monotonic() - began < 1.2
    assert moment == pytest.approx(datetime.now(UTC) + timedelta(days=7), abs=timedelta(seconds=0.1))
    assert seen_by_a_process(clock) == pytest.approx(7 * DAY, abs=2)
    again = SandboxClock(tmp_path)
    assert ahead(again) == pytest.approx(7 * DAY, abs=0.1)
    await asyncio.gather(again.move(3600), again.move(3600))
    assert ahead(again) == pytest.approx(7 * DAY + 7200, abs=0.1)
    assert seen_by_a_process(again) == pytest.approx(7 * DAY + 7200, abs=2)


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_MOVE_SECONDS + 1])
async def test_it_goes_neither_back_nor_out_of_sight(tmp_path: Path, seconds: int) -> None:
    clock = SandboxClock(open_up(tmp_path))
    with pytest.raises(CannotMove):
        await clock.move(seconds)
    assert ahead(clock) == pytest.approx(0, abs=0.1)


async def test_it_ends_with_the_century(tmp_path: Path) -> None:
    (open_up(tmp_path) / "clock").write_text(f"+{73 * 365 * DAY}\n")
    clock = SandboxClock(tmp_path)
    with pytest.raises(CannotMove, match="2099"):
        await clock.move(LONGEST_MOVE_SECONDS)


async def test_where_the_library_is_missing_or_of_no_use_the_clock_is_the_true_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (open_up(tmp_path) / "clock").write_text("+86400\n")
    foreign = tmp_path / "libfaketime" / "__init__.py"
    library = foreign.parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"made for another machine")
    for found in (None, importlib.util.spec_from_file_location("libfaketime", foreign)):
        monkeypatch.setattr(importlib.util, "find_spec", lambda _, found=found: found)
        clock = SandboxClock(tmp_path)
        assert (clock.is_movable, clock.environment) == (False, {})
        assert ahead(clock) == pytest.approx(0, abs=0.1)
        with pytest.raises(CannotMove, match="не переводятся"):
            await clock.move(DAY)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(open_up(tmp_path), durable=False, retry_scale=0.05) as running:
        yield running


async def tried(here: World) -> Person:
    """Anna with her trial of three days, open on the panel."""
    anna, actor = here.telegram.state.add_person(1001, "Анна"), Actor(here)
    await actor.start(anna)
    await actor.press(anna, "go:trial")
    await actor.sees(anna, "Доступ открыт")
    return anna


async def within(seconds: float, condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_to_the_next_expiry_the_subscription_ends_everywhere_and_what_is_due_runs_once(
    here: World, figure: Callable[[str], None]
) -> None:
    anna = await tried(here)
    with psycopg.connect(here.database_url, autocommit=True, options="-c timezone=UTC") as connection:

        def sql(query: str) -> list[tuple[Any, ...]]:
            return list(connection.execute(query))

        [(end,)] = sql("SELECT end_date FROM subscriptions WHERE is_active")
        moment = await here.move_clock(to="next_expiry")
        began = time.monotonic()
        assert timedelta(0) <= moment - end < timedelta(seconds=3)
        [(theirs,)] = sql("SELECT now()")  # on the connection that was open before
        assert theirs == pytest.approx(here.clock(), abs=timedelta(seconds=0.2))
        await within(5, lambda: not sql("SELECT FROM subscriptions WHERE is_active"))
        figure(f"expired {time.monotonic() - began:.1f} s after the clock was moved")
        await within(5, lambda: [u.status for u in here.panel.state.users.values()] == ["EXPIRED"])
        nightly = {"keep_house", "compare_yesterday"}
        await within(10, lambda: nightly <= set(begun_since(here, moment)))
        jobs = begun_since(here, moment)
        passed = time.monotonic() - began
        for name, every in (("expire", 15), ("sweep", 30)):
            assert 1 <= jobs.count(name) <= 2 + passed // every, name  # once for the leap, then by its rule
        for name in nightly:
            assert jobs.count(name) == 1, name
        [(late, last)] = sql("SELECT last_was_late, last_run_at FROM schedules WHERE name = 'keep_house'")
        assert late
        assert last == pytest.approx(here.clock(), abs=timedelta(seconds=10))
    await Actor(here).start(anna)
    assert list(anna.messages.values())[-1]["date"] == pytest.approx(here.clock().timestamp(), abs=10)


def begun_since(here: World, moment: datetime) -> list[str]:
    """The jobs that have ended and had begun after ``moment``, by the shop's own notes."""
    notes = [json.loads(line) for line in here.product.log_file.with_name(JOBS_FILE).read_text().splitlines()]
    return [note["name"] for note in notes if note["began_at"] >= moment.timestamp()]


async def test_a_job_that_runs_while_days_pass_is_not_run_a_second_time_beside_itself(
    here: World,
) -> None:
    here.panel.faults.change({"slow_seconds": 9, "only": "/api/users"})
    anna, actor = here.telegram.state.add_person(1001, "Анна"), Actor(here)
    await actor.start(anna)
    await actor.press(anna, "go:trial")
    with psycopg.connect(here.database_url, autocommit=True) as connection:
        running = "SELECT true FROM procrastinate_jobs WHERE task_name = 'deliver' AND status = 'doing'"
        await within(5, lambda: connection.execute(running).fetchone())
        for _ in range(6):  # whenever somebody looks for dead workers, all have just been silent for days
            await here.move_clock(2 * DAY)
        assert connection.execute(running).fetchone()
    await actor.sees(anna, "Доступ открыт")
    assert [change["what"] for change in here.panel.state.changes] == ["create"]
    await within(5, lambda: deliveries(here))
    assert deliveries(here) == ["deliver subscription_id=1"]
    [lasted] = [line.seconds for line in here.timeline.since(0) if line.what.startswith("deliver")]
    assert lasted == pytest.approx(9, abs=6)  # not the twelve days that the clock was moved meanwhile
    assert "jobs.rescued" not in here.product.log_file.read_text()


def deliveries(here: World) -> list[str]:
    return [line.what for line in here.timeline.since(0) if line.what.startswith("deliver")]


async def test_the_clock_outlives_kills_of_the_shop_and_of_postgresql_and_the_sandbox_itself(
    tmp_path: Path,
) -> None:
    async with (
        preloaded() as parent,
        world(open_up(tmp_path), durable=False, retry_scale=0.05, make_product=forked(parent)) as here,
    ):
        await here.move_clock(30 * DAY)
        await here.kill(with_database=True)
        with pytest.raises(CannotMove, match="не отвечает"):
            await here.move_clock(to="next_expiry")
        await here.revive()
        await tried(here)
        in_a_month = datetime.now(UTC) + timedelta(days=30)
        assert ends_at(here) == pytest.approx(in_a_month + timedelta(days=3), abs=timedelta(minutes=1))
    async with world(tmp_path, durable=False, make_product=Nobody) as here:
        with psycopg.connect(here.database_url) as connection:
            [(theirs,)] = connection.execute("SELECT now()")
        assert theirs == pytest.approx(datetime.now(UTC) + timedelta(days=30), abs=timedelta(minutes=1))
        assert here.clock() == pytest.approx(theirs, abs=timedelta(seconds=10))


def ends_at(here: World) -> datetime:
    [user] = here.panel.state.users.values()
    return user.expireAt


async def test_the_call_moves_the_clock_and_refuses_strangers_and_nonsense(tmp_path: Path) -> None:
    async with (
        world(open_up(tmp_path), durable=False, make_product=Nobody) as here,
        aiohttp.ClientSession(here.urls["control"]) as http,
    ):
        foreign = {"Origin": "http://evil.example"}
        for path, body in (("/clock", {"forward": 60}), ("/kill", {}), ("/faults/panel", {"away": True})):
            async with http.post(path, json=body, headers=foreign) as answer:
                assert answer.status == 403
        wrong: tuple[Any, ...] = (
            {},
            {"forward": "60"},
            {"forward": True},
            {"forward": 1.5},
            {"to": "now"},
            [],
        )
        for nonsense in wrong:
            async with http.post("/clock", json=nonsense) as answer:
                assert (answer.status, list(await answer.json())) == (400, ["error"])
        async with http.post("/clock", json={"forward": -60}) as answer:
            assert (answer.status, await answer.json()) == (409, {"error": "Часы идут только вперёд."})
        async with http.post("/clock", json={"to": "next_expiry"}) as answer:
            assert (answer.status, await answer.json()) == (
                409,
                {"error": "Ни у кого нет действующей подписки."},
            )
        assert here.clock.ahead_seconds == 0
        assert not here.panel.faults.now.away
        assert here.timeline.since(0) == []
        async with http.post(
            "/clock", json={"forward": 3600}, headers={"Origin": here.urls["control"]}
        ) as answer:
            assert (answer.status, (await answer.json())["ahead_seconds"]) == (200, 3600)
        async with http.get("/clock") as answer:
            said = await answer.json()
        assert said["zone"] == "Europe/Moscow"
        assert datetime.fromisoformat(said["now"]) == pytest.approx(here.clock(), abs=timedelta(seconds=2))
