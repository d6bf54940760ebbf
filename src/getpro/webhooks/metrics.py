"""Prometheus's door: on an address of its own, which nothing outside reaches."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from getpro.operations.figures import Figures
from getpro.platform.metrics import REGISTRY

PATH = "/metrics"


class _Together(Collector):
    """Several collectors as one."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterable[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def make_metrics_app(figures: Figures | None) -> Starlette:
    """What this process counts and, with ``figures``, what the database knows; and that the process lives.

    The figures are asked for by one process of the shop: they are the same for all.
    """
    shown = _Together(REGISTRY) if figures is None else _Together(REGISTRY, figures)

    async def metrics(request: Request) -> Response:
        if figures is not None:
            await figures.refresh()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(shown), headers={"Content-Type": content_type})

    async def live(_: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route(PATH, metrics), Route("/health/live", live)])
