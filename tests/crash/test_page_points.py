"""Kill -9 between a call to people and its record: the call comes once more and says so, and only there."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from aiosmtpd.smtp import SMTP
from points import a_shop, killed_at

from duty import Mailbox
from getpro.bootstrap.incidents import incidents_deps
from getpro.bootstrap.sales import close, sales_deps
from getpro.incidents import service, team
from getpro.incidents.deps import Deps
from getpro.incidents.states import Level, Role
from getpro.incidents.team import Actor
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.sandbox.shop.product import SandboxSettings
from getpro.sandbox.shop.world import World

pytestmark = [pytest.mark.long, pytest.mark.timeout(600), pytest.mark.xdist_group("points")]

ONCE, MARKED, TWICE = ["call"], ["repeat"], ["call", "repeat"]
BY_TELEGRAM = {
    "page: claimed: before commit": ONCE,
    "page: claimed: after commit": MARKED,  # it had not left yet, but nobody can know that
    "telegram.sendMessage: before call": MARKED,
    "telegram.sendMessage: after call": TWICE,
    "page: delivered: before commit": TWICE,
    "page: delivered: after commit": ONCE,
}
BY_MAIL = {
    "page: claimed: after commit": MARKED,
    "page: delivered: before commit": TWICE,
    "page: delivered: after commit": ONCE,
}
BY = Actor("Ольга")
SILENT_SECONDS = 20
"""By then a worker that was killed has been silent for long enough."""


@contextlib.asynccontextmanager
async def mail_server() -> AsyncIterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="localhost"), "127.0.0.1", 0)
    try:
        yield mailbox, server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def incidents(here: World) -> AsyncIterator[Deps]:
    """The shop's own, in our hands."""
    settings = SandboxSettings(**json.loads(here.product.settings_file.read_text(encoding="utf-8")))
    db, api = Database(here.database_url, pool_size=2), BotApi(settings.telegram)
    jobs = Jobs(here.database_url)
    sales = sales_deps(settings, db=db, jobs=jobs, telegram=StarsOverHttp(api), clock=here.clock)
    try:
        yield incidents_deps(settings, sales=sales, api=api)
    finally:
        await api.close()
        await close(sales)


def change_settings(here: World, **operations: object) -> None:
    file = here.product.settings_file
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["operations"] |= operations
    file.write_text(json.dumps(settings), encoding="utf-8")


async def called_through(here: World, deps: Deps, point: str) -> int:
    """Open an incident and have the shop die at the point of its call; it is sent when this returns."""
    async with killed_at(here, point), deps.db.begin("test") as session:
        number = await service.open_by_hand(session, deps, "Беда", level=Level.L2, by=BY)
    await here.move_clock(SILENT_SECONDS)
    await here.product.start()
    async with asyncio.timeout(60):
        while await asyncio.to_thread(is_waited_for, here, number):
            await asyncio.sleep(0.1)
    async with deps.db.begin("test") as session:
        await service.take(session, deps, number, by=BY)
    return number


def is_waited_for(here: World, number: int) -> bool:
    with psycopg.connect(here.database_url) as connection:
        query = "SELECT FROM pages WHERE incident_id = %s AND state IN ('waiting', 'sending')"
        return connection.execute(query, [number]).fetchone() is not None


def kind_of(words: str) -> str:
    return "repeat" if "овтор: первый раз" in words else "call"


async def test_a_call_by_telegram_whose_sender_was_killed_is_repeated_only_where_nobody_can_know(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    async with a_shop(tmp_path) as here, incidents(here) as deps:
        for point, wanted in BY_TELEGRAM.items():
            number = await called_through(here, deps, point)
            calls = [
                kind_of(call["parameters"]["text"])
                for call in here.telegram.state.calls
                if call["method"] == "sendMessage"
                and call["status"] == 200
                and f"№{number} " in call["parameters"]["text"]
            ]
            assert (point, calls) == (point, wanted)
        figure(f"{len(BY_TELEGRAM)} deaths of a worker on a call's way to Telegram")


async def test_a_mail_whose_sender_was_killed_is_repeated_only_where_nobody_can_know(tmp_path: Path) -> None:
    async with a_shop(tmp_path) as here, mail_server() as (mailbox, port), incidents(here) as ours:
        server = f"mailto://127.0.0.1:{port}/?smtp=127.0.0.1&mode=insecure&from=shop@shop.example"
        deps = replace(ours, mail_server=server, chat_id=None)
        change_settings(here, chat=None)
        async with deps.db.begin("test") as session:
            await team.add_person(session, "timur", [Role.TECH_LEAD], now=here.clock())
            await team.add_way(session, deps, "timur", f"{server}&to=timur@shop.example", shown="почта")
        for point, wanted in BY_MAIL.items():
            before = len(mailbox.bodies)
            await called_through(here, deps, point)
            assert (point, [kind_of(body) for body in mailbox.bodies[before:]]) == (point, wanted)
        assert {to for to, _ in mailbox.letters} == {"timur@shop.example"}
