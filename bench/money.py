"""Paid notices: how fast they are stored and answered, and how long until the customer is on the panel."""

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.people import Crowd, Listener
from bench.stage import Running, Stage

AT_ONCE = 16
PLAN = "plan:1"
PANEL_SECONDS = 0.1
"""How far away the panel is where deliveries are measured."""
PATIENCE_SECONDS = 120


@dataclass
class Flow:
    """What became of a batch of paid notices; times in seconds."""

    paid: int
    answered: list[float] = field(default_factory=list)
    """From a notice's sending to its 200."""
    delivered: list[float] = field(default_factory=list)
    """From a notice's sending to the panel's change."""
    answered_per_second: float = math.nan
    delivered_per_second: float = math.nan
    lost: Counter[str] = field(default_factory=Counter)


async def measure(
    shop: Running, stage: Stage, *, first: int, payments: int, per_second: float | None, panel_seconds: float
) -> Flow:
    """Pay for ``payments`` orders: as fast as the shop answers, or ``per_second`` of them."""
    async with Crowd.at(shop.updates, stage.telegram) as crowd, Listener.at(stage.panel) as panel:
        numbers = await _order(crowd, range(first, first + payments))
        await _post(crowd.http, f"{stage.panel}/_latency", {"seconds": panel_seconds})
        flow = Flow(paid=len(numbers), lost=crowd.lost)
        await _pay(shop, stage, crowd.http, panel, flow, list(numbers.items()), per_second)
        return flow


async def _order(crowd: Crowd, people: range) -> dict[int, str]:
    """Everybody walks to the payment page; the numbers of the payments there."""
    left = iter(people)
    numbers = {}

    async def one_after_another() -> None:
        for who in left:
            await crowd.says(who, "/start")
            await crowd.presses(who, "go:plans")
            await crowd.presses(who, PLAN)
            await crowd.presses(who, "buy:")
            if await crowd.sees_link(who):
                numbers[who] = (crowd.link(who) or "").rpartition("/")[2]
            else:
                crowd.lost["no payment page"] += 1

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
    return numbers


async def _pay(
    shop: Running,
    stage: Stage,
    http: aiohttp.ClientSession,
    panel: Listener,
    flow: Flow,
    numbers: list[tuple[int, str]],
    per_second: float | None,
) -> None:
    waiting = asyncio.Semaphore(AT_ONCE) if per_second is None else None
    started = time.monotonic()

    async def tell(at: int, who: int, number: str) -> None:
        if per_second is not None:
            await asyncio.sleep(max(0.0, started + at / per_second - time.monotonic()))
        change = panel.expect(who, lambda _: True)  # the shop asks by itself, too: it may be told before us
        (notice,) = await _post(http, f"{stage.yookassa}/_pay", {"ids": [number]})
        sent = time.monotonic()
        async with http.post(f"{shop.address}/webhooks/yookassa", json=notice) as answer:
            await answer.read()
            if answer.status != 200:  # noqa: PLR2004 -- the protocol
                flow.lost[f"notice {answer.status}"] += 1
        flow.answered.append(time.monotonic() - sent)
        seen.append(asyncio.create_task(_delivered(sent, change)))

    async def _delivered(sent: float, change: "asyncio.Future[dict[str, Any]]") -> None:
        try:
            record = await asyncio.wait_for(change, PATIENCE_SECONDS)
        except TimeoutError:
            flow.lost["not delivered"] += 1
        else:
            flow.delivered.append(record["at"] - sent)
            lasts.append(record["at"])

    async def in_turn(at: int, who: int, number: str) -> None:
        if waiting is None:
            await tell(at, who, number)
            return
        async with waiting:
            await tell(at, who, number)

    seen: list[asyncio.Task[None]] = []
    lasts: list[float] = []
    await asyncio.gather(*(in_turn(at, *one) for at, one in enumerate(numbers)))
    flow.answered_per_second = len(numbers) / (time.monotonic() - started)
    await asyncio.gather(*seen)
    flow.delivered_per_second = len(lasts) / (max(lasts) - started) if lasts else 0.0


async def _post(http: aiohttp.ClientSession, url: str, body: Any) -> Any:
    async with http.post(url, json=body) as answer:
        return await answer.json()
