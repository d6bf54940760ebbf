"""``web`` and ``worker`` apart, with their settings from the environment, as on several machines."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from apart import Apart
from commanded import SOURCE, as_environment
from folders import open_up
from getpro.platform.postgres import Cluster
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.judge import judge
from getpro.sandbox.shop.world import Product, World, world

pytestmark = [pytest.mark.timeout(180)]


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
