"""The shop's own log files, read back: what went wrong, how often, and whether it is new.

Two lines are the same trouble when their event is, and, of an error with a traceback, its kind and the place
of ours where it is at home: numbers and names inside the texts differ from case to case.
"""

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from getpro.kit.places import OURS, place_of
from getpro.platform.logging import KEPT_FILES

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SUFFIXES: Final = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST_SAMPLE: Final = 200
_TIMESTAMP: Final = b'"timestamp": "'
_BEGUN: Final = b'"ops.begun"'
"""The event by which a routine says that it begins."""


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


@dataclass(slots=True)
class Writer:
    """What one process has written, in its file and in those that it rotated."""

    name: str
    lines: int = 0
    """How many of that time, of any level. A routine that has just begun does not count: it would answer, by
    looking, for the process that it runs in.
    """
    oldest: datetime | None = None
    is_full: bool = False
    """So many files are kept that an older one has gone."""

    def forgets(self, since: datetime) -> bool:
        """Whether lines of that time may have gone: their errors are missed, and known ones look new."""
        return self.is_full and self.oldest is not None and self.oldest > since


@dataclass(frozen=True, slots=True)
class Found:
    troubles: list[Trouble]
    lines: int
    """How many lines of that time there are, of any level."""
    unreadable: int
    """Lines in the files of that time that are none of ours, or were cut off."""
    writers: list[Writer]


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

    Raises OSError where the files cannot be read. They may be a gigabyte, read beside a shop that serves:
    only what may be of that level is parsed, and the lines of a file that has ended before are not counted.
    """
    severe = frozenset(LEVELS[LEVELS.index(level) :])
    troubles: dict[tuple[str, str, str], Trouble] = {}
    known: set[tuple[str, str, str]] = set()
    writers: dict[str, Writer] = {}
    lines = unreadable = 0
    for path in files(directory):
        name = path.name.partition(".log")[0]
        writer = writers.setdefault(name, Writer(name))
        writer.is_full |= path.name == f"{name}.log.{KEPT_FILES}"
        content = path.read_bytes()
        last = _moment(content[content.rfind(b"\n", 0, -1) + 1 :])
        has_ended = last is not None and last < since
        for severe_text in _lines_with([f'"{word}"'.encode() for word in severe], content):
            line = read(severe_text)
            if line is not None and line.level in severe:
                _sort_in(line, troubles, known, since)
        for text in io.BytesIO(content):
            at = _moment(text)
            if at is None:
                unreadable += not has_ended
                continue
            writer.oldest = at if writer.oldest is None else min(writer.oldest, at)
            if has_ended:
                break
            if at >= since:
                lines += 1
                writer.lines += _BEGUN not in text
    for print_of, trouble in troubles.items():
        trouble.is_new = print_of not in known
    return Found(
        sorted(troubles.values(), key=lambda trouble: (not trouble.is_new, -trouble.count)),
        lines,
        unreadable,
        list(writers.values()),
    )


def _sort_in(
    line: Line,
    troubles: dict[tuple[str, str, str], Trouble],
    known: set[tuple[str, str, str]],
    since: datetime,
) -> None:
    print_of = fingerprint(line)
    if line.at < since:
        known.add(print_of)
    elif print_of in troubles:
        _add(troubles[print_of], line)
    else:
        troubles[print_of] = Trouble(
            *print_of, line.level, 1, line.at, line.at, is_new=True, sample=_sample(line)
        )


def _lines_with(words: Iterable[bytes], content: bytes) -> Iterator[str]:
    """Those in which one of the words stands, in their order."""
    begins = set()
    for word in words:
        at = content.find(word)
        while at >= 0:
            begins.add(content.rfind(b"\n", 0, at) + 1)
            end = content.find(b"\n", at)
            at = content.find(word, end) if end >= 0 else -1
    for begin in sorted(begins):
        end = content.find(b"\n", begin)
        yield content[begin : end if end >= 0 else None].decode(errors="replace")


def _moment(text: bytes) -> datetime | None:
    """When a line was written, or None for what is none; parsed only where it is not as we write it."""
    at = text.rfind(_TIMESTAMP)
    if at < 0 or not text.startswith(b"{") or not text.endswith((b"}\n", b"}")):
        line = read(text.decode(errors="replace"))
        return None if line is None else line.at
    begins = at + len(_TIMESTAMP)
    try:
        moment = datetime.fromisoformat(text[begins : text.index(b'"', begins)].decode())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def read(text: str) -> Line | None:
    """One line of a log, or None for what is none."""
    try:
        fields = json.loads(text)
        at = datetime.fromisoformat(fields["timestamp"])
        if at.tzinfo is None:
            return None
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
