"""This machine: its memory, and how busy it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.kit.trouble import system_words

MEMORY: Final = Line("machine.memory", "Память")
LOAD: Final = Line("machine.load", "Нагрузка")
PROC: Final = Path("/proc")
_SCARCE: Final = 0.10
_NONE_LEFT: Final = 0.03
_MIB: Final = 1024**2
_BUSY: Final = 2.0
"""Waiting for a core, each."""


async def look_at_memory(proc: Path = PROC) -> AsyncIterator[Finding]:
    """What programs could still have, as ``free -h`` calls available."""
    try:
        text = await asyncio.to_thread((proc / "meminfo").read_text)
        fields = {name: int(value) * 1024 for name, value in _parts(text)}
        share = fields["MemAvailable"] / fields["MemTotal"]
    except OSError as error:
        yield MEMORY.unknown(f"{proc}/meminfo: {system_words(error)}", "Посмотрите сами: free -h.")
        return
    except (KeyError, ValueError, ZeroDivisionError):
        yield MEMORY.unknown(f"{proc}/meminfo не разобрать", "Посмотрите сами: free -h.")
        return
    seen = f"свободно {fields['MemAvailable'] // _MIB} МБ из {fields['MemTotal'] // _MIB}, {share:.0%}"
    if swap := fields.get("SwapTotal", 0) - fields.get("SwapFree", 0):
        seen += f"; в подкачке {swap // _MIB} МБ"
    remedy = "Найдите, кто её занял: ps aux --sort=-rss | head."
    if share < _NONE_LEFT:
        yield MEMORY.wrong(seen, remedy)
    elif share < _SCARCE:
        yield MEMORY.attention(seen, remedy)
    else:
        yield MEMORY.ok(seen)


async def look_at_load(cores: int, proc: Path = PROC) -> AsyncIterator[Finding]:
    try:
        text = await asyncio.to_thread((proc / "loadavg").read_text)
        quarter = float(text.split()[2])
    except (OSError, ValueError, IndexError) as error:
        words = system_words(error) if isinstance(error, OSError) else "не разобрать"
        yield LOAD.unknown(f"{proc}/loadavg: {words}", "Посмотрите сами: uptime.")
        return
    seen = f"за 15 минут {quarter:.1f} на {cores} ядра".replace(".", ",")
    yield LOAD.attention(seen, "Найдите, кто занят: top.") if quarter > _BUSY * cores else LOAD.ok(seen)


def _parts(text: str) -> list[tuple[str, str]]:
    """Lines such as ``MemTotal: 24 kB``: the name, and the first word after it."""
    words = [line.split() for line in text.splitlines()]
    return [(line[0].removesuffix(":"), line[1]) for line in words if len(line) > 1]
