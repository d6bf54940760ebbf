"""The product as two processes, with its settings from the environment, as on several machines."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field

from commanded import SOURCE, as_environment
from getpro.sandbox.shop.world import Product


@dataclass
class Apart(Product):
    """``web`` and ``worker``; each may be killed and started by itself."""

    more: dict[str, str] = field(default_factory=dict)
    """Settings beside those of the sandbox."""
    metrics_ports: dict[str, int] = field(default_factory=dict)
    """Of ``web`` and ``worker``; a missing one is taken free."""
    parts: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    exit_codes: tuple[int | None, ...] = ()

    async def start(self, *_: str) -> None:
        for name in ("web", "worker"):
            await self.start_part(name)
        await self.wait_ready()

    async def start_part(self, name: str) -> None:
        settings = json.loads(self.settings_file.read_text(encoding="utf-8"))
        settings["telegram"]["webhook_secret"] = "one-secret-for-all-processes"
        settings["metrics_port"] = self.metrics_ports.get(name, 0)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)} | as_environment(settings)
        with self.log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "getpro", name),
                env=environment | self.environment | self.more,
                stdout=log,
                stderr=log,
            )
        self.parts[name] = process
        if name == "web":
            self.process = process

    async def kill_part(self, name: str) -> None:
        self.parts[name].kill()
        await self.parts[name].wait()

    async def stop(self) -> None:
        for process in self.parts.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        self.exit_codes = tuple(await asyncio.gather(*(process.wait() for process in self.parts.values())))
