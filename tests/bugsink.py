"""A real server of Sentry's protocol: Bugsink, in an environment of its own, made when it is needed."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from getpro.sandbox.shop.world import free_port

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-bugsink.lock"
API = "/api/canonical/0"


@dataclass(frozen=True)
class Bugsink:
    """Its address, a project's DSN, and a token for its API."""

    url: str
    token: str
    dsn: str
    project: int

    async def get(self, path: str, **params: str) -> Any:
        return await _call(self.url, self.token, "GET", path, params=params)

    async def issues(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("/issues/", project=str(self.project)))["results"]
        return found

    async def events(self, issue_id: str) -> list[dict[str, Any]]:
        """Whole, newest first."""
        listed = (await self.get("/events/", issue=issue_id))["results"]
        return [await self.get(f"/events/{one['id']}/") for one in listed]

    async def resolve(self, issue_id: str) -> None:
        await _call(self.url, self.token, "POST", f"/issues/{issue_id}/resolve/")


def environment(folder: Path) -> Path:
    """The folder of its programs, with what the lock file pins."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    install = (Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--require-hashes")
    subprocess.run([*install, "--only-binary", ":all:", "--python", python, "-r", LOCK], check=True)
    return python.parent


@contextlib.asynccontextmanager
async def bugsink(folder: Path) -> AsyncIterator[Bugsink]:
    """The server while the block runs, with its database in ``folder``."""
    programs = await asyncio.to_thread(environment, folder / "venv")
    here, port = folder / "bugsink", free_port()
    here.mkdir()

    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            [programs / name, *arguments],
            cwd=here,
            env=_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    make = ("--template=local", "--host=127.0.0.1", f"--port={port}")
    await asyncio.to_thread(run, "bugsink-create-conf", *make)
    await asyncio.to_thread(run, "bugsink-manage", "migrate")
    token = (await asyncio.to_thread(run, "bugsink-manage", "create_auth_token")).split()[-1]
    with (here / "log.txt").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            *(programs / "gunicorn", f"--bind=127.0.0.1:{port}", "--threads=4", "bugsink.wsgi"),
            cwd=here,
            env=_environment(),
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await _answers(url)
        team = await _call(url, token, "POST", "/teams/", json={"name": "Shop"})
        await _call(url, token, "POST", "/projects/", json={"name": "Shop", "team": team["id"]})
        [project] = (await _call(url, token, "GET", "/projects/"))["results"]
        yield Bugsink(url, token, project["dsn"], project["id"])
    finally:
        server.terminate()
        await server.wait()


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": ".", "DJANGO_SETTINGS_MODULE": "bugsink_conf"}


async def _call(url: str, token: str, method: str, path: str, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers, raise_for_status=True) as http,
        http.request(method, f"{url}{API}{path}", **more) as answer,
    ):
        return await answer.json()


async def _answers(url: str, *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds), aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(f"{url}/health/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.2)
