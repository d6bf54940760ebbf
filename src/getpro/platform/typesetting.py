"""Pictures and papers of Typst's source."""

import asyncio
import sys
from pathlib import Path
from typing import Final

from getpro.platform.programs import run_program

_TYPESETTER: Final = Path(__file__).with_name("typesetter.py")
_SECONDS: Final = 30
"""It takes less than one."""
_PNG: Final = b"\x89PNG"
_PDF: Final = b"%PDF-"


class NotDrawn(Exception):
    """The text says why."""


async def draw(source: str) -> bytes:
    """A PNG of Typst's source; raises NotDrawn."""
    return await _made(source, _PNG)


async def paper(source: str) -> bytes:
    """A PDF of Typst's source; raises NotDrawn."""
    return await _made(source, _PDF, "pdf")


async def _made(source: str, begins: bytes, *arguments: str) -> bytes:
    try:
        async with asyncio.timeout(_SECONDS):
            # -P: what lies beside that program is ours, and none of its libraries.
            ended = await run_program(sys.executable, "-P", _TYPESETTER, *arguments, stdin=source.encode())
    except TimeoutError as error:
        raise NotDrawn(f"не готово за {_SECONDS} с") from error
    except OSError as error:
        raise NotDrawn(type(error).__name__) from error
    if ended.code != 0 or not ended.said.startswith(begins):
        raise NotDrawn(ended.last_words)
    return ended.said
