"""The log of the last day: what went wrong, new before known."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.kit.trouble import system_words
from getpro.operations import logs

ERRORS: Final = Line("logs.errors", "Ошибки в журнале")
_SHOWN: Final = 5


async def look(directory: Path | None, *, now: datetime, span: timedelta) -> AsyncIterator[Finding]:
    """A log without a single line is nobody's log: it is red."""
    if directory is None:
        yield ERRORS.attention("журнала в файлах нет", "Задайте GETPRO_LOG_DIR и перезапустите магазин.")
        return
    try:
        found = await asyncio.to_thread(logs.look, directory, since=now - span)
    except OSError as error:
        yield ERRORS.unknown(f"{directory}: {system_words(error)}", "Проверьте GETPRO_LOG_DIR и права.")
        return
    if not found.lines:
        yield ERRORS.unknown(
            f"в {directory} за это время ни одной строки", "Магазин работает? Туда ли он пишет?"
        )
        return
    for trouble in found.troubles[:_SHOWN]:
        what = " ".join(filter(None, (trouble.event, trouble.error, trouble.place)))
        if trouble.is_new:
            yield ERRORS.wrong(f"новое, {trouble.count} раз: {what}", "2getpro logs --since 24h")
        else:
            yield ERRORS.attention(f"уже бывало, {trouble.count} раз: {what}", "2getpro logs --since 24h")
    if len(found.troubles) > _SHOWN:
        yield ERRORS.attention(f"и ещё {len(found.troubles) - _SHOWN}", "2getpro logs --since 24h")
    if not found.troubles:
        yield ERRORS.ok(f"ни одной, строк {found.lines}")
