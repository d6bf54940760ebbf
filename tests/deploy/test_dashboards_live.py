"""Every panel's query on a real Prometheus that scrapes the running shop while people buy."""

import asyncio
import contextlib
import json
import math
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from apart import Apart
from folders import open_up
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World, free_port, world
from getpro.sandbox.telegram import FIRST_PERSON
from getpro.sandbox.telegram.state import Person
from monitoring import (
    LOOPBACK,
    SCRAPED_EVERY_SECONDS,
    Prometheus,
    blackbox_exporter,
    node_exporter,
    prometheus,
)
from tools.dashboards.written import FOLDER

FILES = sorted(FOLDER.glob("*.json"))
ONLY_DATA = {"getpro-host"}
"""The machine's figures are not the traffic's."""
STILL = {
    "Обычно": "what is usual at this hour is known after a week",
    "Бот на связи": "it is",
    "Работы идут": "a worker that is back soon was away for no scrape",
    "База отвечает": "it does, before and after",
    "Занято соединений": "the pools are as large as before",
    "Самая долгая транзакция": "none is long; which one is seen is chance",
    "Ждут чужой блокировки": "whether two meet is chance",
    "Показателей не спросить": "each can be asked",
    "Очередь денег стоит": "a worker takes what is due before anybody looks",
    "Старейшая работа": "so it does",
    "Брошено работ с деньгами": "they give up after days",
    "Доступ за минуту": "nobody waits a minute here; test_dashboards has who did",
    "Доступ за минуту, за сутки": "so it is",
    "Последней пробе восстановления": "no copy is made here, nor tried",
    "Последняя проба удалась": "likewise",
    "Размер копии": "likewise",
    "Закрыт на сверку": "nobody brings the database back here",
    "Последней копии вне машины": "likewise: nor is one sent",
    "Последним учениям": "none is held here",
    "На учениях вернулся за": "likewise",
}
"""Panels, or queries by their legend, that the traffic need not change, and why."""
UNSEEN_WITHOUT_WORKER = {
    "Оплачено, но не выдано",
    "Деньги ждут решения",
    "Возвраты не сделаны",
    "Выручка",
    "Ждёт дольше всех",
    "Очередь денег стоит",
    "База отвечает",
}
"""Nobody may read there that it is well while nobody looks."""


@dataclass(frozen=True)
class Shown:
    """A query of a panel, as it stands in Grafana's file; ``__rate_interval`` is short, as the test is."""

    dashboard: str
    panel: str
    legend: str
    expr: str
    is_of_now: bool = False

    def __str__(self) -> str:
        return f"{self.dashboard}, «{self.panel}», {self.legend}: {self.expr}"

    @property
    def may_be_still(self) -> bool:
        return self.dashboard in ONLY_DATA or bool({self.panel, self.legend} & STILL.keys())


def queries() -> Iterator[Shown]:
    for file in FILES:
        body = json.loads(file.read_text(encoding="utf-8"))
        for panel in body["panels"]:
            for target in panel.get("targets", []):
                expr = target["expr"].replace("$__rate_interval", f"{5 * SCRAPED_EVERY_SECONDS}s")
                yield Shown(body["uid"], panel["title"], target["legendFormat"], expr, target["instant"])
        for one in body["annotations"]["list"]:
            yield Shown(body["uid"], one["name"], "", one["expr"])


@dataclass(frozen=True)
class Scene:
    here: World
    actor: Actor
    prometheus: Prometheus
    people: dict[str, Person]

    @property
    def product(self) -> Apart:
        assert isinstance(self.here.product, Apart)
        return self.here.product


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    ports = {"web": free_port(), "worker": free_port()}

    def product(settings_file: Path, url: str, log_file: Path) -> Apart:
        more = {"OPERATIONS_SYNTHETIC": "true"}  # which is off where the panel is the player's
        return Apart(settings_file, url, log_file, more=more, metrics_ports=ports)

    async with (
        world(folder, durable=False, retry_scale=0.05, make_product=product) as here,
        node_exporter(folder) as node,
        blackbox_exporter(folder) as blackbox,
        prometheus(
            folder,
            {"bot": f"{LOOPBACK}:{ports['web']}", "worker": f"{LOOPBACK}:{ports['worker']}", "node": node},
            blackbox=blackbox,
        ) as watching,
    ):
        names = ("Анна", "Борис", "Вера", "Глеб")
        add = here.telegram.state.add_person
        people = {name: add(FIRST_PERSON + i, name) for i, name in enumerate(names)}
        yield Scene(here, Actor(here), watching, people)


async def buy(scene: Scene, name: str, provider: str) -> None:
    actor, person, here = scene.actor, scene.people[name], scene.here
    await actor.start(person)
    await actor.buy(person, plan=1, provider=provider)
    match provider:
        case "yookassa":
            here.yookassa.books.pay(actor.newest_payment())
        case "cryptopay":
            here.cryptopay.books.pay(actor.newest_invoice())
        case _:
            await actor.pay_stars(person)
    await actor.sees(person, "Доступ открыт")


async def order(scene: Scene, name: str) -> str:
    """By card, not paid yet; return the provider's number of it."""
    await scene.actor.start(scene.people[name])
    await scene.actor.buy(scene.people[name], plan=1, provider="yookassa")
    return scene.actor.newest_payment()


async def ask_refund(scene: Scene, name: str) -> None:
    """Anna keeps the shop."""
    actor, anna = scene.actor, scene.people["Анна"]
    person = scene.people[name]
    await actor.write(anna, f"/admin {person.user_id}", sees=name)
    await actor.press(anna, f"cust:payments:{person.user_id}", sees="Какой платёж?")
    await actor.press(anna, "pay:show", sees="Платёж p")
    await actor.press(anna, "pay:refund", sees="Почему возвращаем")
    scene.here.telegram.people.send(anna, "передумал")


async def knock(scene: Scene, times: int) -> None:
    """As a stranger who does not know the secret."""
    async with aiohttp.ClientSession() as http:
        for _ in range(times):
            async with http.post(f"{scene.here.urls['product']}/webhooks/telegram", json={}) as answer:
                assert answer.status == 401


def pay_without_order(scene: Scene) -> None:
    """Money that comes for nothing that the shop has sold."""
    books = scene.here.yookassa.books
    payment = books.create_payment(
        {
            "amount": {"value": "50.00", "currency": "RUB"},
            "capture": True,
            "confirmation": {"type": "redirect", "return_url": "https://shop.example"},
        }
    )
    books.pay(payment["id"])


def ask_for_picture(scene: Scene, name: str) -> None:
    """A press that the bot answers by a call of its own."""
    person = scene.people[name]
    newest = [message for message in person.messages.values() if message["from"]["is_bot"]][-1]
    scene.here.telegram.people.callback(person, "go:qr", newest)


async def usual(scene: Scene) -> None:
    """What had been before: two have bought."""
    await buy(scene, "Анна", "yookassa")
    await buy(scene, "Борис", "stars")
    await scene.prometheus.sees("getpro_synthetic_purchase_success == 1")
    await scene.prometheus.sees("getpro:synthetic_purchase:failed == bool 0")


async def traffic(scene: Scene) -> None:
    """Everything that happens to a shop on a bad day, and its end."""
    await orders(scene)
    boris = scene.people["Борис"]
    newest = max(boris.messages)
    await troubles(scene)
    await nobody_looks(scene)
    for faults in scene.here.faults.values():
        faults.clear()
    await scene.actor.sees(boris, "Доступ открыт", after=newest)


async def orders(scene: Scene) -> None:
    """One more buys, one tries the shop, one's card is declined, one gets the money back, one waits long."""
    here = scene.here
    here.telegram.faults.change({"slow_seconds": 2.5, "only": "/sendPhoto"})
    ask_for_picture(scene, "Анна")
    await knock(scene, 1)
    await buy(scene, "Вера", "cryptopay")
    await scene.actor.start(scene.people["Глеб"])
    await scene.actor.press(scene.people["Глеб"], "go:trial")
    await scene.actor.sees(scene.people["Глеб"], "Доступ открыт")
    here.yookassa.books.cancel(
        await order(scene, "Вера"), party="payment_network", reason="insufficient_funds"
    )
    here.yookassa.faults.change({"away": True, "only": "/refunds"})
    await ask_refund(scene, "Анна")


async def troubles(scene: Scene) -> None:
    """The panel and Telegram are away when money comes; some of it for no order; somebody forges."""
    here, sees = scene.here, scene.prometheus.sees
    early, waiting = await order(scene, "Глеб"), await order(scene, "Борис")
    here.yookassa.tell("payment.succeeded", here.yookassa.books.payments[early])
    here.panel.faults.change({"away": True})
    here.telegram.faults.change({"away": True, "slow_seconds": 0, "only": ""})
    here.yookassa.books.pay(waiting)
    pay_without_order(scene)
    await knock(scene, 14)
    async with asyncio.TaskGroup() as group:
        pressing = group.create_task(_press_again_and_again(scene, "Борис"))
        await sees('sum(increase(getpro_updates_total{result="failed"}[1m]))')
        pressing.cancel()
        await sees('sum(increase(getpro_bot_api_calls_total{result="away"}[1m]))')
        await sees('sum(increase(getpro_service_calls_total{service="panel", result="away"}[1m]))')
        await sees("getpro:synthetic_purchase:failed")
        await sees('ALERTS{alertname="WebhookSignatureFailures", alertstate="firing"}')
    here.telegram.faults.change({"away": False, "too_many_requests_rate": 1})
    for _ in range(2):
        ask_for_picture(scene, "Борис")
        await sees('getpro_bot_api_calls_total{result="too_many_requests"}')
    await sees('sum(increase(getpro_bot_api_calls_total{result="too_many_requests"}[1m]))')


async def _press_again_and_again(scene: Scene, name: str) -> None:
    while True:
        ask_for_picture(scene, name)
        await asyncio.sleep(1.5 * SCRAPED_EVERY_SECONDS)


async def nobody_looks(scene: Scene) -> None:
    """The worker is started again, as by an update; meanwhile nothing of what it knows looks well."""
    worker = scene.product.parts["worker"]
    worker.terminate()
    await worker.wait()
    await scene.prometheus.sees('up{job="worker"} == bool 0')
    unseen = [shown for shown in queries() if shown.panel in UNSEEN_WITHOUT_WORKER and shown.is_of_now]
    assert {shown.panel for shown in unseen} == UNSEEN_WITHOUT_WORKER
    for shown in unseen:
        assert await scene.prometheus.values(shown.expr) == {}, shown
    await scene.product.start_part("worker")
    await scene.prometheus.sees("getpro_stuck_payments")


@pytest.mark.long
@pytest.mark.monitoring
@pytest.mark.timeout(300)
async def test_every_panel_shows_data_and_the_traffic_changes_it(tmp_path: Path) -> None:
    async with scene(open_up(tmp_path)) as here:
        await usual(here)
        await here.prometheus.sees("getpro_paid_last_hour")
        await asyncio.sleep(2 * SCRAPED_EVERY_SECONDS)
        before = time.time()
        await traffic(here)
        await asyncio.sleep(2 * SCRAPED_EVERY_SECONDS)
        wrong = await asyncio.gather(
            *(judged(here.prometheus, shown, before, time.time()) for shown in queries())
        )
    assert not any(wrong), "\n".join(filter(None, wrong))


async def judged(prometheus: Prometheus, shown: Shown, before: float, after: float) -> str:
    """What is wrong with a query, in a sentence; empty if nothing is."""
    was = await prometheus.values(shown.expr, time=before)
    drawn = await prometheus.ask("query_range", query=shown.expr, start=before, end=after, step=1)
    points = [(str(line["metric"]), float(value)) for line in drawn["result"] for _, value in line["values"]]
    points = [(labels, value) for labels, value in points if math.isfinite(value)]
    if not points:
        return f"no data: {shown}"
    if not shown.may_be_still and all(was.get(labels) == value for labels, value in points):
        return f"the traffic changed nothing: {shown}"
    return ""


@pytest.mark.monitoring
async def test_a_panel_that_shows_nothing_or_always_the_same_is_found(tmp_path: Path) -> None:
    """By a Prometheus that scrapes but itself, and counts its scrapes."""
    cases = {
        "prometheus_there_is_none": "no data",
        "0 / (prometheus_build_info - 1)": "no data",
        "prometheus_build_info": "the traffic changed nothing",
        "process_start_time_seconds": "the traffic changed nothing",
        "sum(prometheus_http_requests_total)": "",
    }
    async with prometheus(tmp_path, {}) as alone:
        await alone.sees("sum(prometheus_http_requests_total)")
        before = time.time()
        await alone.sees(f"vector(time()) > {before + 3 * SCRAPED_EVERY_SECONDS}")
        for expr, wrong in cases.items():
            said = await judged(alone, Shown("getpro-bot", "Панель", "", expr), before, time.time())
            assert said.partition(":")[0] == wrong, expr


def test_every_excuse_is_of_a_panel_that_is_there() -> None:
    known = {name for shown in queries() for name in (shown.panel, shown.legend)}
    assert STILL.keys() <= known
