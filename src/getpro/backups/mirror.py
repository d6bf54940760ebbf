"""The log of the folder once more, off this machine.

It goes there beside what takes it from the server: a bucket that hangs must not hold up the folder.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import text

from getpro.backups.bucket import Bucket
from getpro.backups.deps import Deps, Prepare, prepared
from getpro.backups.errors import BackupError, Busy, Damaged, OffsiteRefused
from getpro.backups.folder import UNFINISHED, held
from getpro.backups.interruption import go_on, leavable
from getpro.backups.sealed import ENDING
from getpro.backups.store import newest_stream, note_offsite
from getpro.backups.told import Told
from getpro.backups.wal import FOLDER, Log, Piece, is_of_log
from getpro.kit.trouble import Trouble
from getpro.platform.database import DATABASE_AWAY

SECONDS: Final = 5.0
"""How often it is looked whether something new has come."""
_NOTE: Final = "offsite"
_LOCK: Final = ".mirror"
"""Not that of who takes the log from the server, who goes on meanwhile."""
_TURN_TRIES: Final = 20
_TURN_SECONDS: Final = 0.5
_SEGMENT_BYTES: Final = text("SELECT setting::int FROM pg_settings WHERE name = 'wal_segment_size'")


class _Flowing(NamedTuple):
    system: str
    segment_bytes: int
    until: datetime
    """All that was committed before lies in the folder."""


async def mirror_for_ever(prepare: Prepare) -> None:
    """Have the log leave this machine until cancelled; whatever stands in its way is told, and tried again.

    Of several processes on one machine one does it at a time.
    """
    told, flows = Told("backup.log_stays_here"), None
    while True:
        try:
            deps = prepared(prepare)
            with contextlib.suppress(*DATABASE_AWAY):  # what lies in the folder leaves all the same
                flows = await _flowing(deps) or flows
            if flows is not None:
                await _mirrored(deps, flows)
            told.is_well()
        except Busy:
            pass
        except (BackupError, Trouble, OSError) as error:
            told.say(error)
        await asyncio.sleep(SECONDS)


async def _flowing(deps: Deps) -> _Flowing | None:
    """None while nothing lies in the folder."""
    async with deps.db.read("backup: to mirror") as session:
        stream = await newest_stream(session)
        if stream is None or stream.safe_until is None:
            return None
        return _Flowing(stream.system_id, await session.scalar(_SEGMENT_BYTES), stream.safe_until)


async def _mirrored(deps: Deps, flows: _Flowing) -> None:
    if deps.bucket is None:
        return
    with held(deps.spool, lock=_LOCK):
        await leavable(_mirror(deps, deps.bucket, flows).follow)
    with contextlib.suppress(*DATABASE_AWAY):
        async with deps.db.begin("backup: log off-site") as session:
            await note_offsite(session, flows.system, flows.until)


async def gone_of_log(deps: Deps) -> list[str]:
    """What was sent of the log and is not there any more, as it was; a flow.

    It is not claimed any more, and what of it lies here goes there again. Raises OffsiteError, and Busy where
    it is on its way for long.
    """
    if deps.bucket is None or (flows := await _flowing(deps)) is None:
        return []
    mirror = _mirror(deps, deps.bucket, flows)
    async with _in_turn(deps):
        if gone := await leavable(mirror.withdraw):
            async with deps.db.begin("backup: log gone off-site") as session:
                await note_offsite(session, flows.system, mirror.written_before(gone[0]))
    return gone


def _mirror(deps: Deps, bucket: Bucket, flows: _Flowing) -> "Mirror":
    return Mirror(bucket, Log(deps.folder, flows.system, flows.segment_bytes), deps.spool)


@contextlib.asynccontextmanager
async def _in_turn(deps: Deps) -> AsyncIterator[None]:
    """Alone with what is noted, between two rounds; raises Busy where one takes long."""
    with contextlib.ExitStack() as holding:
        for left in reversed(range(_TURN_TRIES)):
            try:
                holding.enter_context(held(deps.spool, lock=_LOCK))
                break
            except Busy:
                if not left:
                    raise
            await asyncio.sleep(_TURN_SECONDS)
        yield


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

    def follow(self) -> None:
        """Send what is not there yet, as it was written; raises OffsiteError and OSError."""
        sent = self._noted()
        while not self._send(sent):
            pass
        if replaced := self._replaced(sent):
            forget_log(self._bucket, self._log.system, sorted(replaced))
        if gone := replaced | self._outdated(sent):
            self._write(sent - gone)

    def withdraw(self) -> list[str]:
        """What was sent and is not there, or of another size, in order; it is noted no more."""
        sent = self._noted()
        begin = prefix(self._log.system)
        there = {one.key.removeprefix(begin): one.bytes for one in self._bucket.listing(begin)}
        wanted = sent - self._replaced(sent) - self._outdated(sent)
        gone = sorted(name for name in wanted if not self._is_as_sent(name, there.get(name)))
        if gone:
            self._write(sent - set(gone))
        return gone

    def written_before(self, name: str) -> datetime:
        """When all before ``name`` had come into the folder; the beginning of time where there is nothing."""
        times = [(self._log.folder / one).stat().st_mtime for one in self._log.names() if one < name]
        return datetime.fromtimestamp(max(times, default=0), UTC)

    def _noted(self) -> set[str]:
        """Nothing where it was another bucket."""
        try:
            place, *names = self._note.read_text(encoding="utf-8").splitlines(keepends=True)
        except (FileNotFoundError, ValueError):
            return set()
        return {name.strip() for name in names} if place == self._place else set()

    def _send(self, sent: set[str]) -> bool:
        """False where something has gone meanwhile: what has taken its place was not seen yet."""
        is_all = True
        for name in self._log.names():
            if name in sent:
                continue
            go_on()
            try:
                self._bucket.put(
                    self._log.folder / name, prefix(self._log.system) + name, on_bytes=lambda *_: go_on()
                )
            except FileNotFoundError:
                is_all = False
            else:
                sent.add(name)
                self._write(sent)
        return is_all

    def _replaced(self, sent: set[str]) -> set[str]:
        """Pieces of a segment that is whole by now, here and there."""
        return {
            name
            for name in sent.difference(self._log.names())
            if (piece := Piece.of(name, self._log.segment_bytes)) is not None
            and not piece.is_whole
            and Piece(piece.segment, 0, self._log.segment_bytes, is_whole=True).name in sent
        }

    def _outdated(self, sent: set[str]) -> set[str]:
        """What lies before the oldest that is kept here: whoever let it go has let it go there, too."""
        oldest = min((piece.segment for piece in self._log.pieces()), default="")
        known = {name: Piece.of(name, self._log.segment_bytes) for name in sent}
        return {name for name, piece in known.items() if piece is not None and piece.segment < oldest}

    def _is_as_sent(self, name: str, size: int | None) -> bool:
        """Whether so much is all of it; None is nothing. Of what is not here, anything."""
        try:
            return size == (self._log.folder / name).stat().st_size
        except FileNotFoundError:
            return size is not None

    def _write(self, sent: set[str]) -> None:
        fresh = self._note.with_name(f"{UNFINISHED}{self._note.name}")
        fresh.write_text(self._place + "".join(f"{name}\n" for name in sorted(sent)), encoding="utf-8")
        fresh.rename(self._note)


def prefix(system: str) -> str:
    return f"{FOLDER}/{system}/"


def forget_log(bucket: Bucket, system: str, names: Iterable[str]) -> None:
    """Delete these files of a cluster's log; raises OffsiteError where nobody answers."""
    for name in names:
        try:
            bucket.delete(prefix(system) + name)
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
        fresh = log.folder.parent.parent / f"{UNFINISHED}{name}"  # where the next fetch sweeps
        try:
            bucket.get(stored.key, fresh, on_bytes=lambda *_: go_on())
            if fresh.stat().st_size != stored.bytes:
                raise Damaged(f"{bucket.address(stored.key)}: не те байты, что были записаны")
            fresh.rename(log.folder / name)
        finally:
            fresh.unlink(missing_ok=True)
        come += 1
    return come
