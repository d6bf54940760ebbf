"""``web`` and ``worker`` apart, with their settings from the environment, as on several machines."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from folders import open_up
from getpro.platform.postgres import Cluster
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.judge import judge
from getpro.sandbox.shop.world import Product, World, world

SOURCE = Path(__file__).parents[2] / "src"
OWN_NAMES = {
    "time_zone": "GETPRO_TIME_ZONE",
    "listen_host": "GETPRO_HOST",
    "listen_port": "GETPRO_PORT",
}

pytestmark = [pytest.mark.timeout(180)]


def as_environment(settings: dict[str, Any]) -> dict[str, str]:
    """What an operator would write into ``.env`` for these settings."""
    named: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            named |= {f"{name}_{field}".upper(): _written(inner) for field, inner in value.items()}
        else:
            named[OWN_NAMES.get(name, name.upper())] = _written(value)
    return named


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


class Apart(Product):
    """The product as two processes."""

    exit_codes: tuple[int | None, ...] = ()

    async def start(self, *_: str) -> None:
        settings = json.loads(self.settings_file.read_text(encoding="utf-8"))
        settings["telegram"]["webhook_secret"] = "one-secret-for-all-processes"
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)} | as_environment(settings)
        with self.log_file.open("ab") as log:
            self.process, self.worker = [
                await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "getpro", name, env=environment, stdout=log, stderr=log
                )
                for name in ("web", "worker")
            ]
        await self.wait_ready()

    async def stop(self) -> None:
        assert self.process is not None
        both = (self.process, self.worker)
        for process in both:
            process.send_signal(signal.SIGTERM)
        self.exit_codes = tuple(await asyncio.gather(*(process.wait() for process in both)))


async def test_a_purchase_goes_through_web_and_worker_apart(tmp_path: Path) -> None:
    async with world(open_up(tmp_path), durable=False, retry_scale=0.05, make_product=Apart) as here:
        await buy_by_card(here)
        product = here.product
    assert isinstance(product, Apart)
    assert product.exit_codes == (0, 0)


async def buy_by_card(here: World) -> None:
    actor, anna = Actor(here), here.telegram.state.add_person(1001, "Анна")
    await actor.start(anna)
    await actor.buy(anna, plan=1, provider="yookassa")
    here.yookassa.books.pay(actor.newest_payment())
    await actor.sees(anna, "Доступ открыт")
    assert [verdict.troubles for verdict in judge(here)] == [[]]
    assert here.telegram.state.unknown_parameters == []


class OnItsOwn(Product):
    """``2getpro run`` without ``DATABASE_URL``: the shop has a PostgreSQL of its own."""

    @property
    def data(self) -> Path:
        return self.settings_file.parent / "own"

    async def start(self, *_: str) -> None:
        settings = json.loads(self.settings_file.read_text(encoding="utf-8"))
        del settings["database_url"]
        self.data.mkdir(exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)} | as_environment(settings)
        with self.log_file.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "getpro", "run"),
                env=environment | {"GETPRO_DATA_DIR": str(self.data)},
                stdout=log,
                stderr=log,
            )
        await self.wait_ready()


async def test_a_shop_whose_own_database_died_starts_it_again_and_sells(tmp_path: Path) -> None:
    async with world(open_up(tmp_path), durable=False, retry_scale=0.05, make_product=OnItsOwn) as here:
        assert isinstance(here.product, OnItsOwn)
        cluster = Cluster(here.product.data / "postgres")
        await asyncio.to_thread(cluster.kill)
        actor, anna = Actor(here), here.telegram.state.add_person(1001, "Анна")
        await actor.start(anna)
        await actor.buy(anna, plan=1, provider="yookassa")
        here.yookassa.books.pay(actor.newest_payment())
        await actor.sees(anna, "Доступ открыт")
    assert cluster.server_pid() is None
