"""A terminal for tests: a command runs in it, a person reads and types."""

import asyncio
import contextlib
import os
import pty
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from waiting import until

SOURCE = Path(__file__).parents[1] / "src"
CTRL_C = b"\x03"
CTRL_D = b"\x04"


class Terminal:
    def __init__(self, process: asyncio.subprocess.Process, screen: int) -> None:
        self._process = process
        self._screen = screen
        self._read = 0
        self._raw = b""

    @property
    def text(self) -> str:
        """Everything that was shown."""
        return self._raw.decode(errors="replace")

    def look(self) -> None:
        self._raw += os.read(self._screen, 65536)

    async def sees(self, text: str) -> None:
        """Wait for ``text`` after what was seen before."""
        try:
            await until(lambda: text in self.text[self._read :], seconds=30)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not shown; instead: {self.text[self._read :]}") from None
        self._read = self.text.index(text, self._read) + len(text)

    def types(self, line: str = "") -> None:
        os.write(self._screen, line.encode() + b"\n")

    async def answers(self, question: str, *lines: str) -> None:
        """Type ``lines``, one each time the question comes."""
        for line in lines:
            await self.sees(question)
            await asyncio.sleep(0.05)  # a hidden answer is thrown away if typed before the echo is off
            self.types(line)

    async def leaves(self, by: bytes = CTRL_C) -> int:
        """Press that until the command has ended; its exit code.

        Whoever is not heard presses once more: what is typed just as a hidden question comes is thrown away.
        """
        async with asyncio.timeout(30):
            while self._process.returncode is None:
                os.write(self._screen, by)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), 2)
        return self._process.returncode

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ended(self) -> int:
        """The exit code."""
        return await asyncio.wait_for(self._process.wait(), 30)


@contextlib.asynccontextmanager
async def terminal(*command: str, cwd: Path, **settings: str) -> AsyncIterator[Terminal]:
    """``2getpro`` in a terminal of its own while the block runs; ``settings`` are all its environment."""
    screen, keyboard = pty.openpty()
    plain = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "LANG": "C.UTF-8", "COLUMNS": "100"}
    process = await asyncio.create_subprocess_exec(
        # Who leads a session and opens a terminal has it as its own: hidden answers are typed there. A test
        # that was itself begun in the background would hand down that Ctrl-C is to be ignored.
        *("env", "--default-signal=INT", "sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(keyboard)),
        *(sys.executable, "-m", "getpro", *command),
        cwd=cwd,
        env=plain | {"TERM": "xterm"} | settings,
        start_new_session=True,
    )
    shown = Terminal(process, screen)
    asyncio.get_running_loop().add_reader(screen, shown.look)
    try:
        yield shown
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(screen)
        os.close(keyboard)
        os.close(screen)
