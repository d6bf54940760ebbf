"""How soon a process is ready, and what it keeps in memory, beside one that only imports the libraries."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.meter import resident_mib
from bench.stage import PYTHON, ROOT, Stage

REST_SECONDS = 5


@dataclass(frozen=True)
class Size:
    ready_seconds: float
    resident_mib: float
    """After some seconds of rest."""


def of_imports() -> Size:
    with _imports() as (process, seconds):
        return Size(seconds, resident_mib(process.pid))


def of_shop(stage: Stage) -> Size:
    with stage.shop() as shop:
        time.sleep(REST_SECONDS)
        return Size(shop.ready_seconds, shop.resident_mib())


@contextlib.contextmanager
def _imports() -> Iterator[tuple["subprocess.Popen[bytes]", float]]:
    started = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [PYTHON, "-m", "bench.imports_only"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process, time.monotonic() - started
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
