"""The shop's own log files, read back: what went wrong, how often, and whether it is new.

Two lines are the same trouble when their event is, and, of an error with a traceback, its kind and the place
of ours where it is at home: numbers and names inside the texts differ from case to case.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from getpro.kit.places import OURS, place_of

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SUFFIXES: Final = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST_SAMPLE: Final = 200


@dataclass(frozen=True, slots=True)
class Line:
    at: datetime
    level: str
    event: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Trouble:
    """Lines that are the same trouble, of the time that was asked for."""

    event: str
    error: str
    """The kind of the exception; empty where there was none."""
    place: str
    """``module:function`` of ours, where it is at home."""
    level: str
    count: int
    first_at: datetime
    last_at: datetime
    is_new: bool
    """There is none before the time that was asked for."""
    sample: str


@dataclass(frozen=True, slots=True)
class Found:
    troubles: list[Trouble]
    lines: int
    """How many lines of that time there are, of any level."""
    unreadable: int
    """Lines that are none of ours, or were cut off."""
    oldest: datetime | None
    """Of all lines: what is older can be told neither new nor known."""


def duration(text: str) -> timedelta:
    """``30m``, ``24h``, ``7d``; raises ValueError."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal()) or unit not in _SUFFIXES:
        raise ValueError(text)
    return timedelta(**{_SUFFIXES[unit]: int(number)})


def files(directory: Path) -> list[Path]:
    """All log files, rotated ones too, oldest first."""
    return sorted(directory.glob("*.log*"), key=lambda path: path.stat().st_mtime)


def look(directory: Path, *, since: datetime, level: str = "ERROR") -> Found:
    """What of ``level`` and above the files hold since then, the most frequent first, new before known.

    Raises OSError where the files cannot be read.
    """
    severe = frozenset(LEVELS[LEVELS.index(level) :])
    troubles: dict[tuple[str, str, str], Trouble] = {}
    known: set[tuple[str, str, str]] = set()
    lines, unreadable, oldest = 0, 0, None
    for line in _lines(files(directory)):
        if line is None:
            unreadable += 1
            continue
        oldest = line.at if oldest is None else min(oldest, line.at)
        lines += line.at >= since
        if line.level not in severe:
            continue
        print_of = fingerprint(line)
        if line.at < since:
            known.add(print_of)
        elif print_of in troubles:
            _add(troubles[print_of], line)
        else:
            troubles[print_of] = Trouble(
                *print_of, line.level, 1, line.at, line.at, is_new=True, sample=_sample(line)
            )
    for print_of, trouble in troubles.items():
        trouble.is_new = print_of not in known
    return Found(
        sorted(troubles.values(), key=lambda trouble: (not trouble.is_new, -trouble.count)),
        lines,
        unreadable,
        oldest,
    )


def _lines(paths: Iterable[Path]) -> Iterator[Line | None]:
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                yield read(text)


def read(text: str) -> Line | None:
    """One line of a log, or None for what is none."""
    try:
        fields = json.loads(text)
        at = datetime.fromisoformat(fields["timestamp"])
        return Line(at, str(fields["level"]), str(fields["event"]), fields)
    except (ValueError, KeyError, TypeError):
        return None


def fingerprint(line: Line) -> tuple[str, str, str]:
    """Event, kind of the exception, and where in our code it is at home."""
    raised = line.fields.get("exception")
    if not isinstance(raised, list) or not raised:
        return line.event, str(line.fields.get("error") or ""), ""
    outermost = raised[0]
    place = place_of(
        (_module(frame["filename"]), frame["name"])
        for frame in outermost.get("frames", [])
        if f"/{OURS}/" in frame.get("filename", "")
    )
    return line.event, str(outermost.get("exc_type", "")), place


def _module(filename: str) -> str:
    inside = filename.rpartition(f"/{OURS}/")[2]
    return inside.removesuffix(".py").replace("/", ".")


def _add(trouble: Trouble, line: Line) -> None:
    trouble.count += 1
    trouble.first_at = min(trouble.first_at, line.at)
    if line.at >= trouble.last_at:
        trouble.last_at, trouble.sample, trouble.level = line.at, _sample(line), line.level


def _sample(line: Line) -> str:
    """The facts of one line, without what stands elsewhere."""
    elsewhere = {"timestamp", "level", "event", "logger", "exception", "error"}
    facts = " ".join(f"{name}={value}" for name, value in line.fields.items() if name not in elsewhere)
    return facts[:_LONGEST_SAMPLE]


def prune(directory: Path, *, before: datetime) -> list[Path]:
    """Delete the files whose last line is older than that, rotated ones too; return them."""
    old = [path for path in files(directory) if path.stat().st_mtime < before.timestamp()]
    for path in old:
        path.unlink()
    return old
