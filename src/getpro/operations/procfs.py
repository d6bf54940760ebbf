"""What Linux tells of itself in /proc. Everything raises Unreadable, with the reason in words."""

from pathlib import Path
from typing import Final, NamedTuple

from getpro.kit.trouble import system_words

PROC: Final = Path("/proc")


class Unreadable(Exception):
    """The text says which file and why."""


class Memory(NamedTuple):
    """Bytes. ``available`` is what programs could still have, as ``free -h`` calls it."""

    total: int
    available: int
    swapped: int


def memory(proc: Path = PROC) -> Memory:
    fields = _fields(proc / "meminfo")
    try:
        kilobytes = {name: int(value) for name, value in fields.items()}
        swapped = kilobytes.get("SwapTotal", 0) - kilobytes.get("SwapFree", 0)
        found = Memory(kilobytes["MemTotal"] * 1024, kilobytes["MemAvailable"] * 1024, swapped * 1024)
    except (KeyError, ValueError):
        found = Memory(0, 0, 0)
    if not found.total:
        raise Unreadable(f"{proc}/meminfo не разобрать")
    return found


def load(proc: Path = PROC) -> float:
    """How many have worked or waited for a core, on average of fifteen minutes."""
    try:
        return float(_text(proc / "loadavg").split()[2])
    except (ValueError, IndexError):
        raise Unreadable(f"{proc}/loadavg не разобрать") from None


def oom_kills(proc: Path = PROC) -> int:
    """How many processes the kernel has killed for want of memory since it has started."""
    return _number(proc / "vmstat", "oom_kill")


def booted_at(proc: Path = PROC) -> int:
    """When the machine has started, in seconds of Unix."""
    return _number(proc / "stat", "btime")


def _number(path: Path, name: str) -> int:
    try:
        return int(_fields(path)[name])
    except (KeyError, ValueError):
        raise Unreadable(f"{path}: нет {name}") from None


def _fields(path: Path) -> dict[str, str]:
    """Lines such as ``MemTotal: 24 kB`` and ``oom_kill 0``: the name, and the first word after it."""
    words = [line.split() for line in _text(path).splitlines()]
    return {line[0].removesuffix(":"): line[1] for line in words if len(line) > 1}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise Unreadable(f"{path}: {system_words(error)}") from None
