"""The sandbox's clock: it runs with the real one, some seconds ahead, and can only be moved forward.

PostgreSQL and the product see it by libfaketime, which reads how far ahead from a file whenever a second
begins; the simulators are handed it. So all of them see one clock, also on connections that are open.
"""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from getpro.platform.postgres.account import server_account

LONGEST_MOVE_SECONDS: Final = 400 * 24 * 3600
LAST_YEAR: Final = 2099
FILE_VARIABLE: Final = "FAKETIME_TIMESTAMP_FILE"
HOW: Final = {
    "FAKETIME_CACHE_DURATION": "0",  # until the second is over
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "NO_FAKE_STAT": "1",
}
"""What the library is told beside the file."""
_WHEEL: Final = "libfaketime"
_LIBRARY: Final = "vendor/libfaketime/src/libfaketime.so.1"
_WRITTEN_AHEAD_SECONDS: Final = 0.02
"""Before a second begins: that long nobody knows which clock a process sees."""
_SHARED: Final = Path("/dev/shm")  # noqa: S108 -- where the library leaves its own files


class CannotMove(ValueError):
    """The clock cannot be moved so; the text says why, for people."""


class SandboxClock:
    """The clock of one state folder; what it was moved to stays when everything is killed."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self._library = directory / "libfaketime.so.1"
        self._moving = asyncio.Lock()
        try:
            self.is_movable = self._install()
        except OSError:  # the database has the better words for what is wrong with the folder
            self.is_movable = False
        self.ahead_seconds = self._read() if self.is_movable else 0
        if self.is_movable and not self._file.exists():
            self._write(0)

    def __call__(self) -> datetime:
        """The sandbox's present moment, aware, UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead_seconds)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be on this clock; its monotonic clock and files stay true."""
        return self._environment(self._file) if self.is_movable else {}

    async def move(self, seconds: int) -> datetime:
        """Move forward and return the new moment, once every process is there; raises CannotMove."""
        async with self._moving:
            self._check(seconds)
            await asyncio.sleep((1 - time.time() - _WRITTEN_AHEAD_SECONDS) % 1)
            self._write(self.ahead_seconds + seconds)
            await asyncio.sleep(-time.time() % 1)
            self.ahead_seconds += seconds
            return self()

    def _check(self, seconds: int) -> None:
        if not self.is_movable:
            raise CannotMove("Часы здесь не переводятся: libfaketime на этой системе не работает.")
        if seconds <= 0:
            raise CannotMove("Часы идут только вперёд.")
        if seconds > LONGEST_MOVE_SECONDS:
            raise CannotMove(f"За один раз не дальше {LONGEST_MOVE_SECONDS // 86400} дней.")
        if (self() + timedelta(seconds=seconds)).year > LAST_YEAR:
            raise CannotMove(f"Дальше {LAST_YEAR} года часы не идут.")

    def _install(self) -> bool:
        """Put the library where the database's user can read it; whether it works there."""
        source = installed_library()
        if source is None:
            return False
        self._library.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._library.with_suffix(".fresh")
        shutil.copyfile(source, fresh)
        fresh.chmod(0o755)
        fresh.replace(self._library)  # the old one may be in use
        return self._works()

    def _works(self) -> bool:
        """Ask ``date``, as the user of the database, on a clock that is a year ahead."""
        ahead, trial = 365 * 86400, self._file.with_name("clock.trial")
        _put(trial, ahead)
        try:
            said = subprocess.run(
                ["date", "+%s"],  # noqa: S607 -- the system's
                check=False,
                capture_output=True,
                text=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), **self._environment(trial)},
                **server_account().as_user(),
            ).stdout.strip()
        finally:
            trial.unlink()
            tidy()
        return said.isdecimal() and abs(int(said) - time.time() - ahead) < 60

    def _environment(self, file: Path) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), FILE_VARIABLE: str(file), **HOW}

    def _read(self) -> int:
        try:
            return max(int(self._file.read_text(encoding="ascii")), 0)
        except (FileNotFoundError, ValueError):
            return 0

    def _write(self, ahead_seconds: int) -> None:
        fresh = self._file.with_suffix(".fresh")
        _put(fresh, ahead_seconds)
        fresh.replace(self._file)


def installed_library() -> Path | None:
    """The library as its wheel has it; None where there is none."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return None
    library = Path(spec.origin).parent / _LIBRARY
    return library if library.exists() else None


def tidy() -> None:
    """Remove what the library left in shared memory for processes that have ended."""
    for left in _SHARED.glob("*faketime_s*_*"):
        pid = left.name.rpartition("_")[2]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                left.unlink()


def _put(path: Path, ahead_seconds: int) -> None:
    path.write_text(f"+{ahead_seconds}\n", encoding="ascii")
    path.chmod(0o644)
