"""Real Prometheus and real exporters, of Debian's packages, on ports of their own."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

import tls
from getpro.sandbox.shop.world import free_port
from monitors import RULES, ready, running

LOOPBACK = "127.0.0.1"
SCRAPED_EVERY_SECONDS = 1
PATIENCE_SECONDS = 60
_BLACKBOX = {
    "modules": {
        "tls": {"prober": "tcp", "tcp": {"tls": True, "tls_config": {"insecure_skip_verify": True}}},
    }
}
"""A certificate of a test has no authority."""


@contextlib.asynccontextmanager
async def _serving(log: Path, *command: str, ready_at: str) -> AsyncIterator[None]:
    """A program while the block runs, from when it answers."""
    async with running(log, command):
        await ready(ready_at)
        yield


@contextlib.asynccontextmanager
async def node_exporter(folder: Path) -> AsyncIterator[str]:
    """Its address, as host and port."""
    address = f"{LOOPBACK}:{free_port()}"
    async with _serving(
        folder / "node.log",
        "prometheus-node-exporter",
        f"--web.listen-address={address}",
        ready_at=f"http://{address}/metrics",
    ):
        yield address


@dataclass(frozen=True)
class Blackbox:
    """``address`` of the exporter; ``target`` is a TLS server whose certificate lasts sixty days."""

    address: str
    target: str


@contextlib.asynccontextmanager
async def blackbox_exporter(folder: Path) -> AsyncIterator[Blackbox]:
    address = f"{LOOPBACK}:{free_port()}"
    config = folder / "blackbox.yml"
    config.write_text(json.dumps(_BLACKBOX), encoding="utf-8")  # which is YAML, too
    async with (
        tls.server(*tls.made(folder, days=60)) as url,
        _serving(
            folder / "blackbox.log",
            "prometheus-blackbox-exporter",
            f"--web.listen-address={address}",
            f"--config.file={config}",
            ready_at=f"http://{address}/-/healthy",
        ),
    ):
        yield Blackbox(address, url.removeprefix("https://"))


@contextlib.asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[str]:
    address = f"{LOOPBACK}:{free_port()}"
    config = folder / "alertmanager.yml"
    config.write_text('{"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}', "utf-8")
    async with _serving(
        folder / "alertmanager.log",
        "prometheus-alertmanager",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        ready_at=f"http://{address}/-/ready",
    ):
        yield address


@dataclass(frozen=True)
class Prometheus:
    url: str

    async def ask(self, path: str, **values: str | float) -> Any:
        """What its API says; raises AssertionError with its words where it refuses."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/api/v1/{path}", data={k: str(v) for k, v in values.items()}) as answer,
        ):
            said = await answer.json()
            assert said["status"] == "success", f"{values}: {said}"
            return said["data"]

    async def values(self, expr: str, **at: float) -> dict[str, float]:
        """Of each series its value, by its labels as text."""
        found = (await self.ask("query", query=expr, **at))["result"]
        return {str(one["metric"]): float(one["value"][1]) for one in found}

    async def sees(self, expr: str) -> None:
        """Wait until ``expr`` has a sample that is not zero."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any((await self.values(expr)).values()):
                await asyncio.sleep(0.1)


def _judged_always(folder: Path) -> Path:
    """Our rules in one file, without intervals of their own."""
    groups = [
        {name: value for name, value in group.items() if name != "interval"}
        for file in RULES
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    ]
    file = folder / "rules.yml"
    file.write_text(json.dumps({"groups": groups}), encoding="utf-8")
    return file


@contextlib.asynccontextmanager
async def prometheus(
    folder: Path, jobs: dict[str, str], *, blackbox: Blackbox | None = None
) -> AsyncIterator[Prometheus]:
    """One that scrapes ``jobs``, by name and address, each second, and judges by our rules as often."""
    address = f"{LOOPBACK}:{free_port()}"
    every = f"{SCRAPED_EVERY_SECONDS}s"
    scraped: list[dict[str, Any]] = [
        {"job_name": job, "static_configs": [{"targets": [target]}]}
        for job, target in (jobs | {"prometheus": address}).items()
    ]
    if blackbox is not None:
        probed = {"module": ["tls"], "target": [blackbox.target]}
        at = [{"targets": [blackbox.address]}]
        scraped.append(
            {"job_name": "blackbox", "metrics_path": "/probe", "params": probed, "static_configs": at}
        )
    config = folder / "prometheus.yml"
    body = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(_judged_always(folder))],
        "scrape_configs": scraped,
    }
    config.write_text(json.dumps(body), encoding="utf-8")
    async with _serving(
        folder / "prometheus.log",
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
        ready_at=f"http://{address}/-/ready",
    ):
        yield Prometheus(f"http://{address}")
