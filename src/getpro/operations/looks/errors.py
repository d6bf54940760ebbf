"""The log of the last day: what went wrong, new before known."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.kit.trouble import system_words
from getpro.operations import logs
from getpro.platform.logging import is_written

ERRORS: Final = Line("logs.errors", "Ошибки в журнале")
_SHOWN: Final = 5
_ONCE_MORE_SECONDS: Final = 3
_NUMBERED: Final = re.compile(r"-\d+$")


async def look(directory: Path | None, *, now: datetime, span: timedelta) -> AsyncIterator[Finding]:
    """A process whose file has not a single line writes elsewhere, or not at all: it is red."""
    if directory is None:
        yield ERRORS.attention("журнала в файлах нет", "Задайте GETPRO_LOG_DIR и перезапустите магазин.")
        return
    try:
        found = await asyncio.to_thread(logs.look, directory, since=now - span)
        if _silent(found, directory):  # a machine that has just woken up: each is about to say that it lives
            await asyncio.sleep(_ONCE_MORE_SECONDS)
            found = await asyncio.to_thread(logs.look, directory, since=now - span)
        silent = _silent(found, directory)
    except OSError as error:
        yield ERRORS.unknown(f"{directory}: {system_words(error)}", "Проверьте GETPRO_LOG_DIR и права.")
        return
    for name in silent:
        yield ERRORS.unknown(
            f"в {directory / name}.log за это время ни одной строки",
            "Процесс работает? Туда ли он пишет? Если такого больше нет, удалите файл.",
        )
    if not found.lines and not silent:
        yield ERRORS.unknown(
            f"в {directory} за это время ни одной строки", "Магазин работает? Туда ли он пишет?"
        )
        return
    for writer in found.writers:
        if writer.oldest is not None and writer.forgets(now - span):
            hours = (now - writer.oldest).total_seconds() / 3600
            yield ERRORS.attention(
                f"{writer.name}.log: файлов хватает на {hours:.0f} ч, прежних ошибок не видно",
                "Узнайте, что пишет так много: 2getpro logs --since 1h --level info",
            )
    for trouble in found.troubles[:_SHOWN]:
        what = " ".join(filter(None, (trouble.event, trouble.error, trouble.place)))
        if trouble.is_new:
            yield ERRORS.wrong(f"новое, {trouble.count} раз: {what}", "2getpro logs --since 24h")
        else:
            yield ERRORS.attention(f"уже бывало, {trouble.count} раз: {what}", "2getpro logs --since 24h")
    if len(found.troubles) > _SHOWN:
        yield ERRORS.attention(f"и ещё {len(found.troubles) - _SHOWN}", "2getpro logs --since 24h")
    if not found.troubles and not silent:
        yield ERRORS.ok(f"ни одной, строк {found.lines}")


def _silent(found: logs.Found, directory: Path) -> list[str]:
    return [writer.name for writer in found.writers if not writer.lines and _is_owned(directory, writer.name)]


def _is_owned(directory: Path, name: str) -> bool:
    """Whether it is for a process to write there: ``worker-2`` only while there is a second one."""
    path = directory / f"{name}.log"
    return path.exists() and (_NUMBERED.search(name) is None or is_written(path))
