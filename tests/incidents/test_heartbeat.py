"""The shop's sign of life: given while it works and can call for help, withheld when it cannot."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from doors import Knocker, open_doors
from duty import Watch
from getpro.incidents import heartbeat, service
from getpro.incidents.jobs import SCHEDULES, job_kinds
from getpro.incidents.states import Level
from getpro.incidents.team import Actor
from getpro.sandbox.serving import serving
from getpro.webhooks.deps import Doors

BY = Actor("Ольга")
SECRET = "8f1c1f2e-secret-uuid"


@dataclass
class Healthchecks:
    """The service outside, and the shop's own public door."""

    pings: int = 0
    status: int = 200
    door_is_open: bool = True
    asked: list[str] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._ask)
        return app

    async def _ask(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        if request.path == heartbeat.LIVE:
            return web.Response(status=200 if self.door_is_open else 502)
        self.pings += 1
        return web.Response(status=self.status)


@dataclass
class Alive:
    watch: Watch
    outside: Healthchecks

    async def beat(self) -> str | None:
        return await heartbeat.beat(self.watch.deps)


@pytest.fixture
async def alive(staffed: Watch) -> AsyncIterator[Alive]:
    outside = Healthchecks()
    async with serving(outside.app()) as url:
        own = heartbeat.Service(SecretStr(f"{url}/{SECRET}/?a=b"), door=url)
        staffed.deps = replace(staffed.deps, outside=own)
        yield Alive(staffed, outside)


async def opened(watch: Watch, level: Level = Level.L2) -> None:
    async with watch.deps.db.begin("test") as session:
        await service.open_by_hand(session, watch.deps, "Беда", level=level, by=BY)


async def test_a_shop_that_works_is_heard_by_its_whole_address(alive: Alive) -> None:
    assert await alive.beat() is None
    assert alive.outside.asked == ["/health/live", f"/{SECRET}/?a=b"]


async def test_by_its_schedule_it_is_heard_again_and_again(alive: Alive) -> None:
    assert ("heartbeat", "every 60s") in [(one.name, one.rule) for one in SCHEDULES]
    [kind] = [kind for kind in job_kinds(alive.watch.deps) if kind.name == "heartbeat"]
    for _ in range(2):
        await kind.run()
    assert alive.outside.pings == 2


async def test_an_incident_that_calls_people_is_no_silence(alive: Alive) -> None:
    await opened(alive.watch)
    await alive.watch.until(45)
    assert await alive.beat() is None


async def test_a_clock_of_calls_that_stands_is_silence(alive: Alive) -> None:
    await opened(alive.watch)
    await alive.watch.run_jobs()
    await alive.watch.go_to(33)
    assert await alive.beat() == "часы инцидентов стоят"
    assert alive.outside.pings == 0


async def test_a_call_that_reaches_nobody_is_silence_until_somebody_answers(alive: Alive) -> None:
    alive.watch.telegram.faults.change({"error_rate": 1, "error_status": 502})
    alive.watch.mail.is_away = True
    await opened(alive.watch)
    await alive.watch.until(4)
    assert await alive.beat() is None
    await alive.watch.until(6)
    assert await alive.beat() == "инцидент №1: никого не дозваться"
    async with alive.watch.deps.db.begin("test") as session:
        await service.take(session, alive.watch.deps, 1, by=BY)
    assert await alive.beat() is None


async def test_mail_that_came_is_no_silence(alive: Alive) -> None:
    alive.watch.telegram.faults.change({"error_rate": 1, "error_status": 502})
    await opened(alive.watch)
    await alive.watch.until(6)
    assert await alive.beat() is None


async def test_a_shop_whose_own_door_is_shut_gives_no_sign(alive: Alive) -> None:
    alive.outside.door_is_open = False
    assert await alive.beat() == "door: ответ 502"
    assert alive.outside.pings == 0


async def test_a_service_that_does_not_take_it_is_named_without_its_address(alive: Alive) -> None:
    alive.outside.status = 404
    gone = heartbeat.Service(SecretStr(f"http://127.0.0.1:9/{SECRET}"))
    with capture_logs() as logs:
        assert await alive.beat() == "heartbeat: ответ 404"
        alive.watch.deps = replace(alive.watch.deps, outside=gone)
        assert await alive.beat() == "heartbeat: нет ответа (ClientConnectorError)"
    assert [one["event"] for one in logs] == ["heartbeat.withheld"] * 2
    assert SECRET not in str(logs)


@contextlib.asynccontextmanager
async def door_of(watch: Watch) -> AsyncIterator[Knocker]:
    """A fresh one each time: what it knows it tells for some seconds."""
    doors = Doors(
        sales=watch.shop.deps,
        handle_update=_nobody,
        telegram_secret=SecretStr("x"),
        panel_secret=None,
        trusted_proxies=[],
    )
    async with open_doors(doors) as knocker:
        yield knocker


async def _nobody(_: object) -> None:
    return None


async def answer(watch: Watch) -> int:
    async with door_of(watch) as door:
        return await door.get(heartbeat.PATH)


async def test_whoever_asks_from_outside_sees_whether_it_was_given_lately(alive: Alive) -> None:
    assert await answer(alive.watch) == 503
    await alive.beat()
    assert await answer(alive.watch) == 200
    alive.watch.shop.clock.forward(minutes=3)
    assert await answer(alive.watch) == 503


async def test_who_asks_without_pause_costs_the_database_one_question(alive: Alive) -> None:
    await alive.beat()
    async with door_of(alive.watch) as door:
        await asyncio.gather(*(door.get(heartbeat.PATH) for _ in range(5)))
        alive.watch.shop.clock.forward(minutes=3)
        assert await door.get(heartbeat.PATH) == 200, "it was asked anew"
