"""This machine: its clock against the outside's, the room on its disks."""

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import aiohttp

from getpro.checks.check import Finding, Line
from getpro.checks.outside import glance, why
from getpro.kit.trouble import system_words

CLOCK: Final = Line("machine.clock", "Часы")
DISK: Final = Line("machine.disk", "Диск")
_SKEW_ATTENTION_SECONDS: Final = 5
_SKEW_WRONG_SECONDS: Final = 60
_PURPOSES: Final = {"data": "данные", "logs": "журналы", "backups": "копии"}
_GIB: Final = 1024**3
_ROOM_ATTENTION: Final = 0.10
_ROOM_WRONG: Final = 0.03
_BYTES_WRONG: Final = _GIB // 2


async def look_at_clock(address: str, proxy: str | None) -> AsyncIterator[Finding]:
    """By the ``Date`` of whoever answers at ``address``."""
    try:
        seen = await glance(address, proxy=proxy)
    except (aiohttp.ClientError, OSError) as error:
        yield CLOCK.unknown(f"не с чем сверить: {why(error)}", "Проверьте сеть и повторите; timedatectl.")
        return
    if seen.skew_seconds is None:
        yield CLOCK.unknown("не с чем сверить: в ответе нет времени", "Посмотрите timedatectl.")
    else:
        yield judged_clock(CLOCK, seen.skew_seconds, "по ответу Telegram")


def judged_clock(line: Line, skew_seconds: float, against: str) -> Finding:
    """``skew_seconds``: how far the other clock is ahead of ours."""
    if abs(skew_seconds) < _SKEW_ATTENTION_SECONDS:
        return line.ok(f"идут верно {against}")
    seen = f"{'отстают' if skew_seconds > 0 else 'спешат'} на {abs(skew_seconds):.0f} с {against}"
    remedy = "Включите синхронизацию времени: timedatectl set-ntp true."
    is_wrong = abs(skew_seconds) >= _SKEW_WRONG_SECONDS
    return line.wrong(seen, remedy) if is_wrong else line.attention(seen, remedy)


async def look_at_disks(folders: Mapping[str, Path]) -> AsyncIterator[Finding]:
    """``folders`` by their purpose; of one that is not there the disk is told on which it would be made."""
    for purpose, folder in folders.items():
        line = Line(f"machine.disk.{purpose}", f"Диск: {_PURPOSES[purpose]}")
        try:
            there = next(path for path in (folder, *folder.parents) if path.exists())
            room = os.statvfs(there)
            where = f"{folder}" if there == folder else f"{folder}: папки ещё нет, на её диске"
        except OSError as error:
            yield line.unknown(
                f"{folder}: {system_words(error)}", "Запустите от того пользователя, что и магазин."
            )
            continue
        if not room.f_blocks:  # /proc and its like
            yield line.wrong(f"{folder}: это не место для файлов", "Укажите папку на диске.")
            continue
        free = room.f_bavail * room.f_frsize
        shares = {"места": room.f_bavail / room.f_blocks}
        if room.f_files:  # some file systems do not count them
            shares["файловых записей (inodes)"] = room.f_favail / room.f_files
        yield judged_room(line, where, free, shares)


def judged_room(line: Line, where: str, free: int, shares: Mapping[str, float]) -> Finding:
    what, least = min(shares.items(), key=lambda item: item[1])
    gigabytes = f"{free / _GIB:.1f}".replace(".", ",")
    seen = f"{where}: свободно {gigabytes} ГБ"
    if least < _ROOM_ATTENTION:
        seen += f", {what} осталось {least:.0%}"
    if least < _ROOM_WRONG or free < _BYTES_WRONG:
        return line.wrong(seen, "Освободите место; что занимает его: du -xh / | sort -h | tail.")
    if least < _ROOM_ATTENTION:
        return line.attention(seen, "Освободите место или увеличьте диск.")
    return line.ok(seen)
