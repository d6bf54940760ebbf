"""Running the shop: the web door, the worker, or both in one process, until told to stop."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Final

import structlog
import uvicorn
from aiogram.exceptions import TelegramAPIError
from starlette.types import ASGIApp

from getpro.backups import stream
from getpro.backups.jobs import point_in_time_schedules
from getpro.backups.jobs import schedules as backup_schedules
from getpro.backups.mirror import mirror_for_ever
from getpro.bootstrap.shop import Shop, build
from getpro.bot.mailbox import Mailbox
from getpro.checks.web import no_place
from getpro.incidents.jobs import SCHEDULES as INCIDENT_SCHEDULES
from getpro.kit.trouble import Trouble
from getpro.operations import secrets
from getpro.operations.deps import Absent, nothing_absent
from getpro.operations.figures import Figures
from getpro.operations.jobs import schedules as operations_schedules
from getpro.platform import changes, schedules
from getpro.platform.database import DATABASE_AWAY, Database
from getpro.platform.jobs import Ended
from getpro.platform.logging import show_life
from getpro.platform.metrics import BACKUP_OFF, BACKUP_OFFSITE, SYNTHETIC_OFF, WAL_OFF, CountLines, count_job
from getpro.platform.settings import TELEGRAM_PATH, Settings
from getpro.platform.telegram import TELEGRAM_AWAY
from getpro.sales.jobs import schedules as sales_schedules
from getpro.synthetic.jobs import SCHEDULES as SYNTHETIC_SCHEDULES
from getpro.webhooks.app import make_app
from getpro.webhooks.metrics import make_metrics_app
from getpro.webhooks.polling import poll_for_ever

log = structlog.get_logger(__name__)

ALLOWED_UPDATES = ["message", "callback_query", "pre_checkout_query", "my_chat_member"]


METRICS_PORT: Final = 9464
WORKER_METRICS_PORT: Final = 9465
"""Another one, so that both can run on one machine."""
_DATABASE_LOOKED_AT_SECONDS: Final = 3
_TELEGRAM_TOLD_AGAIN_SECONDS: Final = 10
_CANCELED_AGAIN_SECONDS: Final = 15
"""Longer than running jobs are given to end."""


class _QuietServer(uvicorn.Server):
    """Uvicorn that leaves signals to us: web and worker stop together and in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run_shop(
    settings: Settings,
    *,
    database_url: str,
    web: bool,
    worker: bool,
    keep_database: Callable[[], None] | None = None,
    hear_job: Callable[[Ended], None] | None = None,
    absent: Absent = nothing_absent,
) -> None:
    """Serve and work until SIGTERM or SIGINT: then no new request or job is taken, the running ones end.

    ``keep_database`` is called every few seconds, in a thread; ``hear_job`` when a job has ended;
    ``absent`` says what there is nothing of for the routines to look at. Raises Trouble when a part failed:
    a supervisor then starts the shop again.
    """
    counting = CountLines()
    logging.getLogger().addHandler(counting)
    shop = build(settings, database_url=database_url, absent=absent)
    shop.jobs.listeners.append(count_job)
    if hear_job is not None:
        shop.jobs.listeners.append(hear_job)
    await _note_start(shop, web=web, worker=worker)
    stop = _stop_on_signals()
    try:
        async with contextlib.AsyncExitStack() as running:
            await running.enter_async_context(_background(stop, show_life()))
            if keep_database is not None:
                await running.enter_async_context(_background(stop, _keep(keep_database)))
            figures = _figures(shop, database_url, running) if worker else None
            await running.enter_async_context(_measured(shop, stop, figures, is_web=web))
            if worker:
                await running.enter_async_context(_working(shop, stop))
            if web:
                await running.enter_async_context(_serving(shop, stop, database_url))
            log.info("shop.ready", web=web, worker=worker, port=settings.listen_port if web else None)
            await stop
            log.info("shop.stopping")
    finally:
        await shop.close()
        logging.getLogger().removeHandler(counting)
    log.info("shop.stopped")


async def _note_start(shop: Shop, *, web: bool, worker: bool) -> None:
    """For the time lines of incidents; a shop whose database has just gone starts all the same."""
    process = "web" if not worker else "worker" if not web else "2getpro"
    now = shop.sales.clock()
    try:
        found = await asyncio.to_thread(changes.running, shop.settings, process)
        known = await asyncio.to_thread(secrets.inventory, shop.settings)
        async with shop.db.begin("start") as session:
            await changes.note_start(session, found, now=now)
            await secrets.remember(session, known, now=now)
    except DATABASE_AWAY as error:
        log.warning("shop.start_not_noted", error=type(error).__name__)


async def _keep(revive: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(_DATABASE_LOOKED_AT_SECONDS)
        await asyncio.to_thread(revive)


@contextlib.asynccontextmanager
async def _working(shop: Shop, stop: asyncio.Future[None]) -> AsyncIterator[None]:
    zone = shop.settings.time_zone
    declared = [*sales_schedules(zone), *operations_schedules(zone), *INCIDENT_SCHEDULES]
    beside = []
    if shop.settings.backup.enabled:
        sends = shop.settings.backup.s3_bucket is not None
        declared += backup_schedules(zone, sends=sends)
        BACKUP_OFFSITE.set(sends)
    else:
        BACKUP_OFF.set(1)
    if shop.settings.backup.enabled and shop.settings.backup.point_in_time:
        declared += point_in_time_schedules(zone)
        beside.append(stream.keep_for_ever(shop.backups))
        if shop.settings.backup.s3_bucket is not None:
            beside.append(mirror_for_ever(shop.backups))
    else:
        WAL_OFF.set(1)
    if shop.settings.operations.synthetic:
        declared += SYNTHETIC_SCHEDULES
    else:
        SYNTHETIC_OFF.set(1)
    async with _background(
        stop,
        shop.jobs.work(),
        schedules.run_for_ever(shop.db, shop.jobs, shop.sales.clock, declared),
        *beside,
    ):
        yield


@contextlib.asynccontextmanager
async def _serving(shop: Shop, stop: asyncio.Future[None], database_url: str) -> AsyncIterator[None]:
    settings = shop.settings
    listening = await _listen(settings.listen_host, settings.listen_port)
    async with (
        _background(
            stop,
            shop.message_log.run(),
            shop.doors.refusals.run(shop.db),
            _hear_telegram(shop, database_url),
        ),
        _served(make_app(shop.doors), listening, stop),
    ):
        yield


def _figures(shop: Shop, database_url: str, running: contextlib.AsyncExitStack) -> Figures:
    """What the database knows, asked by a connection of its own: it is asked also while the shop is busy."""
    db = Database(database_url, pool_size=1)
    running.push_async_callback(db.close)
    return Figures(db, shop.sales.clock)


@contextlib.asynccontextmanager
async def _measured(
    shop: Shop, stop: asyncio.Future[None], figures: Figures | None, *, is_web: bool
) -> AsyncIterator[None]:
    """Show Prometheus this process, with ``figures`` also what the database knows.

    A port that is taken by somebody else stops no shop: Prometheus will miss us, and say so.
    """
    settings = shop.settings
    usual = METRICS_PORT if is_web else WORKER_METRICS_PORT
    port = usual if settings.metrics_port is None else settings.metrics_port
    try:
        listening = _socket(settings.metrics_host, port)
    except OSError as error:
        log.error("metrics.no_place", host=settings.metrics_host, port=port, error=type(error).__name__)
        yield
        return
    log.info("metrics.ready", host=settings.metrics_host, port=listening.getsockname()[1])
    async with _served(make_metrics_app(figures), listening, stop):
        yield


@contextlib.asynccontextmanager
async def _served(app: ASGIApp, listening: socket.socket, stop: asyncio.Future[None]) -> AsyncIterator[None]:
    """Serve ``app`` while the block runs."""
    server = _QuietServer(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    serving.add_done_callback(lambda ended: _stop_if_failed(ended, stop))
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 -- uvicorn offers no event
            await asyncio.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([serving])


async def _listen(host: str, port: int) -> socket.socket:
    """The socket of the web door; raises Trouble when it cannot be had."""
    try:
        return _socket(host, port)
    except OSError as error:
        raise await no_place(host, port, error) from error


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


async def _hear_telegram(shop: Shop, database_url: str) -> None:
    """Have updates brought by webhook, or, without a public address, fetch them for as long as we run."""
    if shop.settings.public_url is not None:
        await _introduce(shop, shop.settings.public_url)
        return
    await _introduce(shop, None)
    mailbox = Mailbox(shop.telegram, allowed_updates=ALLOWED_UPDATES)
    await poll_for_ever(shop.doors, mailbox, database_url=database_url)


async def _introduce(shop: Shop, public_url: str | None) -> None:
    """Set or remove the webhook and introduce the bot; Telegram that is away is asked again."""
    while True:
        try:
            if public_url is None:
                await shop.telegram.delete_webhook()
            else:
                await shop.telegram.set_webhook(
                    public_url + TELEGRAM_PATH,
                    secret_token=shop.settings.telegram.webhook_secret.get_secret_value(),
                    allowed_updates=ALLOWED_UPDATES,
                    max_connections=100,
                )
            await shop.bot.introduce()
        except TELEGRAM_AWAY as error:
            log.warning("telegram.away", error=type(error).__name__)
            await asyncio.sleep(_TELEGRAM_TOLD_AGAIN_SECONDS)
        except TelegramAPIError as error:
            log.error("telegram.refused", error=str(error))
            await asyncio.sleep(_TELEGRAM_TOLD_AGAIN_SECONDS)
        else:
            log.info("telegram.introduced", by="polling" if public_url is None else "webhook")
            return


@contextlib.asynccontextmanager
async def _background(
    stop: asyncio.Future[None], *coroutines: Coroutine[Any, Any, None]
) -> AsyncIterator[None]:
    """Run coroutines beside the block, cancel them after it; one that fails ends the process."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(lambda ended: _stop_if_failed(ended, stop))
    try:
        yield
    finally:
        while pending := [task for task in tasks if not task.done()]:
            for task in pending:
                task.cancel()  # again if need be: a driver may lose one
            await asyncio.wait(pending, timeout=_CANCELED_AGAIN_SECONDS)


def _stop_if_failed(task: asyncio.Task[None], stop: asyncio.Future[None]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    log.error("shop.part_failed", exc_info=error)
    if not stop.done():
        stop.set_exception(
            Trouble(
                "Магазин остановился: одна из его частей отказала.",
                f"{type(error).__name__}, подробности в журнале: событие shop.part_failed.",
                "Запустите магазин снова; если повторится, устраните причину из журнала.",
            )
        )


def _stop_on_signals() -> asyncio.Future[None]:
    """Done at the first signal; a part that fails first makes it fail."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not stop.done():
            stop.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    return stop
