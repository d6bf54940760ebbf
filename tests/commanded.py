"""The product as an operator starts it: by its own command, with settings from the environment."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from getpro.sandbox.shop.world import Product

SOURCE = Path(__file__).parents[1] / "src"
OWN_NAMES = {
    "time_zone": "GETPRO_TIME_ZONE",
    "listen_host": "GETPRO_HOST",
    "listen_port": "GETPRO_PORT",
    "metrics_port": "GETPRO_METRICS_PORT",
}


def as_environment(settings: dict[str, Any]) -> dict[str, str]:
    """What an operator would write into ``.env`` for these settings."""
    named: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            named |= {f"{name}_{field}".upper(): _written(inner) for field, inner in value.items()}
        elif value is not None:
            named[OWN_NAMES.get(name, name.upper())] = _written(value)
    return named


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@dataclass
class Commanded(Product):
    """``2getpro run``, which also logs into files; ``more`` are settings beside the sandbox's."""

    more: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.settings_file.parent

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def settings(self) -> dict[str, str]:
        values = json.loads(self.settings_file.read_text(encoding="utf-8"))
        return as_environment(values) | {"GETPRO_LOG_DIR": str(self.logs)} | self.more

    async def start(self, *_: str) -> None:
        self.has_answered = False
        self.process = await self._begin("run", output=self.log_file)
        self.starts += 1
        await self.wait_ready()

    async def command(self, *arguments: str) -> str:
        """Another command with the same settings; what it says, to whichever stream."""
        file = self.folder / "said.txt"
        file.unlink(missing_ok=True)
        process = await self._begin(*arguments, output=file)
        await process.wait()
        return file.read_text(encoding="utf-8")

    async def _begin(self, *arguments: str, output: Path) -> asyncio.subprocess.Process:
        with output.open("ab") as file:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "getpro", *arguments),
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)} | self.settings,
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
