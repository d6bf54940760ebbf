"""The write-ahead log in the folder of copies: whole segments, and pieces of the one that is being written.

A folder for each cluster, by its system identifier; in it ``SEGMENT.zst.age`` and, until that is whole,
``SEGMENT.FROM-TO.zst.age`` with the bytes between. Positions are PostgreSQL's LSN as a plain number.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pyrage import x25519

from getpro.backups.errors import Damaged
from getpro.backups.folder import written
from getpro.backups.sealed import ENDING, Source, seal, seal_bytes, unseal_bytes

FOLDER: Final = "wal"
_ID_BYTES: Final = 2**32
"""So much of the log has the same middle part in its segments' names."""
_FILE: Final = re.compile(rf"([0-9A-F]{{24}})(?:\.([0-9a-f]{{8}})-([0-9a-f]{{8}}))?{re.escape(ENDING)}")
_HISTORY: Final = re.compile(rf"([0-9A-F]{{8}}\.history){re.escape(ENDING)}")


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

    def until(self, start: int) -> int:
        """Up to where the log lies here without a gap from ``start``; ``start`` itself where nothing does."""
        ends: dict[int, int] = {}
        for piece in self.pieces():
            number = self.number(piece.segment)
            if piece.begin <= ends.get(number, 0) <= piece.end:
                ends[number] = piece.end
        number = start // self.segment_bytes
        while ends.get(number) == self.segment_bytes:
            number += 1
        return max(start, number * self.segment_bytes + ends.get(number, 0))

    def keep(self, segment: str, data: Source, recipients: Iterable[x25519.Recipient]) -> None:
        """Write the whole segment, and let its pieces go."""
        self._write(Piece(segment, 0, self.segment_bytes, is_whole=True), data, recipients)
        for piece in self.pieces():
            if piece.segment == segment and not piece.is_whole:
                (self.folder / piece.name).unlink()

    def keep_piece(
        self, segment: str, begin: int, end: int, data: Source, recipients: Iterable[x25519.Recipient]
    ) -> None:
        """Write what ``data`` says of the segment from ``begin`` to ``end``."""
        self._write(Piece(segment, begin, end, is_whole=False), data, recipients)

    def keep_history(self, name: str, data: bytes, recipients: Iterable[x25519.Recipient]) -> None:
        """Of a timeline: how it came out of another."""
        self.make_folder()
        with written(self.folder / f"{name}{ENDING}") as sink:
            sink.write(seal_bytes(data, list(recipients)))

    def _write(self, piece: Piece, data: Source, recipients: Iterable[x25519.Recipient]) -> None:
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

    def is_unbroken(self, start: int) -> bool:
        """Whether all that lies here after ``start`` follows without a gap."""
        ends = [self.number(piece.segment) * self.segment_bytes + piece.end for piece in self.pieces()]
        return self.until(start) >= max(ends, default=0)

    def write_out(self, start: int, place: Path, identity: x25519.Identity) -> list[Path]:
        """Write the segments from ``start`` on into ``place``, as a server reads them; raises Damaged.

        One that is not whole is filled up with noughts, at which a recovery ends.
        """
        first = start // self.segment_bytes
        out = set()
        for piece in self.pieces():
            if self.number(piece.segment) < first:
                continue
            data = unseal_bytes(self.folder / piece.name, identity)
            if len(data) != piece.end - piece.begin:
                raise Damaged(f"{piece.name}: внутри не столько, сколько сказано")
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
        return sorted(out)

    def forget_before(self, start: int) -> list[str]:
        """Delete what lies before ``start``, which no base backup needs any more, and say what."""
        first = start // self.segment_bytes
        gone = [piece.name for piece in self.pieces() if self.number(piece.segment) < first]
        for name in gone:
            (self.folder / name).unlink()
        return gone
