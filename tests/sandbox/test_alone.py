"""The sandbox, and each simulator, as a process of its own, by the command line that anybody would use."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from folders import open_up
from getpro.sandbox.serving import serving

SOURCE = Path(__file__).parents[2] / "src"
OPTIONS: dict[str, list[str]] = {
    "telegram": ["--bot-token", "42:TEST"],
    "yookassa": ["--shop-id", "123456", "--secret-key", "test_key"],
    "panel": ["--panel-version", "3.3.2", "--token", "T"],
}
Process = asyncio.subprocess.Process


async def start(name: str, port: int, *more: str) -> Process:
    return await sandbox(name, "--port", str(port), *OPTIONS[name], *more)


async def sandbox(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "getpro", "sandbox", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)},
    )


@asynccontextmanager
async def alone(name: str, *more: str) -> AsyncIterator[tuple[Process, str]]:
    """The process and its address, once it has said that it is ready."""
    port = free_port()
    process = await start(name, port, *more)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line.endswith(f" ready at http://127.0.0.1:{port}\n")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ended(process: Process) -> tuple[int | None, str, str]:
    """How it ended and what else it printed."""
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


async def stopped(process: Process) -> tuple[int | None, str, str]:
    """Ask it to end; it has to be quick."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    how = await ended(process)
    assert time.monotonic() - began < 5
    return how


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_telegram_alone_says_one_line_serves_the_bot_api_and_ends_on_sigterm() -> None:
    async with alone("telegram") as (process, url), aiohttp.ClientSession() as http:
        async with http.get(f"{url}/bot42:TEST/getMe") as response:
            assert (await response.json())["result"]["id"] == 42
        async with http.get(f"{url}/", allow_redirects=True) as response:
            assert response.status == 200
        # Somebody who polls does not hold it up.
        polling = asyncio.create_task(http.get(f"{url}/bot42:TEST/getUpdates?timeout=50").__aenter__())
        await asyncio.sleep(0.1)
        assert await stopped(process) == (0, "", "")
        with pytest.raises(aiohttp.ClientError):
            await polling


async def test_yookassa_alone_pays_and_sends_its_notices_to_the_webhook() -> None:
    came: asyncio.Queue[Any] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        came.put_nowait(await request.json())
        return web.Response()

    door = web.Application()
    door.router.add_post("/webhook", take)
    auth = {"Authorization": aiohttp.encode_basic_auth("123456", "test_key")}
    order: dict[str, Any] = {"amount": {"value": "199.00", "currency": "RUB"}, "capture": True}
    async with (
        serving(door) as shop,
        alone("yookassa", "--webhook", f"{shop}/webhook") as (process, url),
        aiohttp.ClientSession(headers=auth) as http,
    ):
        async with http.get(f"{url}/v3/me") as response:
            assert (await response.json())["account_id"] == "123456"
        key = {"Idempotence-Key": "1"}
        async with http.post(f"{url}/v3/payments", json=order, headers=key) as response:
            number = (await response.json())["id"]
        async with http.post(f"{url}/pay/{number}/pay") as response:
            assert response.status == 200
        notice = await asyncio.wait_for(came.get(), 10)
        assert (notice["event"], notice["object"]["id"]) == ("payment.succeeded", number)
        assert await stopped(process) == (0, "", "")


async def test_the_panel_alone_serves_its_api() -> None:
    as_proxied = {
        "Authorization": "Bearer T",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "https",
    }
    more = ("--webhook", "http://127.0.0.1:9/webhook", "--webhook-secret", "s" * 64)
    async with alone("panel", *more) as (process, url), aiohttp.ClientSession(headers=as_proxied) as http:
        async with http.get(f"{url}/api/system/metadata") as response:
            assert (await response.json())["response"]["version"] == "3.3.2"
        assert await stopped(process) == (0, "", "")


@pytest.mark.parametrize("name", ["yookassa", "panel"])
@pytest.mark.parametrize("url", ["https://shop.example/webhook", "http://127.0.0.1@shop.example/"])
async def test_notices_leave_this_machine_for_nowhere(name: str, url: str) -> None:
    code, out, err = await ended(await start(name, free_port(), "--webhook", url))
    assert (code, out) == (2, "")
    assert "Она говорит только с этим компьютером, а не с 'shop.example'." in err
    assert "127.0.0.1" in err
    assert "Traceback" not in err


async def test_a_port_that_is_taken_is_named_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        processes = [await start(name, port) for name in OPTIONS]
        for code, out, err in await asyncio.gather(*(ended(process) for process in processes)):
            assert (code, out) == (2, "")
            assert err.startswith(f"Ошибка: Порт занят.\nПричина: 127.0.0.1:{port}\n")
            assert "--port" in err


async def test_what_is_no_token_or_no_version_that_is_played_is_refused_in_a_sentence() -> None:
    processes = [
        await start("telegram", free_port(), "--bot-token", "secret"),
        await start("panel", free_port(), "--panel-version", "2.5.0"),
    ]
    for code, out, err in await asyncio.gather(*(ended(process) for process in processes)):
        assert (code, out) == (2, "")
        assert err.startswith("Ошибка: ")
        assert "Traceback" not in err
    assert "Причина: Имитация панели бывает версии 3.3.2 или 2.8.1, а не 2.5.0.\n" in err


async def test_a_shop_killed_while_it_starts_ends_no_sandbox_and_ctrl_c_is_answered_at_once(
    tmp_path: Path,
) -> None:
    process = await sandbox("--dir", str(open_up(tmp_path)), "--port", str(free_port()))
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = (await process.stdout.readline()).decode()
        url = line.removeprefix("Песочница работает: ").partition(" ")[0]
        async with aiohttp.ClientSession(url) as http:
            async with http.get("/"):
                pass  # somebody is there, with a page that waits for news
            waiting = asyncio.create_task(http.get("/_sandbox/people/1001/messages?version=0").__aenter__())
            for _ in range(8):
                async with http.post("/_sandbox/product/kill") as answer:
                    assert answer.status == 200
                await asyncio.sleep(0.2)
            assert process.returncode is None
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert (await process.stderr.readline()).decode() == "Останавливаю…\n"
            assert time.monotonic() - began < 0.5
            assert await ended(process) == (0, "", "")
            with pytest.raises(aiohttp.ClientError):
                await waiting
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert not (tmp_path / "postgres" / "data" / "postmaster.pid").exists()


@pytest.mark.parametrize("moment", ["PostgreSQL", "Магазин"])
async def test_a_tour_that_is_told_to_end_leaves_nobody_running(tmp_path: Path, moment: str) -> None:
    home = open_up(tmp_path)
    process = await sandbox("--dir", str(home), "--tour")
    assert process.stdout is not None
    while moment.encode() not in await process.stdout.readline():
        pass
    process.terminate()
    code, _, err = await ended(process)
    assert (code, err) == (143, "")
    assert [line for line in everybody() if str(home) in line] == []


def everybody() -> list[str]:
    """The command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


async def test_the_help_of_psql_opens_no_database(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    code, out, err = await ended(await sandbox("--dir", str(open_up(tmp_path)), "psql", "--help"))
    assert (code, err) == (0, "")
    assert 'sandbox psql -c "SELECT' in out
    assert [path.name for path in (tmp_path / "postgres").iterdir()] == ["data"]
