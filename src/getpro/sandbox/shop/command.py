"""``2getpro sandbox``: the shop in a browser, until Ctrl-C; killed products come back by themselves."""

import asyncio
import contextlib
import fcntl
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from getpro.kit.trouble import Trouble
from getpro.platform.postgres import Cluster, default_directory
from getpro.sandbox.shop.tour import tour
from getpro.sandbox.shop.world import LOGS, World, free_port, is_free, world

PORTS = {
    "telegram": 8700,
    "yookassa": 8701,
    "panel": 8702,
    "product": 8703,
    "cryptopay": 8704,
    "control": 8705,
}


def sandbox_directory() -> Path:
    """The sandbox's own state folder; nothing of the product's."""
    return default_directory() / "sandbox"


async def run_in_browser(directory: Path, *, port: int | None, panel_version: str) -> None:
    """Serve the sandbox until Ctrl-C."""
    wanted = {name: usual if is_free(usual) else free_port() for name, usual in PORTS.items()}
    if port is not None:
        wanted["telegram"] = port
    stop = asyncio.Event()
    console = Console(stderr=True)

    def end() -> None:
        if not stop.is_set():
            console.print("Останавливаю…")
            stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    with console.status("Запускаю песочницу…") as status:
        running = world(
            directory,
            ports=wanted,
            on_progress=lambda part: status.update(f"Запускаю: {part}…"),
            with_kill_switch=True,
            panel_version=panel_version,
        )
        here = await running.__aenter__()
    try:
        sys.stdout.write(f"Песочница работает: {here.urls['telegram']} (Ctrl-C остановит)\n")
        sys.stdout.flush()
        if not here.clock.is_movable:
            console.print("Часы в ней не переводятся: libfaketime на этой системе не работает.")
        keeping = asyncio.create_task(_keep_alive(here))
        keeping.add_done_callback(lambda _: stop.set())  # it ends only by failing
        await stop.wait()
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
    finally:
        await running.__aexit__(None, None, None)


async def run_tour(directory: Path, *, panel_version: str) -> bool:
    """Play the scripted day in a fresh world; True if the books agree. SIGTERM cancels it."""

    def say(text: str) -> None:
        sys.stdout.write(f"• {text}\n")
        sys.stdout.flush()

    touring = asyncio.current_task()
    assert touring is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, touring.cancel)
    async with world(
        directory, on_progress=lambda part: say(f"Запускаю: {part}"), panel_version=panel_version
    ) as here:
        return await tour(here, say=say)


@contextlib.contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """One sandbox to a state folder; the lock goes with the process, however it ends."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "sandbox.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(
                "Песочница уже работает.",
                f"Её папка занята: {directory}",
                "Откройте её адрес или остановите её Ctrl-C.",
            ) from None
        yield


def forget(directory: Path) -> None:
    """Throw the world of last time away; a server that outlived it is stopped first.

    The simulators forget everything when they stop, and a shop that remembers customers whom nobody
    else knows would be no example. A new world begins today.
    """
    Cluster(directory / "postgres").stop()
    for left in ("postgres", LOGS):
        shutil.rmtree(directory / left, ignore_errors=True)
    (directory / "clock").unlink(missing_ok=True)


async def _keep_alive(here: World) -> None:
    """Start the product again whenever it dies: that is what a supervisor does in real life."""
    while True:
        try:
            await here.revive()
        except Trouble:
            if not here.product.was_killed:
                raise
        await asyncio.sleep(0.5)
