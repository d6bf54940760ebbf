"""Real Prometheus and real exporters, of Debian's packages, on ports of their own."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

import tls
from getpro.sandbox.shop.world import free_port

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
async def running(*command: str | Path, ready: str, log: Path) -> AsyncIterator[None]:
    """A program while the block runs, from when it answers at ``ready``."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(*map(str, command), stdout=out, stderr=out)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession() as http:
            while not await _answers(http, ready):
                assert process.returncode is None, await asyncio.to_thread(log.read_text)
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@contextlib.asynccontextmanager
async def node_exporter(folder: Path) -> AsyncIterator[str]:
    """Its address, as host and port."""
    address = f"{LOOPBACK}:{free_port()}"
    async with running(
        "prometheus-node-exporter",
        f"--web.listen-address={address}",
        ready=f"http://{address}/metrics",
        log=folder / "node.log",
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
        running(
            "prometheus-blackbox-exporter",
            f"--web.listen-address={address}",
            f"--config.file={config}",
            ready=f"http://{address}/-/healthy",
            log=folder / "blackbox.log",
        ),
    ):
        yield Blackbox(address, url.removeprefix("https://"))


@contextlib.asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[str]:
    address = f"{LOOPBACK}:{free_port()}"
    config = folder / "alertmanager.yml"
    config.write_text('{"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}', "utf-8")
    async with running(
        "prometheus-alertmanager",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        ready=f"http://{address}/-/ready",
        log=folder / "alertmanager.log",
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


@contextlib.asynccontextmanager
async def prometheus(
    folder: Path, jobs: dict[str, str], *, rules: list[Path], blackbox: Blackbox
) -> AsyncIterator[Prometheus]:
    """One that scrapes ``jobs``, by name and address, each second, and judges by ``rules`` as often."""
    address = f"{LOOPBACK}:{free_port()}"
    every = f"{SCRAPED_EVERY_SECONDS}s"
    probe = {
        "job_name": "blackbox",
        "metrics_path": "/probe",
        "params": {"module": ["tls"], "target": [blackbox.target]},
        "static_configs": [{"targets": [blackbox.address]}],
    }
    scraped = [
        {"job_name": job, "static_configs": [{"targets": [target]}]}
        for job, target in (jobs | {"prometheus": address}).items()
    ]
    config = folder / "prometheus.yml"
    body = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": [*scraped, probe],
    }
    config.write_text(json.dumps(body), encoding="utf-8")
    async with running(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
        ready=f"http://{address}/-/ready",
        log=folder / "prometheus.log",
    ):
        yield Prometheus(f"http://{address}")
