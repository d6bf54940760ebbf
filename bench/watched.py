"""What being watched costs those who press: the same shop, in turns left alone and looked at."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import aiohttp
import psycopg

from bench.meter import percentile
from bench.people import Crowd
from bench.stage import Running, Stage, free_port
from bench.updates import walk

PRESSES_A_SECOND: Final = 50
TURN_SECONDS: Final = 30
SCRAPE_SECONDS: Final = 15
"""As often as the stack's Prometheus comes."""
ROUTINES: Final = ("ops_watch", "synthetic_purchase")
"""What runs in each watched turn: once in two hours and twice a minute otherwise."""
_FIRST: Final = 500_000_000
_KNOWN: Final = 200


@dataclass(frozen=True)
class Turns:
    """Waiting in milliseconds, a turn by itself and the watched one after it at the same place."""

    alone_p50: list[float]
    watched_p50: list[float]
    alone_p95: list[float]
    watched_p95: list[float]
    lost: int


def measure(stage: Stage, *, pairs: int) -> Turns:
    metrics = free_port()
    with stage.shop(OPERATIONS_SYNTHETIC="true", GETPRO_METRICS_PORT=str(metrics)) as shop:
        return asyncio.run(_take_turns(shop, stage, f"http://127.0.0.1:{metrics}/metrics", pairs))


async def _take_turns(shop: Running, stage: Stage, metrics: str, pairs: int) -> Turns:
    turns = Turns([], [], [], [], 0)
    async with Crowd.at(shop.updates, stage.telegram) as crowd:
        people = list(range(_FIRST, _FIRST + _KNOWN))
        for who in people:
            await crowd.says(who, "/start")
        _put_off(stage)
        await _press(crowd, people)  # warmed up, and what the start has set going is over
        for _ in range(pairs):
            _put_off(stage)
            waits = await _press(crowd, people)
            turns.alone_p50.append(percentile(waits, 0.5))
            turns.alone_p95.append(percentile(waits, 0.95))
            async with _looked_at(stage, metrics):
                waits = await _press(crowd, people)
            turns.watched_p50.append(percentile(waits, 0.5))
            turns.watched_p95.append(percentile(waits, 0.95))
        return Turns(**{**vars(turns), "lost": sum(crowd.lost.values())})


async def _press(crowd: Crowd, people: list[int]) -> list[float]:
    """Presses at a steady pace for a turn; milliseconds that each waited."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(at: int, who: int) -> float:
        await asyncio.sleep(began + at / PRESSES_A_SECOND - loop.time())
        return 1000 * await walk(crowd, who)

    walkers = itertools.islice(itertools.cycle(people), TURN_SECONDS * PRESSES_A_SECOND)
    return await asyncio.gather(*(one(at, who) for at, who in enumerate(walkers)))


@contextlib.asynccontextmanager
async def _looked_at(stage: Stage, metrics: str) -> AsyncIterator[None]:
    """Scraped again and again, a routine and a synthetic purchase run. Raises AssertionError if not."""
    _run(stage, in_seconds=0)

    async def scrape() -> None:
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            while True:
                async with http.get(metrics) as answer:
                    await answer.read()
                await asyncio.sleep(SCRAPE_SECONDS)

    scraping = asyncio.create_task(scrape())
    yield
    assert not scraping.done(), "nobody scraped"
    scraping.cancel()
    with psycopg.connect(stage.database_url) as connection:
        ran = connection.execute(
            "SELECT count(DISTINCT name) FROM schedules WHERE name = ANY(%s)"
            " AND last_run_at > now() - make_interval(secs => %s)",
            [list(ROUTINES), TURN_SECONDS + 1],
        ).fetchone()
    assert ran == (len(ROUTINES),), f"not all routines ran: {ran}"


def _put_off(stage: Stage) -> None:
    _run(stage, in_seconds=3600)


def _run(stage: Stage, *, in_seconds: int) -> None:
    with psycopg.connect(stage.database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE schedules SET next_run_at = now() + make_interval(secs => %s) WHERE name = ANY(%s)",
            [in_seconds, list(ROUTINES)],
        )
