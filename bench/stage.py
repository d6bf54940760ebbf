"""What a measurement runs on: a database, the stand-ins and the bots, each a process of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.meter import resident_mib
from bench.people import SECRET
from getpro.platform.postgres import Cluster

ROOT: Final = Path(__file__).parent.parent
PYTHON: Final = str(ROOT / ".venv/bin/python")
"""With what a user has, and no more: the tests' libraries are not loaded."""
START_SECONDS: Final = 90


class NotReady(Exception):
    """A process ended, or did not answer in time; the text is its log's end."""


@dataclass(frozen=True)
class Stage:
    """The outside of a shop."""

    directory: Path
    database_url: str
    telegram: str
    panel: str
    yookassa: str

    @contextlib.contextmanager
    def shop(self, command: str = "run", **settings: str) -> Iterator["Running"]:
        """``2getpro <command>`` until the end of the block, ready to take updates."""
        port = free_port()
        environment = {
            "TELEGRAM_BOT_TOKEN": "1:bench",
            "TELEGRAM_API_URL": self.telegram,
            "TELEGRAM_WEBHOOK_SECRET": SECRET,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PANEL_URL": self.panel,
            "PANEL_TOKEN": "bench",
            "YOOKASSA_SHOP_ID": "1",
            "YOOKASSA_SECRET_KEY": "bench",
            "YOOKASSA_API_URL": f"{self.yookassa}/v3",
            "YOOKASSA_NETWORKS": "127.0.0.1/32",
            "DATABASE_URL": self.database_url,
            "GETPRO_PORT": str(port),
            "OPERATIONS_SYNTHETIC": "false",  # it is a shop's work that is measured
            **settings,
        }
        log = self.directory / f"{command}-{port}.log"
        with running(["-m", "getpro", command], port, "/health/ready", log, environment) as shop:
            yield shop

    @contextlib.contextmanager
    def empty_bot(self) -> Iterator["Running"]:
        """The bot that does nothing: the ceiling."""
        port = free_port()
        log = self.directory / f"empty-{port}.log"
        with running(["-m", "bench.empty_bot", str(port), self.telegram], port, "/", log) as bot:
            yield bot


@dataclass(frozen=True)
class Running:
    pid: int
    address: str
    ready_seconds: float
    """From the start of the process to its first answer."""

    @property
    def updates(self) -> str:
        return f"{self.address}/webhooks/telegram"

    def resident_mib(self) -> float:
        return resident_mib(self.pid)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """A new, migrated database as the product makes it, and the three stand-ins; gone after the block."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="2getpro-bench-")))
        directory.chmod(0o755)  # the server may run as another user
        url = stack.enter_context(Cluster.running(directory / "postgres"))
        _migrate(url)
        outside = {}
        for name in ("telegram", "panel", "yookassa"):
            port = free_port()
            command = ["-m", f"bench.standins.{name}", "--port", str(port)]
            log = directory / f"{name}.log"
            outside[name] = stack.enter_context(running(command, port, "/", log)).address
        yield Stage(directory, url, **outside)


def _migrate(url: str) -> None:
    environment = _environment({"DATABASE_URL": url})
    subprocess.run([PYTHON, "-m", "getpro", "migrate"], check=True, env=environment, capture_output=True)


@contextlib.contextmanager
def running(
    command: list[str], port: int, probe: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A Python process until the end of the block; it has answered at ``probe``. Raises NotReady."""
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PYTHON, *command],
            env=_environment(environment or {}),
            stdout=output,
            stderr=output,
            cwd=log.parent,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        while not _answers(address + probe):
            if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                raise NotReady(f"{command}: {log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.01)
        yield Running(process.pid, address, time.monotonic() - started)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": path} | dict(more)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 -- our own address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # noqa: PLR2004 -- 404 of a bot that has no such page is an answer
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port
