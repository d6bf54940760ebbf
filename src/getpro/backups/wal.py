"""The write-ahead log in the folder of copies: whole segments, and pieces of the one that is being written.

A folder for each cluster, by its system identifier; in it ``SEGMENT.zst.age`` and, until that is whole,
``SEGMENT.FROM-TO.zst.age`` with the bytes between. Positions are PostgreSQL's LSN as a plain number.

A server that was brought to a moment and lives on writes another timeline of the same log: the same places
once more, in segments of other names, and ``TIMELINE.history.zst.age`` says where it left which other.
"""

import contextlib
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

from pyrage import x25519

from getpro.backups.errors import Damaged
from getpro.backups.folder import written
from getpro.backups.sealed import ENDING, Readable, seal, seal_bytes, unseal_bytes

FOLDER: Final = "wal"
FIRST_TIMELINE: Final = 1
_ID_BYTES: Final = 2**32
"""So much of the log has the same middle part in its segments' names."""
_FILE: Final = re.compile(rf"([0-9A-F]{{24}})(?:\.([0-9a-f]{{8}})-([0-9a-f]{{8}}))?{re.escape(ENDING)}")
_HISTORY: Final = re.compile(rf"([0-9A-F]{{8}}\.history){re.escape(ENDING)}")
_TURN: Final = re.compile(r"\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)")
"""A line of a history: which timeline was left, and where."""
_CAME: Final = "# "
"""Begins our own line of a history: PostgreSQL reads over it."""


def position(lsn: str) -> int:
    """Of PostgreSQL's own words, like 0/3000028."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def words(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """One file of the log: bytes ``begin`` to ``end`` of a segment, all of it where ``is_whole``."""

    segment: str
    begin: int
    end: int
    is_whole: bool

    @classmethod
    def of(cls, name: str, segment_bytes: int) -> Self | None:
        """By its name; None for what is no piece."""
        if (found := _FILE.fullmatch(name)) is None:
            return None
        segment, begin, end = found.groups()
        if begin is None:
            return cls(segment, 0, segment_bytes, is_whole=True)
        return cls(segment, int(begin, 16), int(end, 16), is_whole=False)

    @property
    def name(self) -> str:
        part = "" if self.is_whole else f".{self.begin:08x}-{self.end:08x}"
        return f"{self.segment}{part}{ENDING}"


def is_of_log(name: str) -> bool:
    return bool(_FILE.fullmatch(name) or _HISTORY.fullmatch(name))


def timeline_of(segment: str) -> int:
    """The one that wrote it."""
    return int(segment[:8], 16)


def systems(copies: Path) -> list[str]:
    """The clusters whose log lies in the folder of copies."""
    return sorted(path.name for path in (copies / FOLDER).glob("*") if path.is_dir())


@dataclass(frozen=True, slots=True)
class Way:
    """The way through the log to the end of a timeline, over those that it came out of."""

    turns: tuple[tuple[int, int], ...]
    """Timelines, oldest first, each with the position from which on it is followed."""
    since: datetime | None = None
    """From when on its log came: a shop has lived there. None: since ever, as far as is known."""

    @classmethod
    def only(cls, timeline: int) -> Self:
        return cls(((timeline, 0),))

    @classmethod
    def of(cls, timeline: int, history: str) -> Self:
        """As the timeline's history says it."""
        lines = history.splitlines()
        left = [(int(found[1]), position(found[2])) for line in lines if (found := _TURN.match(line))]
        begins = [0, *(place for _, place in left)]
        turns = tuple(zip([*(past for past, _ in left), timeline], begins, strict=True))
        came = [line.removeprefix(_CAME) for line in lines if line.startswith(_CAME)]
        return cls(turns, datetime.fromisoformat(came[-1]) if came else None)

    @property
    def timeline(self) -> int:
        return self.turns[-1][0]

    def passes(self, timeline: int, end: int) -> bool:
        """Whether what that timeline wrote up to ``end`` lies on the way."""
        left = {past: place for (past, _), (_, place) in itertools.pairwise(self.turns)}
        return timeline == self.timeline or end <= left.get(timeline, -1)

    def writer_of(self, number: int, segment_bytes: int) -> int:
        """Whose segment of that number is read: where one is left for another, the other's begins alike."""
        return next(one for one, begin in reversed(self.turns) if begin // segment_bytes <= number)


class Written(NamedTuple):
    """What :meth:`Log.write_out` has written."""

    files: list[Path]
    broken_at: int | None = None
    """Where it ends because a file cannot be read; None where nothing was in the way."""
    why: str = ""


class Log:
    """The log of one cluster, as it lies in the folder of copies."""

    def __init__(self, copies: Path, system: str, segment_bytes: int) -> None:
        self.folder = copies / FOLDER / system
        self.system = system
        self.segment_bytes = segment_bytes

    def names(self) -> list[str]:
        """Of all files of the log, in the order in which they were written."""
        if not self.folder.exists():
            return []
        there = sorted(path.name for path in self.folder.iterdir())
        return [name for name in there if is_of_log(name)]

    def pieces(self) -> list[Piece]:
        """In the order in which they were written."""
        found = (Piece.of(name, self.segment_bytes) for name in self.names())
        return sorted(piece for piece in found if piece is not None)

    def make_folder(self) -> None:
        for folder in (self.folder.parent.parent, self.folder.parent, self.folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def number(self, segment: str) -> int:
        """The segment's place in the log, whatever timeline wrote it."""
        return int(segment[8:16], 16) * (_ID_BYTES // self.segment_bytes) + int(segment[16:], 16)

    def on(self, line: Way) -> list[Piece]:
        """The pieces that are read on the way."""
        return [
            piece
            for piece in self.pieces()
            if timeline_of(piece.segment) == line.writer_of(self.number(piece.segment), self.segment_bytes)
        ]

    def line(self, timeline: int, identity: x25519.Identity) -> Way:
        """The way to the end of the timeline; raises Damaged."""
        history = self.folder / f"{timeline:08X}.history{ENDING}"
        if not history.exists():
            return Way.only(timeline)
        try:
            return Way.of(timeline, unseal_bytes(history, identity).decode())
        except ValueError as error:
            raise Damaged(f"{history.name}: содержимое испорчено") from error

    def living(self, moment: datetime | None, identity: x25519.Identity) -> Way:
        """The way that the shop went: of timelines the newest on which it lived at ``moment``, or at all.

        What it did on one that it has left is found by a moment before it did so. Raises Damaged.
        """
        timelines = {timeline_of(piece.segment) for piece in self.pieces()} or {FIRST_TIMELINE}
        lines = [self.line(timeline, identity) for timeline in sorted(timelines, reverse=True)]
        lived = (line for line in lines if moment is None or line.since is None or line.since <= moment)
        return next(lived, lines[-1])

    def until(self, start: int, line: Way) -> int:
        """Up to where the log lies here without a gap from ``start``; ``start`` itself where nothing does."""
        ends: dict[int, int] = {}
        for piece in self.on(line):
            number = self.number(piece.segment)
            if piece.begin <= ends.get(number, 0) <= piece.end:
                ends[number] = piece.end
        number = start // self.segment_bytes
        while ends.get(number) == self.segment_bytes:
            number += 1
        return max(start, number * self.segment_bytes + ends.get(number, 0))

    def keep(self, segment: str, data: Readable, recipients: Iterable[x25519.Recipient]) -> None:
        """Write the whole segment, and let its pieces go.

        One that lies here whole stays as it is: written again it would be of other bytes, age's own, than
        what has left this machine.
        """
        whole = Piece(segment, 0, self.segment_bytes, is_whole=True)
        if not (self.folder / whole.name).exists():
            self._write(whole, data, recipients)
        for piece in self.pieces():
            if piece.segment == segment and not piece.is_whole:
                (self.folder / piece.name).unlink()

    def keep_piece(
        self, segment: str, begin: int, end: int, data: Readable, recipients: Iterable[x25519.Recipient]
    ) -> None:
        """Write what ``data`` says of the segment from ``begin`` to ``end``."""
        self._write(Piece(segment, begin, end, is_whole=False), data, recipients)

    def keep_history(self, file: Path, recipients: Iterable[x25519.Recipient]) -> None:
        """Of a timeline: how it came out of another, and when that came to us; written once."""
        name = f"{file.name}{ENDING}"
        if not (self.folder / name).exists():
            came = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            history = file.read_bytes() + f"{_CAME}{came.isoformat()}\n".encode()
            self.make_folder()
            with written(self.folder / name) as sink:
                sink.write(seal_bytes(history, list(recipients)))

    def _write(self, piece: Piece, data: Readable, recipients: Iterable[x25519.Recipient]) -> None:
        """Not through memory: what a segment takes there, the shop's process would keep."""
        self.make_folder()
        with written(self.folder / piece.name) as sink:
            seal(data, sink, list(recipients), threads=0, source_bytes=piece.end - piece.begin)

    def end_of(self, segment: str) -> int:
        """Up to which byte the segment lies here; its whole size where it is whole."""
        end = 0
        for piece in self.pieces():
            if piece.segment == segment and piece.begin <= end <= piece.end:
                end = piece.end
        return end

    def is_unbroken(self, start: int, line: Way) -> bool:
        """Whether all that lies here of the way after ``start`` follows without a gap."""
        ends = [self.number(piece.segment) * self.segment_bytes + piece.end for piece in self.on(line)]
        return self.until(start, line) >= max(ends, default=0)

    def write_out(
        self, start: int, line: Way, place: Path, identity: x25519.Identity, *, end: int | None = None
    ) -> Written:
        """Write the segments of the way from ``start`` on into ``place``, as a server reads them.

        Nothing that begins at ``end`` or behind it.

        One that is not whole is filled up with noughts, at which a recovery ends; so it does at a file that
        cannot be read. The histories are those of all timelines: the server takes a number for its own that
        none has. Raises Damaged where one of them cannot be read.
        """
        first = start // self.segment_bytes
        out = set()
        broken_at, why = None, ""
        for piece in self.on(line):
            begins = self.number(piece.segment) * self.segment_bytes + piece.begin
            if self.number(piece.segment) < first or (end is not None and begins >= end):
                continue
            try:
                data = self._read(piece, identity)
            except Damaged as error:
                broken_at, why = begins, str(error)
                break
            target = place / piece.segment
            with target.open("r+b" if target.exists() else "w+b") as file:
                file.truncate(self.segment_bytes)
                file.seek(piece.begin)
                file.write(data)
            out.add(target)
        for name in self.names():
            if (found := _HISTORY.fullmatch(name)) is not None:
                (place / found[1]).write_bytes(unseal_bytes(self.folder / name, identity))
                out.add(place / found[1])
        return Written(sorted(out), broken_at, why)

    def _read(self, piece: Piece, identity: x25519.Identity) -> bytes:
        """Raises Damaged."""
        data = unseal_bytes(self.folder / piece.name, identity)
        if len(data) != piece.end - piece.begin:
            raise Damaged(f"{piece.name}: внутри не столько, сколько сказано")
        return data

    def bytes_after(self, start: int) -> int:
        """How much :meth:`write_out` writes at most."""
        numbers = {self.number(piece.segment) for piece in self.pieces()}
        return sum(number >= start // self.segment_bytes for number in numbers) * self.segment_bytes

    def before(self, start: int) -> list[str]:
        """The files of what lies before ``start``, which no base backup needs any more."""
        first = start // self.segment_bytes
        return [piece.name for piece in self.pieces() if self.number(piece.segment) < first]

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            (self.folder / name).unlink()
        with contextlib.suppress(OSError):  # it is not empty
            self.folder.rmdir()
