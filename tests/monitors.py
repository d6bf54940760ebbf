"""Prometheus's rules as they are committed, and Prometheus and its kin as real processes of a test."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml

ROOT = Path(__file__).parents[1]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
READY_SECONDS = 20


def rules() -> dict[str, dict[str, Any]]:
    return {
        rule["alert"]: rule
        for file in RULES
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


@contextlib.asynccontextmanager
async def running(
    log: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program while the block runs; what it says goes into ``log``."""
    assert shutil.which(arguments[0]), f"{arguments[0]} is not installed"
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdout=file, stderr=file, env=os.environ | (environment or {})
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def ready(url: str) -> None:
    """Return once ``url`` answers 200."""
    deadline = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            assert time.monotonic() < deadline, f"{url} does not answer"
            await asyncio.sleep(0.05)
