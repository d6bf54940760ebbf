"""Trouble made on purpose around a shop that really runs: each kind is told in the operators' chat, and over.

Prometheus, Alertmanager and the exporters are real; Telegram, the providers and the panel are simulated.
The rules and configurations are the committed ones, changed by ``quickened`` and ``pointed`` alone.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from ssl import Purpose, create_default_context
from typing import Any

import aiohttp
import psycopg
import pytest
import yaml
from aiohttp import web

from apart import Apart
from folders import open_up
from getpro.operations import monitoring
from getpro.platform.settings import Settings
from getpro.sandbox.serving import serving
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import BOT_TOKEN, World, free_port, world
from getpro.sandbox.telegram.state import Person
from monitors import ROOT, RULES, ready, running

pytestmark = [pytest.mark.long, pytest.mark.monitoring, pytest.mark.timeout(2400)]

TIMES_FASTER = 5
TOKEN = "alerts-token-of-a-test"
OPERATOR = 5001
PATIENCE_SECONDS = 300
PAST_THE_SHOP = "Присмотр, мимо магазина"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(
    r"((?:for|keep_firing_for|\w*interval|scrape_timeout|group_wait): "
    r"|\[|offset )(\d+)([smhd])\b"
)


def quickened(text: str) -> str:
    """Every duration five times shorter: intervals, ``for``, windows, waits. Thresholds are untouched."""

    def shorter(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) * UNITS[found[3]] * 1000 // TIMES_FASTER}ms"

    return DURATION.sub(shorter, text)


def pointed(text: str, addresses: dict[str, str]) -> str:
    """The stack's addresses replaced by those of this test; without the exporter of PostgreSQL's own."""
    for theirs, ours in addresses.items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    config = yaml.safe_load(text)
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] != "postgres"]
    return json.dumps(config)  # which is YAML, too


@dataclass
class Authority:
    """Signs certificates of ``localhost``."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self._openssl("req", "-x509", *self._new_key("ca"), "-out", "ca.pem", "-days", "90", "-subj", "/CN=o",
                      "-addext", "basicConstraints=critical,CA:TRUE")  # fmt: skip
        (self.folder / "ext").write_text("subjectAltName=DNS:localhost")

    def sign(self, *, days: int) -> None:
        self._openssl("req", "-new", *self._new_key("key"), "-out", "csr.pem", "-subj", "/CN=localhost")
        self._openssl("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca", "-CAcreateserial",
                      "-days", str(days), "-extfile", "ext", "-out", "cert.pem")  # fmt: skip

    def _new_key(self, name: str) -> list[str]:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", name]

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@dataclass
class FrontDoor:
    """The shop's address as it is seen from outside, with TLS."""

    authority: Authority
    port: int = field(default_factory=free_port)
    _runner: web.AppRunner | None = None

    async def open(self, *, days: int) -> None:
        """With a certificate for so many days."""
        await self.close()
        await asyncio.to_thread(self.authority.sign, days=days)
        context = create_default_context(Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.authority.folder / "cert.pem", self.authority.folder / "key")
        app = web.Application()
        app.router.add_get("/health/live", self._alive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")


@contextlib.contextmanager
def disk(folder: Path) -> Any:
    """A file system of its own, of a few megabytes."""
    image, mounted = folder / "disk.img", folder / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * 1024**2)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)


@dataclass
class Outside:
    """The service that wants a sign of life every minute."""

    heard_at: list[float] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/ping", self._ping)
        return app

    async def _ping(self, _: web.Request) -> web.Response:
        self.heard_at.append(time.monotonic())
        return web.Response()


@dataclass
class Live:
    """Everything that runs, and the chat in which it must be told."""

    here: World
    product: Apart
    chat: Person
    front_door: FrontDoor
    disk: Path
    outside: Outside
    prometheus: asyncio.subprocess.Process
    prometheus_url: str
    rows: list[tuple[str, str, str, float, float]] = field(default_factory=list)

    def told(self, text: str, *, after: int) -> bool:
        """Past the shop, in the chat."""
        return any(
            text in message["text"] and PAST_THE_SHOP in message["text"]
            for number, message in self.chat.messages.items()
            if number > after and message["from"]["is_bot"] and "text" in message
        )

    def noted(self, text: str, *, after: int) -> bool:
        """On the time line of an incident, which has a message in the chat."""
        try:
            with psycopg.connect(self.here.database_url, connect_timeout=1) as connection:
                found = connection.execute(
                    "SELECT FROM incident_events e WHERE event_id > %s AND position(%s IN words) > 0"
                    " AND EXISTS (SELECT FROM pages p"
                    " WHERE p.incident_id = e.incident_id AND p.message_id IS NOT NULL)",
                    [after, text],
                ).fetchone()
        except psycopg.OperationalError:
            return False
        return found is not None

    @property
    def newest(self) -> int:
        return max(self.chat.messages)

    @property
    def newest_line(self) -> int:
        with psycopg.connect(self.here.database_url) as connection:
            found = connection.execute("SELECT coalesce(max(event_id), 0) FROM incident_events").fetchone()
        assert found is not None
        return int(found[0])

    async def case(
        self,
        what: str,
        alert: str,
        summary: str,
        make: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        *,
        past_the_shop: bool = False,
        silent: str = "",
    ) -> None:
        """Make trouble, wait until it is told; end it, wait for that, too. ``silent`` may not be told."""
        before, line, began = self.newest, self.newest_line, time.monotonic()

        def told(text: str) -> bool:
            return self.told(text, after=before) if past_the_shop else self.noted(text, after=line)

        await make()
        await self._until(what, lambda: told(f"{summary} (L" if past_the_shop else summary))
        found, ended = time.monotonic() - began, time.monotonic()
        if silent:
            await asyncio.sleep(60 / TIMES_FASTER)
            assert not self.told(silent, after=before), silent
            assert not self.noted(silent, after=line), silent
            ended = time.monotonic()
        await end()
        await self._until(what, lambda: told(f"Прошло: {summary}"))
        way = "мимо магазина" if past_the_shop else "магазин"
        self.rows.append((what, alert, way, found, time.monotonic() - ended))

    async def _until(self, what: str, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            assert time.monotonic() < deadline, f"{what}: not told; {await self.alerts()}; {self._chat()}"
            await asyncio.sleep(0.05)

    def _chat(self) -> list[str]:
        return [message.get("text", "") for message in list(self.chat.messages.values())[-8:]]

    async def alerts(self) -> list[str]:
        """What Prometheus thinks, e.g. ``BotDown firing``."""
        data = await self._ask("alerts")
        return [f"{one['labels']['alertname']} {one['state']}" for one in data["alerts"]]

    async def watches(self) -> None:
        """Return once everything that is to be watched is."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            targets = (await self._ask("targets"))["activeTargets"]
            down = [
                f"{target['scrapeUrl']} {target['lastError']}"
                for target in targets
                if target["health"] != "up"
            ]
            if len(targets) == 7 and not down:
                return
            assert time.monotonic() < deadline, (len(targets), down)
            await asyncio.sleep(0.1)

    async def _ask(self, what: str) -> Any:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.prometheus_url}/api/v1/{what}") as answer,
        ):
            return (await answer.json())["data"]


@contextlib.asynccontextmanager
async def live(folder: Path, *, is_alertmanager_hasty: bool = True) -> AsyncIterator[Live]:
    """The shop and all that watches it, as in the stack, on free ports of this machine."""
    names = ("bot", "worker", "prometheus", "alertmanager", "node", "blackbox")
    at = {name: f"127.0.0.1:{free_port()}" for name in names}
    port_of = {name: int(address.rpartition(":")[2]) for name, address in at.items()}
    more = {"OPERATIONS_CHAT": str(OPERATOR), "OPERATIONS_ALERTS_TOKEN": TOKEN}
    async with contextlib.AsyncExitStack() as stack:
        ports = {"web": port_of["bot"], "worker": port_of["worker"]}
        make = partial(Apart, more=more, metrics_ports=ports)
        here = await stack.enter_async_context(
            world(folder / "shop", durable=False, retry_scale=0.05, make_product=make)
        )
        assert isinstance(here.product, Apart)
        chat = here.telegram.state.add_person(OPERATOR, "Операторы")
        await Actor(here).start(chat)
        authority, outside = Authority(folder / "ca"), Outside()
        front_door = FrontDoor(authority)
        stack.push_async_callback(front_door.close)
        await front_door.open(days=60)
        watchdog_url = await stack.enter_async_context(serving(outside.app()))
        values: dict[str, Any] = {
            "public_url": f"https://localhost:{front_door.port}",
            "telegram": {"bot_token": BOT_TOKEN, "api_url": here.urls["telegram"]},
            "panel": {"url": here.urls["panel"], "token": "x"},
            "operations": {
                "chat": OPERATOR,
                "alerts_token": TOKEN,
                "watchdog_url": f"{watchdog_url}/ping",
            },
            "_env_file": None,
        }
        settings = Settings(**values)
        own = folder / "own"
        found = monitoring.configuration(settings, bot_url=here.urls["product"])
        alertmanager = found[monitoring.ALERTMANAGER]
        if is_alertmanager_hasty:
            alertmanager = quickened(alertmanager)
        monitoring.write(own, found | {monitoring.ALERTMANAGER: alertmanager})
        rules = folder / "rules"
        rules.mkdir()
        for file in RULES:
            (rules / file.name).write_text(quickened(file.read_text(encoding="utf-8")), encoding="utf-8")
        committed = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
        addresses = {
            "bot:9464": at["bot"],
            "worker:9465": at["worker"],
            "node-exporter:9100": at["node"],
            "alertmanager:9093": at["alertmanager"],
            "localhost:9090": at["prometheus"],
            "blackbox-exporter:9115": at["blackbox"],
            "/etc/2getpro": str(own / "prometheus"),
        }
        (folder / "prometheus.yml").write_text(pointed(quickened(committed), addresses), encoding="utf-8")
        mounted = stack.enter_context(disk(folder))
        programs = {
            "node": [
                "prometheus-node-exporter", "--collector.disable-defaults", "--collector.filesystem",
                "--collector.meminfo", "--collector.vmstat", f"--web.listen-address={at['node']}",
            ],
            "blackbox": [
                "prometheus-blackbox-exporter", f"--config.file={ROOT / 'deploy/blackbox/blackbox.yml'}",
                f"--web.listen-address={at['blackbox']}",
            ],
            "alertmanager": [
                "prometheus-alertmanager", f"--config.file={own / monitoring.ALERTMANAGER}",
                f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address={at['alertmanager']}",
                "--cluster.listen-address=",
            ],
            "prometheus": [
                "prometheus", f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}", f"--web.listen-address={at['prometheus']}",
                f"--rules.alert.resend-delay={15000 // TIMES_FASTER}ms",
            ],
        }  # fmt: skip
        trust = {"SSL_CERT_FILE": str(authority.folder / "ca.pem"), "NO_PROXY": "*"}
        started = {}
        for name, arguments in programs.items():
            log = folder / f"{name}.log"
            started[name] = await stack.enter_async_context(running(log, arguments, trust))
        for name in ("alertmanager", "prometheus"):
            await ready(f"http://{at[name]}/-/ready")
        url = f"http://{at['prometheus']}"
        yield Live(here, here.product, chat, front_door, mounted, outside, started["prometheus"], url)


async def test_each_trouble_is_told_and_is_over(tmp_path: Path, figure: Callable[[str], None]) -> None:
    if os.geteuid() != 0:
        pytest.skip("a disk of its own is mounted for node_exporter: run it as root")
    async with live(open_up(tmp_path)) as shop:
        await shop.watches()
        await panel_and_queue(shop)
        await disk_and_certificate(shop)
        await database(shop)
        await processes(shop)
        await dead_man(shop)
        for what, alert, way, found, over in shop.rows:
            figure(f"{what:<28}{alert:<24}{way:<15} told after {found:5.1f} s, over after {over:5.1f} s")
        figure(f"(the watching runs {TIMES_FASTER} times faster than in the stack, the shop does not)")


async def panel_and_queue(shop: Live) -> None:
    here, actor = shop.here, Actor(shop.here)
    orders = []
    for number in range(6):
        customer = here.telegram.state.add_person(1001 + number, f"Клиент {number}")
        await actor.start(customer)
        await actor.buy(customer, plan=1, provider="yookassa")
        orders.append(actor.newest_payment())

    async def stop_the_panel() -> None:
        here.panel.faults.change({"away": True})
        for order in orders:
            here.yookassa.books.pay(order)

    async def go_on() -> None:
        here.panel.faults.clear()

    await shop.case("панель остановлена", "PanelUnreachable", "Панель не отвечает", stop_the_panel, go_on)
    held = here.telegram.state.add_person(1100, "Клиент очереди")
    await actor.start(held)
    await actor.buy(held, plan=1, provider="yookassa")
    with psycopg.connect(here.database_url) as hung:

        async def stall_the_queue() -> None:
            """A transaction that hangs holds a job that was put off: it is due later, and nobody takes it."""
            here.panel.faults.change({"away": True})
            here.yookassa.books.pay(actor.newest_payment())
            await asyncio.to_thread(hold_a_job, hung)
            here.panel.faults.clear()
            await here.move_clock(11 * 60)

        async def let_go() -> None:
            await asyncio.to_thread(hung.rollback)

        words = "Очередь денег стоит дольше десяти минут"
        await shop.case("очередь стоит", "ProvisioningQueueStuck", words, stall_the_queue, let_go)


def hold_a_job(hung: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not hung.execute(
        "SELECT id FROM procrastinate_jobs WHERE queue_name = 'money' AND status = 'todo'"
        " AND scheduled_at > now() LIMIT 1 FOR UPDATE SKIP LOCKED"
    ).fetchone():
        hung.rollback()
        assert time.monotonic() < deadline, "no job was put off"
        time.sleep(0.05)


async def disk_and_certificate(shop: Live) -> None:
    filling = shop.disk / "filling"

    async def fill() -> None:
        stat = os.statvfs(shop.disk)
        filling.write_bytes(b"x" * int(stat.f_bavail * stat.f_frsize * 0.95))

    async def clear() -> None:
        filling.unlink()

    words = f"{shop.disk}: места меньше десятой части"
    await shop.case("диск полон", "DiskAlmostFull", words, fill, clear)

    address = f"localhost:{shop.front_door.port}"
    await shop.case(
        "сертификат на пять дней",
        "CertExpiresSoon",
        f"{address}: сертификат кончится через две недели",
        partial(shop.front_door.open, days=5),
        partial(shop.front_door.open, days=60),
    )
    await shop.case(
        "адрес закрыт",
        "AddressUnreachable",
        f"{address}: адрес не открывается, или его сертификат не принимается",
        shop.front_door.close,
        partial(shop.front_door.open, days=60),
    )


async def database(shop: Live) -> None:
    """Past the shop: without a database it can take nothing."""
    cluster = shop.here.cluster
    await shop.case(
        "PostgreSQL убит",
        "PostgresDown",
        "База не отвечает",
        partial(asyncio.to_thread, cluster.kill),
        partial(asyncio.to_thread, cluster.start),
        past_the_shop=True,
        silent="Оповещения не доходят",
    )


async def processes(shop: Live) -> None:
    for part, alert, summary, silent in (
        ("worker", "WorkerDown", "Фоновые работы стоят, оплаченное не выдаётся", "База не отвечает"),
        ("web", "BotDown", "Бот не отвечает", "Оповещения не доходят"),
    ):
        await shop.case(
            f"{part} убит",
            alert,
            summary,
            partial(shop.product.kill_part, part),
            partial(shop.product.start_part, part),
            past_the_shop=True,
            silent=silent,
        )


async def dead_man(shop: Live) -> None:
    """Signs come about every minute; when Prometheus is gone they end, which the service outside notices."""
    heard = shop.outside.heard_at
    gaps = [after - before for before, after in itertools.pairwise(heard)]
    assert len(gaps) >= 10
    assert max(gaps) < 3 * 60 / TIMES_FASTER, gaps
    shop.prometheus.terminate()
    await shop.prometheus.wait()
    await asyncio.sleep(3 * 60 / TIMES_FASTER)
    last = len(heard)
    await asyncio.sleep(3 * 60 / TIMES_FASTER)
    assert len(heard) == last
