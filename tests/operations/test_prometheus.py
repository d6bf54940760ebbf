"""A real Prometheus: what it watches now, and six weeks of a shop's past that promtool has written."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from getpro.checks.check import Finding, Level
from getpro.operations.budget import budget
from getpro.operations.looks import dashboards, services, targets
from getpro.operations.looks.dashboards import SERIES, judged
from getpro.platform.programs import run_program
from getpro.sandbox.serving import serving

pytestmark = pytest.mark.monitoring

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
SECOND, HOUR, WEEK = timedelta(seconds=1), timedelta(hours=1), timedelta(days=7)
USUAL = {"getpro_updates_total": 400, "getpro_charges_total": 40, "failed": 2}
"""Within an hour."""


async def seen(look: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in look]


def past(now: dict[str, int], *, weeks: int = 5, restarts: int = 0) -> str:
    """OpenMetrics: of each past week the hour before this one's moment, as usual; of this week, ``now``."""
    lines: dict[str, list[str]] = {}
    counted = dict.fromkeys(USUAL, 0)
    for ago in range(weeks, -1, -1):
        end = NOW - ago * WEEK
        added = USUAL | (now if ago == 0 else {})
        for minute in range(0, 65, 5):
            at = (end - HOUR + timedelta(minutes=minute)).timestamp()
            for name in counted:
                counted[name] += added[name] * 5 // 60 + (added[name] * 5 % 60 > 0) * (minute % 15 == 0)
            samples = {
                'getpro_updates_total{job="bot",result="ok"}': counted["getpro_updates_total"],
                'getpro_updates_total{job="bot",result="failed"}': counted["failed"],
                'getpro_charges_total{job="worker",outcome="settled"}': counted["getpro_charges_total"],
                'getpro_build_info{job="bot"}': 1,
            }
            for series, value in samples.items():
                lines.setdefault(series, []).append(f"{series} {value} {at:.0f}")
    for number in range(restarts + 1):
        at = (NOW - timedelta(hours=20 - number)).timestamp()
        for series in ('process_start_time_seconds{job="bot"}', 'process_start_time_seconds{job="worker"}'):
            began = at if "bot" in series else 1
            lines.setdefault(series, []).append(f"{series} {began:.0f} {at:.0f}")
    families: dict[str, list[str]] = {}
    for series, found in lines.items():
        families.setdefault(series.partition("{")[0], []).extend(found)
    text = []
    for name, found in families.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        text += [f"# TYPE {name.removesuffix('_total')} {kind}", *found]
    return "\n".join([*text, "# EOF\n"])


Running = Callable[..., contextlib.AbstractAsyncContextManager[str]]
"""With the past to write and the jobs to watch; its address while it runs."""


@pytest.fixture
def prometheus(tmp_path: Path) -> Running:
    @contextlib.asynccontextmanager
    async def running(text: str = "", jobs: str = "[]") -> AsyncIterator[str]:
        data = tmp_path / "data"
        if text:
            (tmp_path / "past.txt").write_text(text)
            past = tmp_path / "past.txt"
            written = await run_program("promtool", "tsdb", "create-blocks-from", "openmetrics", past, data)
            assert written.code == 0, written.complained
        config = tmp_path / "prometheus.yml"
        config.write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs: {jobs}\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=10y",
            "--log.level=error",
        )  # fmt: skip
        try:
            await _ready(f"http://127.0.0.1:{port}/-/ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()

    return running


async def _ready(url: str) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


async def test_this_hour_is_held_against_the_same_hour_of_past_weeks(prometheus: Running) -> None:
    trouble = {"getpro_updates_total": 60, "getpro_charges_total": 120, "failed": 60}
    async with prometheus(past(trouble, restarts=3)) as url:
        found = {one.name: one for one in await seen(dashboards.look(url, now=NOW))}
        earlier = await seen(dashboards.look(url, now=NOW - WEEK))
        nothing = await seen(dashboards.look(url, now=NOW + 3 * HOUR))
        restarts = await seen(services.look_at_restarts(url, ["bot", "worker", "panel"], now=NOW))
        quiet = await seen(services.look_at_restarts(url, ["bot"], now=NOW - timedelta(hours=21)))
    assert {name: one.level for name, one in found.items()} == {
        "dashboards.updates": Level.WRONG,
        "dashboards.payments": Level.ATTENTION,
        "dashboards.errors": Level.WRONG,
        "dashboards.delivery": Level.OK,
    }, found
    assert "намного меньше" in found["dashboards.updates"].seen
    assert {one.level for one in earlier} == {Level.OK}
    assert [one.level for one in nothing] == [Level.UNKNOWN] * 3 + [Level.OK]
    assert [(one.level, one.seen) for one in restarts] == [
        (Level.UNKNOWN, "неизвестно, когда запущены: panel"),
        (Level.WRONG, "bot: 3"),
    ]
    assert [one.level for one in quiet] == [Level.UNKNOWN]


async def test_a_service_that_is_stopped_or_forgotten_is_named(prometheus: Running) -> None:
    app = web.Application()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text="process_start_time_seconds 1\n", content_type="text/plain")

    app.router.add_get("/metrics", metrics)
    async with contextlib.AsyncExitStack() as running:
        up = (await running.enter_async_context(serving(app))).removeprefix("http://")
        jobs = "".join(
            f"\n- {{job_name: {job}, static_configs: [{{targets: ['{where}']}}]}}"
            for job, where in (("bot", up), ("postgres", "127.0.0.1:9"))
        )
        url = await running.enter_async_context(prometheus(jobs=jobs))
        found: list[Finding] = []
        async with asyncio.timeout(20):
            while "postgres http" not in str(found) or "unknown" in str(found):  # it begins with no target
                await asyncio.sleep(0.1)
                found = await seen(targets.look(url, ["bot", "worker"]))
        [restarts] = await seen(services.look_at_restarts(url, ["bot"], now=datetime.now(UTC)))
    assert [one.level for one in found] == [Level.WRONG, Level.WRONG], found
    assert "postgres http://127.0.0.1:9/metrics" in found[0].seen
    assert found[1].seen == "worker: не среди целей"
    assert (restarts.level, restarts.seen) == (Level.OK, "ни одного")


@pytest.mark.parametrize(
    ("latest", "before", "level", "says"),
    [
        (10, [], Level.OK, "недель 0, нужно 2"),
        (10, [1], Level.OK, "недель 1, нужно 2"),
        (10, [400, 380], Level.WRONG, "намного меньше"),
        (250, [400, 380, 600], Level.OK, "обычно 460"),
        (1300, [400, 380, 600], Level.ATTENTION, "намного больше"),
        (3, [12, 10], Level.OK, "обычно 11"),  # too few to tell
        (None, [400, 380], Level.UNKNOWN, "нет данных"),
    ],
)
def test_what_is_unusual_is_so_against_each_of_the_past_weeks(
    latest: float | None, before: list[float], level: Level, says: str
) -> None:
    found = judged(SERIES[0], latest, before)
    assert (found.level, says in found.seen) == (level, True), found


def test_a_delivery_that_takes_longer_than_ever_is_red() -> None:
    delivery = SERIES[-1]
    assert judged(delivery, 4, [2, 3]).level is Level.OK
    assert judged(delivery, 90, [2, 3]).level is Level.WRONG
    assert judged(delivery, None, [2, 3]).level is Level.OK


async def test_a_prometheus_that_is_away_or_speaks_in_riddles_is_red() -> None:
    app = web.Application()

    async def riddle(_: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"result": [{"metric": {}, "values": [1]}]}})

    app.router.add_get("/api/v1/{any}", riddle)
    async with serving(app) as url:
        for where in (url, "http://127.0.0.1:9"):
            assert [one.level for one in await seen(dashboards.look(where, now=NOW))] == [Level.UNKNOWN]
            restarts = services.look_at_restarts(where, ["bot"], now=NOW)
            assert [one.level for one in await seen(restarts)] == [Level.UNKNOWN]


async def test_the_error_budget_is_what_the_synthetic_purchases_have_used_of_it(prometheus: Running) -> None:
    name, since = "getpro:synthetic_purchase:failed", NOW - timedelta(days=30)
    looks = [
        f"{name} {int(number < 60)} {(since + number * 30 * SECOND).timestamp():.0f}"
        for number in range(1, 241)
    ]
    text = "\n".join([f"# TYPE {name} gauge", *looks, "# EOF\n"])
    async with prometheus(text) as url:
        used = await budget(url, since=since, until=NOW, now=NOW + HOUR)
        goes_on = await budget(url, since=since, until=since + timedelta(days=60), now=NOW)
        nothing = await budget(url, since=since - timedelta(days=30), until=since, now=NOW)
    assert used is not None
    assert (used.down, used.measured) == (59 * 30 * SECOND, 2 * HOUR)
    assert used.allowed == timedelta(minutes=216)
    assert goes_on is not None
    assert (goes_on.down, goes_on.allowed) == (used.down, timedelta(minutes=432))
    assert nothing is None
