"""The product of the crash tests: the real one, forked from a process that has imported it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from getpro.sandbox.shop.clock import FILE_VARIABLE, HOW, installed_library, tidy
from getpro.sandbox.shop.world import Product

SOURCE = Path(__file__).parents[2] / "src"


class Preloaded:
    """The process that forks."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def fork(self, arguments: list[str], log: Path, environment: dict[str, str]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"arguments": arguments, "log": str(log), "clock": environment.get(FILE_VARIABLE)}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        return int(await self._process.stdout.readline())


@contextlib.asynccontextmanager
async def preloaded() -> AsyncIterator[Preloaded]:
    library = installed_library()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("preloaded.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)}
        | ({} if library is None else {"LD_PRELOAD": str(library), **HOW}),
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    try:
        yield Preloaded(process)
    finally:
        process.kill()
        await process.wait()
        tidy()


class ForkedProduct(Product):
    """A product that is a grandchild: known by its pid."""

    def __init__(self, settings_file: Path, url: str, log_file: Path, *, parent: Preloaded) -> None:
        super().__init__(settings_file, url, log_file)
        self._parent = parent
        self._pid = 0

    async def start(self, *arguments: str) -> None:
        self._pid = await self._parent.fork(
            [str(self.settings_file), *arguments], self.log_file, self.environment
        )
        self.starts += 1
        if "--crash-at" not in arguments:
            await self.wait_ready()

    @property
    def is_running(self) -> bool:
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return self._pid != 0

    async def stop(self) -> None:
        if self.is_running:
            os.kill(self._pid, signal.SIGTERM)
            if not await self.died(within_seconds=20):
                await self.kill()

    async def kill(self) -> None:
        if self.is_running:
            os.kill(self._pid, signal.SIGKILL)
            assert await self.died(within_seconds=10)

    async def died(self, *, within_seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + within_seconds
        while self.is_running:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True


def forked(parent: Preloaded) -> Callable[[Path, str, Path], Product]:
    return lambda settings, url, log: ForkedProduct(settings, url, log, parent=parent)
