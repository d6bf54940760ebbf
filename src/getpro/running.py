"""Running the shop: the web door, the worker, or both in one process, until told to stop."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import structlog
import uvicorn
from aiogram.exceptions import TelegramAPIError

from getpro.bootstrap import Shop, build
from getpro.platform import schedules
from getpro.platform.settings import Settings
from getpro.sales.jobs import schedules as sales_schedules
from getpro.webhooks.app import TELEGRAM_PATH, make_app

log = structlog.get_logger(__name__)

ALLOWED_UPDATES = ["message", "callback_query", "pre_checkout_query", "my_chat_member"]


class _QuietServer(uvicorn.Server):
    """Uvicorn that leaves signals to us: web and worker stop together and in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run_shop(settings: Settings, *, database_url: str, web: bool, worker: bool) -> None:
    """Serve and work until SIGTERM or SIGINT: then no new request or job is taken, the running ones end."""
    shop = build(settings, database_url=database_url)
    stop = _stop_on_signals()
    try:
        async with contextlib.AsyncExitStack() as running:
            if worker:
                await running.enter_async_context(_working(shop))
            if web:
                await running.enter_async_context(_serving(shop))
            log.info("shop.ready", web=web, worker=worker, port=settings.listen_port if web else None)
            await stop.wait()
            log.info("shop.stopping")
    finally:
        await shop.close()
    log.info("shop.stopped")


@contextlib.asynccontextmanager
async def _working(shop: Shop) -> AsyncIterator[None]:
    declared = sales_schedules(shop.settings.time_zone)
    async with _background(
        shop.jobs.work(),
        schedules.run_for_ever(shop.db, shop.jobs, shop.sales.clock, declared),
    ):
        yield


@contextlib.asynccontextmanager
async def _serving(shop: Shop) -> AsyncIterator[None]:
    settings = shop.settings
    server = _QuietServer(
        uvicorn.Config(
            make_app(shop.doors),
            host=settings.listen_host,
            port=settings.listen_port,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )
    async with _background(shop.message_log.run(), _tell_telegram(shop)):
        serving = asyncio.create_task(server.serve())
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110 -- uvicorn offers no event
                await asyncio.sleep(0.02)
            yield
        finally:
            server.should_exit = True
            await serving


async def _tell_telegram(shop: Shop) -> None:
    """Set the webhook and introduce the bot; Telegram that is away is asked again, the shop runs on."""
    settings = shop.settings
    if settings.public_url is None:
        log.warning("telegram.no_public_url")
        return
    while True:
        try:
            await shop.telegram.set_webhook(
                settings.public_url + TELEGRAM_PATH,
                secret_token=settings.telegram.webhook_secret.get_secret_value(),
                allowed_updates=ALLOWED_UPDATES,
                max_connections=100,
            )
            await shop.bot.introduce()
        except TelegramAPIError as error:
            log.warning("telegram.not_told", error=str(error))
            await asyncio.sleep(10)
        else:
            log.info("telegram.webhook_set")
            return


@contextlib.asynccontextmanager
async def _background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines beside the block, cancel them after it; one that fails ends the process."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(_complain)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("shop.part_failed", exc_info=error)
        signal.raise_signal(signal.SIGTERM)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
