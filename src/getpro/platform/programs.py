"""Programs that we run beside us: gone, with whatever they have started, when nobody waits for them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; negative is the signal that ended it."""

    code: int
    said: bytes
    complained: str

    @property
    def last_words(self) -> str:
        """The last line that it complained with, or else said."""
        lines = f"{self.said.decode(errors='replace')}\n{self.complained}".split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "без объяснений")


async def run_program(
    *command: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Ended:
    """Run it to its end; raises OSError where it cannot be started. Cancelled, it is killed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )
    try:
        said, complained = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Ended(process.returncode or 0, said, complained.decode(errors="replace"))
