"""Paid notices: how fast they are stored and answered, and how long until the customer is on the panel."""

import asyncio
import contextlib
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psycopg

from bench.meter import Thief
from bench.people import Crowd, Listener
from bench.stage import Running, Stage

AT_ONCE = 16
PLAN = "plan:1"
PANEL_SECONDS = 0.1
"""How far away the panel is where deliveries are measured."""
PATIENCE_SECONDS = 120
_LEFT = (
    "SELECT (SELECT count(*) FROM provider_events WHERE handled_at IS NULL)"
    " + (SELECT count(*) FROM subscriptions WHERE provisioned_version < wanted_version)"
)


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
    stolen: float = 0.0
    """The share of the machine that its host took meanwhile."""
    started: float = 0.0
    coming: "list[tuple[float, asyncio.Future[dict[str, Any]]]]" = field(default_factory=list)
    """Of each notice: when it was sent, and the panel's change that it is to bring."""


async def measure(
    shop: Running,
    stage: Stage,
    *,
    first: int,
    payments: int,
    per_second: float | None = None,
    panel_seconds: float = 0.0,
    delivers: bool = True,
) -> Flow:
    """Pay for ``payments`` orders: as fast as the shop answers, or ``per_second`` of them.

    ``delivers``: whether the shop has a worker, whose deliveries are waited for.
    """
    async with Crowd.at(shop.updates, stage.telegram) as crowd, Listener.at(stage.panel) as panel:
        numbers = await _order(crowd, range(first, first + payments))
        await _post(crowd.http, f"{stage.panel}/_latency", {"seconds": panel_seconds})
        flow, thief = Flow(paid=len(numbers), lost=crowd.lost), Thief()
        await _pay(shop, stage, crowd.http, panel, flow, list(numbers.items()), per_second)
        if delivers:
            await _watch(flow)
        flow.stolen = thief.share()
        return flow


async def drain(stage: Stage) -> int:
    """Wait until a worker has done what was left to it; return how much of it has not come to its end."""
    left = 0
    with psycopg.connect(stage.database_url, autocommit=True) as connection:
        for _ in range(PATIENCE_SECONDS):
            (left,) = connection.execute(_LEFT).fetchone() or (0,)
            if not left:
                break
            await asyncio.sleep(1)
    return left


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
    waiting = asyncio.Semaphore(AT_ONCE) if per_second is None else contextlib.nullcontext()
    flow.started = time.monotonic()

    async def tell(at: int, who: int, number: str) -> None:
        if per_second is not None:
            await asyncio.sleep(max(0.0, flow.started + at / per_second - time.monotonic()))
        async with waiting:
            change = panel.expect(
                who, lambda _: True
            )  # the shop asks by itself, too: it may be told before us
            (notice,) = await _post(http, f"{stage.yookassa}/_pay", {"ids": [number]})
            sent = time.monotonic()
            async with http.post(f"{shop.address}/webhooks/yookassa", json=notice) as answer:
                await answer.read()
                if answer.status != 200:  # noqa: PLR2004 -- the protocol
                    flow.lost[f"notice {answer.status}"] += 1
            flow.answered.append(time.monotonic() - sent)
            flow.coming.append((sent, change))

    await asyncio.gather(*(tell(at, *one) for at, one in enumerate(numbers)))
    flow.answered_per_second = len(numbers) / (time.monotonic() - flow.started)


async def _watch(flow: Flow) -> None:
    """Wait for the deliveries."""
    await asyncio.wait([change for _, change in flow.coming], timeout=PATIENCE_SECONDS)
    moments = []
    for sent, change in flow.coming:
        if change.done():
            moments.append(change.result()["at"])
            flow.delivered.append(moments[-1] - sent)
        else:
            flow.lost["not delivered"] += 1
    flow.delivered_per_second = len(moments) / (max(moments) - flow.started) if moments else 0.0


async def _post(http: aiohttp.ClientSession, url: str, body: Any) -> Any:
    async with http.post(url, json=body) as answer:
        return await answer.json()
