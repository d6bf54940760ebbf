"""What processes use, by /proc: CPU and memory; and how busy the machine was beside them."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_IDLE: Final = (3, 4)
"""Where idle and waiting time stand in /proc/stat."""
_STOLEN: Final = 7


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used between two looks."""

    wall_seconds: float
    cpu_seconds: float
    machine_busy: float
    """The share of the machine's CPU time that was used, by anybody."""


class Meter:
    """Looks at processes from its making on."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = list(pids)
        self._started = time.monotonic()
        self._cpu = sum(map(cpu_seconds, self._pids))
        self._machine = _machine()

    def read(self) -> Spent:
        busy, total = (now - before for now, before in zip(_machine(), self._machine, strict=True))
        return Spent(
            time.monotonic() - self._started,
            sum(map(cpu_seconds, self._pids)) - self._cpu,
            busy / max(1, total),
        )


def cpu_seconds(pid: int) -> float:
    """Of the process and of its children that have ended."""
    return sum(map(int, _stat(pid)[11:15])) / _TICKS


def resident_mib(pid: int) -> float:
    return int(_stat(pid)[21]) * _PAGE / 2**20


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _machine() -> tuple[int, int]:
    """Ticks of CPU that were used and that there were, since the machine has started."""
    ticks = _times()
    return sum(ticks) - sum(ticks[at] for at in _IDLE), sum(ticks)


def _times() -> list[int]:
    first = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0]
    return [int(field) for field in first.split()[1:9]]


class Thief:
    """What the machine's host takes of its CPU time from now on: a virtual machine waits for its turn."""

    def __init__(self) -> None:
        self._before = _times()

    def share(self) -> float:
        """From 0 to 1."""
        spent = [now - before for now, before in zip(_times(), self._before, strict=True)]
        return spent[_STOLEN] / max(1, sum(spent))


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the values lie, e.g. 0.95; nan where there is none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
