"""The sandbox's world: everything on loopback, everything started and stopped together."""

import asyncio
import contextlib
import json
import math
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from getpro import migrations
from getpro.kit.clock import DEFAULT_ZONE
from getpro.kit.trouble import Trouble
from getpro.platform.cipher import new_key
from getpro.platform.postgres import Cluster
from getpro.sandbox.faults import CONTROL_PREFIX, FaultSwitches
from getpro.sandbox.panel import VERSION as PANEL_VERSION
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.providers.cryptopay import CryptoPaySimulator
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import LOOPBACK, serving
from getpro.sandbox.shop.clock import SandboxClock, tidy
from getpro.sandbox.shop.control import control_app
from getpro.sandbox.shop.joblines import JOBS_FILE, follow_jobs
from getpro.sandbox.shop.moments import next_moment
from getpro.sandbox.telegram import FIRST_GROUP, FIRST_PERSON, TelegramSimulator
from getpro.sandbox.timeline import Timeline

BOT_TOKEN: Final = "7000000001:sandbox-token-of-nobody"  # noqa: S105 -- opens nothing but the sandbox
SHOP_ID: Final = "100500"
SECRET_KEY: Final = "test_sandbox"  # noqa: S105
CRYPTOPAY_TOKEN: Final = "100500:sandbox-cryptopay"  # noqa: S105
PANEL_TOKEN: Final = "sandbox-panel-token"  # noqa: S105
PANEL_SECRET: Final = "s" * 64
WEBHOOK_SECRET: Final = "sandbox-webhook-secret"  # noqa: S105
LOGS: Final = "logs"
KILL_PATH: Final = f"{CONTROL_PREFIX}/product/kill"
READY_SECONDS: Final = 60


@dataclass
class Product:
    """The real product as a child process; it may be killed and started again."""

    settings_file: Path
    url: str
    log_file: Path
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    has_answered: bool = False
    """Since its last start."""

    async def start(self, *arguments: str) -> None:
        """Start it and wait until it is ready; raises Trouble with the log's last line."""
        self.has_answered = False
        with self.log_file.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "getpro.sandbox.shop.product",
                str(self.settings_file),
                f"--parent={os.getpid()}",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
                | self.environment,
                start_new_session=True,
            )
        self.starts += 1
        if arguments:
            return  # it may be meant to die before it is ready
        await self.wait_ready()

    async def wait_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with aiohttp.ClientSession() as session:
            while not await _answers(session, f"{self.url}/health/ready"):
                if not self.is_running or asyncio.get_running_loop().time() > deadline:
                    raise Trouble(
                        "Магазин не запустился.", _last_line(self.log_file), f"Журнал: {self.log_file}"
                    )
                await asyncio.sleep(0.05)
        self.has_answered = True

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def was_killed(self) -> bool:
        """Whether it died of SIGKILL, which says nothing about the product."""
        return self.process is not None and self.process.returncode == -signal.SIGKILL

    async def stop(self) -> None:
        """Ask it to end in order."""
        if self.process is not None and self.is_running:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                await self.kill()

    async def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self.process is not None and self.is_running:
            self.process.kill()
            await self.process.wait()

    async def died(self, *, within_seconds: float) -> bool:
        """Whether it ends by itself in the time given."""
        assert self.process is not None
        try:
            await asyncio.wait_for(self.process.wait(), within_seconds)
        except TimeoutError:
            return False
        return True


@dataclass
class World:
    """All parts of the sandbox while it runs."""

    cluster: Cluster
    telegram: TelegramSimulator
    yookassa: YooKassaSimulator
    cryptopay: CryptoPaySimulator
    panel: PanelSimulator
    product: Product
    clock: SandboxClock
    timeline: Timeline
    time_zone: str
    urls: dict[str, str] = field(default_factory=dict)
    _power: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def database_url(self) -> str:
        return self.cluster.url()

    @property
    def faults(self) -> dict[str, FaultSwitches]:
        """The switches of each simulator, by its name."""
        return {
            "telegram": self.telegram.faults,
            "yookassa": self.yookassa.faults,
            "cryptopay": self.cryptopay.faults,
            "panel": self.panel.faults,
        }

    async def move_clock(self, forward: int | None = None, *, to: str | None = None) -> datetime:
        """Move everybody's clock ``forward`` by so many seconds, or to just after one of ``MOMENTS``.

        Returns the new moment, once every process is there. Raises CannotMove.
        """
        if to is not None:
            forward = math.ceil((await next_moment(self.database_url, to) - self.clock()).total_seconds())
        assert forward is not None
        moment = await self.clock.move(max(forward, 1) if to is not None else forward)
        self.note(f"часы +{_span(forward)}")
        return moment

    async def kill(self, *, with_database: bool = False) -> None:
        """SIGKILL to the product, and to PostgreSQL with all its processes."""
        async with self._power:
            await self.product.kill()
            if with_database:
                await asyncio.to_thread(self.cluster.kill)
        self.note("магазин и PostgreSQL убиты (kill -9)" if with_database else "магазин убит (kill -9)")

    async def revive(self) -> None:
        """Start what was killed; raises Trouble."""
        async with self._power:
            if self.cluster.server_pid() is None:
                await asyncio.to_thread(self.cluster.start)
            if self.product.is_running:
                return
        await self.product.start()
        self.note("магазин запущен")

    def note(self, what: str) -> None:
        """A line about the sandbox itself."""
        self.timeline.add("sandbox", "песочница", "", what, "")


@contextlib.asynccontextmanager
async def world(
    directory: Path,
    *,
    ports: dict[str, int] | None = None,
    time_zone: str = DEFAULT_ZONE,
    retry_scale: float = 0.1,
    durable: bool = True,
    on_progress: Callable[[str], object] = lambda _: None,
    with_kill_switch: bool = False,
    by_polling: bool = False,
    shop: dict[str, Any] | None = None,
    panel_version: str = PANEL_VERSION,
    make_product: Callable[[Path, str, Path], "Product"] | None = None,
) -> AsyncIterator[World]:
    """Start PostgreSQL, the simulators and the product; stop them all at the end.

    ``ports`` by name: telegram, yookassa, cryptopay, panel, product; a missing one is taken free.
    ``retry_scale`` shortens the pauses of everything that repeats notices. ``with_kill_switch`` lets the
    chat page kill the product; ``by_polling`` gives it no public address. The clock goes on where it was
    moved to when the folder was last used. Raises Trouble.
    """
    wanted = ports or {}
    product_port = wanted.get("product") or free_port()
    product_url = f"http://{LOOPBACK}:{product_port}"
    on_progress("PostgreSQL")
    clock = await asyncio.to_thread(SandboxClock, directory)
    cluster = Cluster(
        directory / "postgres", time_zone=time_zone, durable=durable, environment=clock.environment
    )
    starting = asyncio.create_task(asyncio.to_thread(cluster.start))
    try:
        await asyncio.shield(starting)  # a server that is half started could not be stopped
        await asyncio.to_thread(migrations.upgrade, cluster.url())
        on_progress("Telegram, ЮKassa, Crypto Pay, панель")
        panel_port = wanted.get("panel") or free_port()
        control_port = wanted.get("control") or free_port()
        timeline = Timeline(clock)
        telegram = TelegramSimulator(
            BOT_TOKEN,
            retry_scale=retry_scale,
            links={"Пульт": f"http://{LOOPBACK}:{control_port}"},
            kill_path=KILL_PATH if with_kill_switch else "",
            time_zone=time_zone,
            clock=clock,
            timeline=timeline,
        )
        anna = telegram.first_person()
        telegram.people.add_bot(anna, telegram.state.add_group(FIRST_GROUP, "Операторы", [anna]))
        yookassa = YooKassaSimulator(
            SHOP_ID,
            SECRET_KEY,
            webhook_url=f"{product_url}/webhooks/yookassa",
            retry_scale=retry_scale,
            clock=clock,
            timeline=timeline,
        )
        cryptopay = CryptoPaySimulator(
            CRYPTOPAY_TOKEN,
            webhook_url=f"{product_url}/webhooks/cryptopay",
            retry_scale=retry_scale,
            clock=clock,
            timeline=timeline,
        )
        panel = PanelSimulator(
            PANEL_TOKEN,
            version=panel_version,
            webhook_url=f"{product_url}/webhooks/panel",
            webhook_secret=PANEL_SECRET,
            webhook_pause_seconds=5 * retry_scale,
            clock=clock,
            timeline=timeline,
        )
        async with contextlib.AsyncExitStack() as running:
            urls = {"product": product_url}
            ports_of = wanted | {"panel": panel_port}
            here: list[World] = []
            telegram.app.router.add_post(KILL_PATH, _kill_switch(here))
            apps = {
                "telegram": telegram.app,
                "yookassa": yookassa.app,
                "cryptopay": cryptopay.app,
                "panel": panel.app,
            }
            for name, app in apps.items():
                urls[name] = await running.enter_async_context(serving(app, port=ports_of.get(name, 0)))
            panel.public_url = urls["panel"]
            settings_file = _write_settings(
                directory,
                cluster,
                urls,
                public_url=None if by_polling else product_url,
                time_zone=time_zone,
                shop=shop or {},
            )
            product = (make_product or Product)(settings_file, product_url, directory / "product.log")
            product.environment = clock.environment
            made = World(
                cluster, telegram, yookassa, cryptopay, panel, product, clock, timeline, time_zone, urls
            )
            here.append(made)
            urls["control"] = await running.enter_async_context(serving(control_app(made), port=control_port))
            jobs = asyncio.create_task(follow_jobs(directory / JOBS_FILE, timeline))
            running.push_async_callback(_end, jobs)
            on_progress("Магазин")
            running.push_async_callback(product.stop)
            await product.start()
            yield made
    finally:
        await asyncio.wait({starting})
        await asyncio.to_thread(cluster.leave)
        tidy()


def _write_settings(
    directory: Path,
    cluster: Cluster,
    urls: dict[str, str],
    *,
    public_url: str | None,
    time_zone: str,
    shop: dict[str, Any],
) -> Path:
    """The product's settings, in a file that only we can read."""
    settings = {
        "database_url": cluster.url(),
        "database_keys": new_key(),
        "time_zone": time_zone,
        "listen_host": LOOPBACK,
        "log_dir": str(directory / LOGS),
        "metrics_port": 0,
        "listen_port": urlsplit(urls["product"]).port,
        "public_url": public_url,
        "trusted_proxies": [f"{LOOPBACK}/32"],
        "telegram": {
            "bot_token": BOT_TOKEN,
            "api_url": urls["telegram"],
            "webhook_secret": WEBHOOK_SECRET,
        },
        "yookassa": {
            "shop_id": SHOP_ID,
            "secret_key": SECRET_KEY,
            "api_url": f"{urls['yookassa']}/v3",
        },
        "cryptopay": {"token": CRYPTOPAY_TOKEN, "api_url": urls["cryptopay"]},
        "panel": {"url": urls["panel"], "token": PANEL_TOKEN, "webhook_secret": PANEL_SECRET},
        # Nobody but who plays here buys: the panel and the account are theirs.
        "operations": {"chat": FIRST_GROUP, "synthetic": False},
        "backup": {"enabled": False},
        "shop": {
            "return_url": f"{urls['telegram']}/",
            "support": "@sandbox_support",
            "operators": [FIRST_PERSON],
        }
        | shop,
    }
    path = directory / "product.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(settings, file)
    return path


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _span(seconds: int) -> str:
    """``7 д 3 ч 20 мин``; seconds only where they are all."""
    parts = [
        f"{amount} {unit}"
        for amount, unit in (
            (seconds // 86400, "д"),
            (seconds % 86400 // 3600, "ч"),
            (seconds % 3600 // 60, "мин"),
        )
        if amount
    ]
    return " ".join(parts) or f"{seconds} с"


def _kill_switch(here: list[World]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def kill(_: web.Request) -> web.Response:
        for world in here:
            await world.kill()
        return web.json_response({"killed": len(here)})

    return kill


def is_free(port: int) -> bool:
    """Whether nobody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "Журнал пуст."
