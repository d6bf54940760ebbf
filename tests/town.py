"""A town around a shop that can be killed: PostgreSQL is real, the outside simulated, one clock for all.

The shop runs in the test's own process and is entered as the outside enters it. It dies at a crash point:
from there on none of its code passes another one, and before each of its commits and calls there is one, so
nothing that it does afterwards can be seen by anybody. What is left of it is then cleared away, and the
next life finds what a killed process leaves: the database, and the others' books.
"""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import uuid4

import psycopg
import structlog
import uvicorn
from fastapi import FastAPI
from psycopg.rows import namedtuple_row
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from doors import QuietServer
from fakes import FakeClock
from getpro.bootstrap.sales import close
from getpro.bootstrap.shop import Shop, build
from getpro.bot.jobs import job_kinds as bot_job_kinds
from getpro.bot.mailbox import Mailbox
from getpro.kit import crashpoints
from getpro.platform import schedules
from getpro.platform.jobs import JobKind, RetryLater
from getpro.platform.settings import TELEGRAM_PATH
from getpro.platform.telegram import TelegramSession
from getpro.running import ALLOWED_UPDATES
from getpro.sales.jobs import job_kinds as sales_job_kinds
from getpro.sales.jobs import schedules as sales_schedules
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.providers.cryptopay import CryptoPaySimulator
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import LOOPBACK, serving
from getpro.sandbox.shop.product import SandboxSettings
from getpro.sandbox.telegram import TelegramSimulator
from getpro.sandbox.telegram.state import Person
from getpro.webhooks.app import make_app
from getpro.webhooks.polling import poll_for_ever
from shop import KEY

Result = TypeVar("Result")
BEGINNING: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOT_TOKEN: Final = "7000000001:token-of-a-test"
SECRET: Final = "webhook-secret-of-a-test"
PATIENCE_SECONDS: Final = 15
PAUSES: Final = 0.001
"""How much shorter the pauses are between a notice and its repetitions."""


class Killed(BaseException):
    """The shop has died. No ``except`` in it is meant for this."""


class Bug(AssertionError):
    """A job of the shop failed with what nobody expects."""


@dataclass
class Life:
    """The shop from one start to its death."""

    shop: Shop
    app: FastAPI
    kinds: dict[str, JobKind]
    poller: asyncio.Task[None] | None


@dataclass
class Town:
    """Everybody who has to do with the shop; it is alive whenever a step begins."""

    database_url: str
    clock: FakeClock
    telegram: TelegramSimulator
    yookassa: YooKassaSimulator
    cryptopay: CryptoPaySimulator
    panel: PanelSimulator
    books: psycopg.Connection[Any]
    """For the judges, who look at the shop's tables."""
    by_polling: bool
    settings: SandboxSettings | None = None
    deaths: list[str] = field(default_factory=list)
    """The points at which the shop has died."""
    _life: Life | None = None
    _inside: int = 0
    _points_left: int | None = None
    _is_dead: bool = False
    _died: asyncio.Event = field(default_factory=asyncio.Event)
    _own: set[asyncio.Future[Any]] = field(default_factory=set)
    """What the shop does by itself, or for whoever sits at its machine."""

    @property
    def shop(self) -> Shop:
        assert self._life is not None
        return self._life.shop

    def ask(self, query: str, *values: Any) -> list[Any]:
        """Rows of the shop's tables, by name."""
        return self.books.cursor(row_factory=namedtuple_row).execute(query, values).fetchall()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The proxy in front of the shop: it answers for one that is dead."""
        life = self._life
        self._inside += 1
        try:
            if life is None or self._is_dead:
                raise Killed
            await life.app(scope, receive, send)
        except Killed:
            await PlainTextResponse("nobody is there", status_code=502)(scope, receive, send)
        finally:
            self._inside -= 1

    def reached(self, point: str) -> None:
        if self._is_dead:
            raise Killed
        if self._points_left is None:
            return
        self._points_left -= 1
        if self._points_left < 0:
            self.deaths.append(point)
            self._is_dead = True
            self._died.set()
            raise Killed

    async def do(self, step: Callable[[], Awaitable[object]], *, dies_at: int | None = None) -> None:
        """Play a step until all that it brings about has arrived at the shop's doors.

        At point ``dies_at`` of those that the shop passes meanwhile it is killed, and then started again.
        """
        self._points_left = dies_at
        acting = asyncio.create_task(_whole(step, self._all_arrived))
        dying = asyncio.create_task(self._died.wait())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.wait({acting, dying}, return_when=asyncio.FIRST_COMPLETED)
                if self._is_dead:
                    await self._bury()
                    await self.start()
                with contextlib.suppress(Killed):
                    await acting
                await self._all_arrived()
        finally:
            self._points_left = None
            for task in (acting, dying):
                task.cancel()
            await asyncio.gather(acting, dying, return_exceptions=True)

    async def in_shop(self, doing: Awaitable[Result]) -> Result:
        """Have the shop do something, which ends with its life; raises Killed then."""
        task = asyncio.ensure_future(doing)
        self._own.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if task.cancelled() and self._is_dead:
                raise Killed from None
            raise
        finally:
            self._own.discard(task)

    async def start(self) -> None:
        """Begin a life of the shop; its first act is to look at its schedules."""
        assert self.settings is not None
        shop = build(self.settings, database_url=self.database_url, clock=self.clock)
        kinds = [*sales_job_kinds(shop.sales, zone=self.settings.zone), *bot_job_kinds(shop.bot)]
        self._is_dead, self._points_left = False, None
        self._died.clear()
        poller = None
        if self.by_polling:
            mailbox = Mailbox(shop.telegram, allowed_updates=ALLOWED_UPDATES)
            poller = asyncio.create_task(poll_for_ever(shop.doors, mailbox, database_url=self.database_url))
        self._life = Life(shop, make_app(shop.doors), {kind.name: kind for kind in kinds}, poller)
        async with shop.db.begin("schedules") as session:
            await schedules.declare(session, sales_schedules("UTC"), now=self.clock())

    async def end(self) -> None:
        self._is_dead = True
        await self._bury()

    async def _bury(self) -> None:
        """Clear away what is left of a life, while none of it can pass a point any more."""
        life, self._life = self._life, None
        assert life is not None
        tasks = [*self._own, *([life.poller] if life.poller is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._inside:
            await asyncio.sleep(0.001)
        await _close(life.shop)
        while self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ):
            await asyncio.sleep(0.002)  # a process that is killed holds no lock any more
        # Here, where it harms nobody: a dead life's greenlets, thrown away in the midst of Python's own
        # parser, break it (CPython issue 106905), and its connections would be found by another test.
        gc.collect()

    async def _all_arrived(self) -> None:
        """Wait until every update and notice has been taken, or nobody is there to take it."""
        while not self._is_dead and self._is_on_its_way():
            await asyncio.sleep(0.002)

    def _is_on_its_way(self) -> bool:
        notices = (self.yookassa.notices, self.cryptopay.notices)
        return bool(self.telegram.delivery.pending or self._inside or any(n._sending for n in notices))

    async def work(self) -> None:
        """Run the jobs as workers do, each once: those that share a lock in their order, failed ones wait.

        Raises Bug for one that fails with what its kind does not expect.
        """
        assert self._life is not None
        life, tried = self._life, set[int]()
        while job := self._next_job(tried):
            tried.add(job.id)
            kind = life.kinds[job.task_name]
            try:
                await self.in_shop(kind.run(**job.args))
            except _expected(kind):
                if kind.retry.attempts == 1:
                    self.ask(
                        "UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %s RETURNING 1", job.id
                    )
            except Exception as error:
                raise Bug(f"{job.task_name} {job.args}") from error
            else:
                self.ask("DELETE FROM procrastinate_jobs WHERE id = %s RETURNING 1", job.id)

    def _next_job(self, tried: set[int]) -> Any:
        """The oldest job that waits behind none with its lock; what a dead worker had begun is free again."""
        waiting = self.ask(
            "SELECT id, task_name, args, lock FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id"
        )
        held = {job.lock for job in waiting if job.id in tried and job.lock is not None}
        for job in waiting:
            if job.id not in tried and job.lock not in held:
                return job
        return None

    async def _look_at_schedules(self) -> None:
        async with self.shop.db.begin("schedules") as session:
            names = [schedule.name for schedule in sales_schedules("UTC")]
            await schedules.run_due(session, self.shop.jobs, names, now=self.clock())

    async def pass_time(self, by: timedelta) -> None:
        """Everybody's clock goes on; routines are due, and workers there to run them."""
        self.clock.now += by
        await self.in_shop(self._look_at_schedules())
        await self.work()

    def press(self, person: Person, data: str) -> None:
        """As on a button of the newest message."""
        newest = [message for message in person.messages.values() if message["from"]["is_bot"]][-1]
        self.telegram.people.callback(person, data, newest)


async def _close(shop: Shop) -> None:
    """As its own ``close`` does, but for a quarter of a second that aiogram's session waits for others."""
    session = shop.telegram.session
    assert isinstance(session, TelegramSession)
    if session._session is not None:
        await session._session.close()
    await close(shop.sales)


def _expected(kind: JobKind) -> tuple[type[Exception], ...]:
    return (RetryLater, *kind.expected)


async def _whole(step: Callable[[], Awaitable[object]], after: Callable[[], Awaitable[None]]) -> None:
    await step()
    await after()


@contextlib.asynccontextmanager
async def town(server: str, template: str, *, by_polling: bool) -> AsyncIterator[Town]:
    """A town with a database of its own. ``by_polling``: the shop has no address at which to knock."""
    async with contextlib.AsyncExitStack() as running:
        database_url = running.enter_context(_database(server, template))
        books = psycopg.connect(database_url, autocommit=True)
        books.execute("SET timezone TO 'UTC'")
        clock = FakeClock(BEGINNING)
        telegram = TelegramSimulator(BOT_TOKEN, clock=clock, retry_scale=PAUSES)
        telegram.limits.are_on = False
        yookassa = YooKassaSimulator(
            "100500", "test_key", clock=clock, retry_scale=PAUSES, pending_for=timedelta(days=400)
        )
        cryptopay = CryptoPaySimulator("1:test", clock=clock, retry_scale=PAUSES)
        panel = PanelSimulator("test", clock=clock)
        here = Town(database_url, clock, telegram, yookassa, cryptopay, panel, books, by_polling)
        running.callback(lambda: here.books.close())  # noqa: PLW0108 -- whichever it is by then
        crashpoints.listen(here.reached)
        running.callback(crashpoints.listen, None)
        apps = {
            "telegram": telegram.app,
            "yookassa": yookassa.app,
            "cryptopay": cryptopay.app,
            "panel": panel.app,
        }
        urls = {name: await running.enter_async_context(serving(app)) for name, app in apps.items()}
        address = await running.enter_async_context(_proxy(here))
        if not by_polling:
            yookassa.notices.url = f"{address}/webhooks/yookassa"
            cryptopay.notices.url = f"{address}/webhooks/cryptopay"
        here.settings = _settings(database_url, urls, public_url=None if by_polling else address)
        await here.start()
        running.push_async_callback(here.end)
        if not by_polling:
            await here.shop.telegram.set_webhook(
                address + TELEGRAM_PATH, secret_token=SECRET, allowed_updates=ALLOWED_UPDATES
            )
        await here.pass_time(timedelta())
        yield here


@contextlib.contextmanager
def _database(server: str, template: str) -> Iterator[str]:
    name = f"town_{uuid4().hex[:12]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        yield f"{server}/{name}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.asynccontextmanager
async def _proxy(here: Town) -> AsyncIterator[str]:
    server = QuietServer(
        uvicorn.Config(
            here, host=LOOPBACK, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.002)
    yield f"http://{LOOPBACK}:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await task


def _settings(database_url: str, urls: dict[str, str], *, public_url: str | None) -> SandboxSettings:
    values: dict[str, Any] = {
        "database_url": database_url,
        "time_zone": "UTC",
        "public_url": public_url,
        "trusted_proxies": [f"{LOOPBACK}/32"],
        "telegram": {"bot_token": BOT_TOKEN, "api_url": urls["telegram"], "webhook_secret": SECRET},
        "yookassa": {"shop_id": "100500", "secret_key": "test_key", "api_url": f"{urls['yookassa']}/v3"},
        "cryptopay": {"token": "1:test", "api_url": urls["cryptopay"]},
        "panel": {"url": urls["panel"], "token": "test"},
        "shop": {"return_url": f"{urls['telegram']}/"},
        "database_keys": KEY,
    }
    return SandboxSettings(**values)


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Without the shop's log: to print the traceback of each thing that was away takes longer than the rest.

    Nor is it kept: a traceback holds a whole life of the shop.
    """
    processors = structlog.get_config()["processors"]
    before = processors.copy()
    processors[:] = [_drop]
    try:
        yield
    finally:
        processors[:] = before


def _drop(*_: Any) -> Any:
    raise structlog.DropEvent
