"""What an update costs, and how long people wait, one bot at a time."""

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bench.meter import Meter, percentile
from bench.people import Crowd
from bench.stage import Running, Stage

AT_ONCE: Final = 16
"""People at once where CPU is measured: enough to keep the bot busy, too few to pile up."""
CROWDS: Final = (64, 500)
WARM_UP: Final = 200

Step = Callable[[Crowd, int], Awaitable[float]]


@dataclass(frozen=True)
class Cost:
    """What one bot took. CPU in milliseconds an update; waiting in milliseconds by people at once."""

    start_cpu_ms: float
    menu_cpu_ms: float
    start_p95_ms: dict[int, float]
    menu_p95_ms: dict[int, float]
    resident_mib: float
    per_second: float
    lost: Counter[str]


async def measure(bot: Running, stage: Stage, *, updates: int) -> Cost:
    """Play ``updates`` updates in each of the measurements."""
    newcomers = itertools.count(100_000_000)
    async with Crowd.at(bot.updates, stage.telegram) as crowd:
        known = [next(newcomers) for _ in range(max(CROWDS))]
        await _play(crowd, known, _start, at_once=AT_ONCE)
        await _play(crowd, known[:WARM_UP] * 2, walk, at_once=AT_ONCE)

        meter = Meter([bot.pid])
        await _play(crowd, [next(newcomers) for _ in range(updates)], _start, at_once=AT_ONCE)
        start = meter.read()
        meter = Meter([bot.pid])
        walkers = list(itertools.islice(itertools.cycle(known), updates))
        await _play(crowd, walkers, walk, at_once=AT_ONCE)
        menu = meter.read()

        start_p95, menu_p95 = {}, {}
        for people in CROWDS:
            many = max(updates, 4 * people)
            waits = await _play(crowd, [next(newcomers) for _ in range(many)], _start, at_once=people)
            start_p95[people] = 1000 * percentile(waits, 0.95)
            walkers = list(itertools.islice(itertools.cycle(known[:people]), many))
            waits = await _play(crowd, walkers, walk, at_once=people)
            menu_p95[people] = 1000 * percentile(waits, 0.95)
        return Cost(
            1000 * start.cpu_seconds / updates,
            1000 * menu.cpu_seconds / updates,
            start_p95,
            menu_p95,
            bot.resident_mib(),
            updates / menu.wall_seconds,
            crowd.lost,
        )


async def press_cpu_ms(bot: Running, stage: Stage, *, first: int, presses: int) -> float:
    """CPU in milliseconds of a press, and nothing else: quick, so that it can stand beside other figures.

    By people that nobody else plays, from number ``first`` on.
    """
    async with Crowd.at(bot.updates, stage.telegram) as crowd:
        known = list(range(first, first + 4 * AT_ONCE))  # nobody's turn comes again before it is over
        await _play(crowd, known, _start, at_once=AT_ONCE)
        await _play(crowd, known * 2, walk, at_once=AT_ONCE)
        meter = Meter([bot.pid])
        await _play(crowd, list(itertools.islice(itertools.cycle(known), presses)), walk, at_once=AT_ONCE)
        return 1000 * meter.read().cpu_seconds / presses


async def _start(crowd: Crowd, who: int) -> float:
    return await crowd.says(who, "/start")


async def walk(crowd: Crowd, who: int) -> float:
    """From the menu to the plans, or back."""
    is_menu = any(data == "go:plans" for data in crowd.listener.screens[who]["buttons"])
    return await crowd.presses(who, "go:plans" if is_menu else "go:menu")


async def _play(crowd: Crowd, people: list[int], step: Step, *, at_once: int) -> list[float]:
    """Everybody makes the step, ``at_once`` of them at a time; the seconds that each waited for an answer."""
    left = iter(people)

    async def one_after_another() -> list[float]:
        return [await step(crowd, who) for who in left]

    waits = await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    return [seconds for one in waits for seconds in one if not math.isnan(seconds)]
