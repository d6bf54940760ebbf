"""The log of the folder once more, off this machine."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from getpro.backups.bucket import Bucket
from getpro.backups.errors import Damaged, OffsiteRefused
from getpro.backups.folder import UNFINISHED
from getpro.backups.sealed import ENDING
from getpro.backups.wal import FOLDER, Log, Piece, is_of_log

_NOTE: Final = "offsite"


class Mirror:
    """Follows the folder: what comes there is sent, what a whole segment replaces is deleted.

    Nothing else is: whoever empties the folder must not empty the other place with it. What was sent is noted
    in the spool, for not every key may look. A note that is lost costs sending again.
    """

    def __init__(self, bucket: Bucket, log: Log, spool: Path) -> None:
        self._bucket = bucket
        self._log = log
        self._note = spool / f"{_NOTE}.{log.system}"
        self._place = f"{bucket.address(prefix(log.system))}\n"
        self._sent = self._noted()

    def _noted(self) -> set[str]:
        """Nothing where it was another bucket."""
        try:
            place, *names = self._note.read_text(encoding="utf-8").splitlines(keepends=True)
        except (FileNotFoundError, ValueError):
            return set()
        return {name.strip() for name in names} if place == self._place else set()

    def follow(self) -> None:
        """Send what is not there yet, as it was written; raises OffsiteError and OSError."""
        here = self._log.names()
        for name in here:
            if name not in self._sent:
                self._bucket.put(self._log.folder / name, prefix(self._log.system) + name)
                self._sent.add(name)
                self._write()
        replaced = {
            name
            for name in self._sent.difference(here)
            if (piece := Piece.of(name, self._log.segment_bytes)) is not None
            and not piece.is_whole
            and Piece(piece.segment, 0, self._log.segment_bytes, is_whole=True).name in self._sent
        }
        if replaced:
            forget_log(self._bucket, self._log, sorted(replaced))
        if gone := replaced | self._outdated():
            self._sent -= gone
            self._write()

    def _outdated(self) -> set[str]:
        """What lies before the oldest that is kept here: whoever let it go has let it go there, too."""
        oldest = min((piece.segment for piece in self._log.pieces()), default="")
        known = {name: Piece.of(name, self._log.segment_bytes) for name in self._sent}
        return {name for name, piece in known.items() if piece is not None and piece.segment < oldest}

    def _write(self) -> None:
        fresh = self._note.with_name(f"{UNFINISHED}{self._note.name}")
        fresh.write_text(self._place + "".join(f"{name}\n" for name in sorted(self._sent)), encoding="utf-8")
        fresh.rename(self._note)


def prefix(system: str) -> str:
    return f"{FOLDER}/{system}/"


def forget_log(bucket: Bucket, log: Log, names: Iterable[str]) -> None:
    """Delete these files of the log; raises OffsiteError where nobody answers."""
    for name in names:
        try:
            bucket.delete(prefix(log.system) + name)
        except OffsiteRefused:
            return  # they are locked, or the key may only write: the bucket's own rules delete them


def bring_log(bucket: Bucket, log: Log, start: int) -> int:
    """Bring the log from ``start`` on into the folder, as far as it lies there; how many files came.

    Raises OffsiteError, Damaged, and OSError of the disk.
    """
    log.make_folder()
    here, come = set(log.names()), 0
    begin = prefix(log.system)
    there = {stored.key.removeprefix(begin): stored for stored in bucket.listing(begin)}
    for name, stored in there.items():
        if name in here or not is_of_log(name):  # whoever can write there decides what it is called
            continue
        if (piece := Piece.of(name, log.segment_bytes)) is not None:
            whole = f"{piece.segment}{ENDING}"
            is_in_whole = name != whole and (whole in here or whole in there)
            if is_in_whole or log.number(piece.segment) < start // log.segment_bytes:
                continue
        fresh = log.folder / f"{UNFINISHED}{name}"
        try:
            bucket.get(stored.key, fresh)
            if fresh.stat().st_size != stored.bytes:
                raise Damaged(f"{bucket.address(stored.key)}: не те байты, что были записаны")
            fresh.rename(log.folder / name)
        finally:
            fresh.unlink(missing_ok=True)
        come += 1
    return come
