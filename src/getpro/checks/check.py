"""A check: one thing that is looked at, and what was found there, a line each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

log = structlog.get_logger(__name__)

CHECK_SECONDS: Final = 8
"""For a whole check; a call outside is given less, so that several fit."""
CALL_SECONDS: Final = 4


class Level(StrEnum):
    """From best to worst. What could not be checked is as red as what is wrong."""

    ABSENT = "absent"
    """There is nothing of the kind here, so that nobody has to look: it colours nothing."""
    OK = "ok"
    ATTENTION = "attention"
    UNKNOWN = "unknown"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen at one line."""

    name: str
    title: str
    level: Level
    seen: str
    remedy: str = ""
    """What to do; empty where there is nothing to be done."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: its name for programs, its title for people. Whatever is not well has a remedy."""

    name: str
    title: str

    def ok(self, seen: str) -> Finding:
        return Finding(self.name, self.title, Level.OK, seen)

    def absent(self, seen: str) -> Finding:
        return Finding(self.name, self.title, Level.ABSENT, seen)

    def attention(self, seen: str, remedy: str) -> Finding:
        return Finding(self.name, self.title, Level.ATTENTION, seen, remedy)

    def wrong(self, seen: str, remedy: str) -> Finding:
        return Finding(self.name, self.title, Level.WRONG, seen, remedy)

    def unknown(self, seen: str, remedy: str) -> Finding:
        """It could not be checked."""
        return Finding(self.name, self.title, Level.UNKNOWN, seen, remedy)


@dataclass(frozen=True, slots=True)
class Check:
    """``look`` gives its lines as it finds them: what it knew before it got stuck is kept."""

    line: Line
    """Of the check as a whole: for what goes wrong with looking itself."""
    look: Callable[[], AsyncIterator[Finding]]


async def run(
    checks: Sequence[Check],
    *,
    seconds: float = CHECK_SECONDS,
    on_progress: Callable[[list[str]], object] = lambda _: None,
) -> list[Finding]:
    """Carry out all checks at once and return their findings in the order of the checks.

    ``on_progress`` is told the titles of those that are under way. A check that hangs or breaks hides no
    other: its line says that it could not be checked.
    """
    waiting = [check.line.title for check in checks]

    async def one(check: Check) -> list[Finding]:
        found = await _looked(check, seconds)
        waiting.remove(check.line.title)
        on_progress(waiting)
        return found

    on_progress(waiting)
    found = await asyncio.gather(*(one(check) for check in checks))
    return [finding for findings in found for finding in findings]


async def _looked(check: Check, seconds: float) -> list[Finding]:
    found: list[Finding] = []
    try:
        async with asyncio.timeout(seconds):
            async for finding in check.look():
                found.append(finding)  # noqa: PERF401 -- what was found before the time was up is kept
    except TimeoutError:
        found.append(
            check.line.unknown(
                f"не проверено за {seconds:g} с", "Повторите позже; проверьте сеть и нагрузку."
            )
        )
    except Exception as error:
        # One broken check must not hide the others. No text on the screen: it may hold a secret.
        log.exception("checks.broken", check=check.line.name)
        found.append(
            check.line.unknown(
                f"проверка сломалась: {type(error).__name__}",
                "Это ошибка программы: сообщите о ней, остальные строки верны.",
            )
        )
    return found


def worst(findings: Sequence[Finding]) -> Level:
    """The level of the whole; OK where no check was made."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)
