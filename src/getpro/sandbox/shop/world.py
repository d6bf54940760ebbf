"""The sandbox's world: everything on loopback, everything started and stopped together."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from getpro import migrations
from getpro.kit.clock import DEFAULT_ZONE
from getpro.kit.trouble import Trouble
from getpro.platform.postgres import Cluster
from getpro.sandbox.faults import CONTROL_PREFIX
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.providers.cryptopay import CryptoPaySimulator
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import LOOPBACK, serving
from getpro.sandbox.telegram import TelegramSimulator

BOT_TOKEN: Final = "7000000001:sandbox-token-of-nobody"  # noqa: S105 -- opens nothing but the sandbox
SHOP_ID: Final = "100500"
SECRET_KEY: Final = "test_sandbox"  # noqa: S105
CRYPTOPAY_TOKEN: Final = "100500:sandbox-cryptopay"  # noqa: S105
PANEL_TOKEN: Final = "sandbox-panel-token"  # noqa: S105
PANEL_SECRET: Final = "s" * 64
WEBHOOK_SECRET: Final = "sandbox-webhook-secret"  # noqa: S105
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

    async def start(self, *arguments: str) -> None:
        """Start it and wait until it is ready; raises Trouble with the log's last line."""
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
                env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
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
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        return self.cluster.url()


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
    make_product: Callable[[Path, str, Path], "Product"] | None = None,
) -> AsyncIterator[World]:
    """Start PostgreSQL, the simulators and the product; stop them all at the end.

    ``ports`` by name: telegram, yookassa, cryptopay, panel, product; a missing one is taken free.
    ``retry_scale`` shortens the pauses of everything that repeats notices. ``with_kill_switch`` lets the
    chat page kill the product; ``by_polling`` gives it no public address. Raises Trouble.
    """
    wanted = ports or {}
    product_port = wanted.get("product") or free_port()
    product_url = f"http://{LOOPBACK}:{product_port}"
    on_progress("PostgreSQL")
    cluster = Cluster(directory / "postgres", time_zone=time_zone, durable=durable)
    starting = asyncio.create_task(asyncio.to_thread(cluster.start))
    try:
        await asyncio.shield(starting)  # a server that is half started could not be stopped
        await asyncio.to_thread(migrations.upgrade, cluster.url())
        on_progress("Telegram, ЮKassa, Crypto Pay, панель")
        panel_port = wanted.get("panel") or free_port()
        telegram = TelegramSimulator(
            BOT_TOKEN,
            retry_scale=retry_scale,
            links={"Панель": f"http://{LOOPBACK}:{panel_port}"},
            kill_path=KILL_PATH if with_kill_switch else "",
        )
        yookassa = YooKassaSimulator(
            SHOP_ID, SECRET_KEY, webhook_url=f"{product_url}/webhooks/yookassa", retry_scale=retry_scale
        )
        cryptopay = CryptoPaySimulator(
            CRYPTOPAY_TOKEN, webhook_url=f"{product_url}/webhooks/cryptopay", retry_scale=retry_scale
        )
        panel = PanelSimulator(
            PANEL_TOKEN,
            webhook_url=f"{product_url}/webhooks/panel",
            webhook_secret=PANEL_SECRET,
            webhook_pause_seconds=5 * retry_scale,
        )
        async with contextlib.AsyncExitStack() as running:
            urls = {"product": product_url}
            ports_of = wanted | {"panel": panel_port}
            here: list[Product] = []
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
            here.append(product)
            on_progress("Магазин")
            running.push_async_callback(product.stop)
            await product.start()
            yield World(cluster, telegram, yookassa, cryptopay, panel, product, urls)
    finally:
        await asyncio.wait({starting})
        await asyncio.to_thread(cluster.leave)


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
        "time_zone": time_zone,
        "listen_host": LOOPBACK,
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
        "shop": {"return_url": f"{urls['telegram']}/", "support": "@sandbox_support"} | shop,
    }
    path = directory / "product.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(settings, file)
    return path


def _kill_switch(here: list[Product]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def kill(_: web.Request) -> web.Response:
        for product in here:
            await product.kill()
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
