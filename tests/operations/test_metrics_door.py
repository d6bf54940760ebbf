"""Prometheus's door, and what a process counts about itself."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from doors import serve
from getpro.operations.figures import Figures
from getpro.platform import metrics
from getpro.webhooks.metrics import make_metrics_app
from shop import Shop

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OF_PROMETHEUS_2 = f"{OPENMETRICS},text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture
async def door(shop: Shop) -> AsyncIterator[str]:
    async with serve(make_metrics_app(Figures(shop.db, shop.clock))) as url:
        yield url


async def scrape(url: str, accept: str) -> tuple[str, str]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}/metrics", headers={"Accept": accept}) as told,
    ):
        assert told.status == 200
        return told.headers["Content-Type"], await told.text()


async def test_what_is_shown_can_be_read_as_openmetrics_and_as_text(door: str, shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    kind, said = await scrape(door, OF_PROMETHEUS_2)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    read = openmetrics.text_string_to_metric_families(said)  # type: ignore[no-untyped-call] # bare
    families = {family.name: family for family in read}
    assert families["getpro_users"].samples[0].value == 1
    assert families["getpro_build"].samples[0].labels["version"]
    kind, said = await scrape(door, "*/*")
    assert kind.startswith("text/plain; version=0.0.4")
    plain = {family.name: family for family in text_string_to_metric_families(said)}
    assert plain["getpro_users"].samples[0].value == 1


async def test_the_way_from_the_money_to_the_access_is_counted(shop: Shop) -> None:
    def settled() -> float:
        return (
            metrics.REGISTRY.get_sample_value(
                "getpro_charges_total", {"provider": "fakepay", "outcome": "settled"}
            )
            or 0
        )

    def delivered() -> float:
        return metrics.REGISTRY.get_sample_value("getpro_delivery_seconds_count") or 0

    before = settled(), delivered()
    await shop.purchase(await shop.customer("alice"))
    assert (settled(), delivered()) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize(
    ("status", "word"),
    [(200, "ok"), (302, "ok"), (404, "refused"), (429, "too_many_requests"), (502, "failed")],
)
def test_an_answer_is_told_in_a_word(status: int, word: str) -> None:
    assert metrics.result_of(status) == word
