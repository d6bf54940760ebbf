"""The log in the folder of copies: what lies there without a gap, and what of it is off the machine."""

import contextlib
import os
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pyrage import x25519

from getpro.backups.errors import Damaged
from getpro.backups.mirror import Mirror, bring_log
from getpro.backups.stream import Spool
from getpro.backups.wal import Log, Piece, Way, position, words
from storage import Storage

SIZE = 256
KEY = x25519.Identity.generate()
TO = [KEY.to_public()]


def segment(number: int) -> str:
    return f"00000001{0:08X}{number:08X}"


def piece(number: int, begin: int, end: int) -> str:
    return Piece(segment(number), begin, end, is_whole=False).name


def whole(number: int) -> str:
    return Piece(segment(number), 0, SIZE, is_whole=True).name


@pytest.mark.parametrize(
    ("there", "start", "until", "is_unbroken"),
    [
        ([], 300, 300, True),
        ([whole(1)], 300, 2 * SIZE, True),
        ([whole(1), whole(2), piece(3, 0, 10)], 300, 3 * SIZE + 10, True),
        ([whole(1), piece(2, 0, 10), piece(2, 10, 90)], 300, 2 * SIZE + 90, True),
        ([whole(1), piece(2, 0, 10), piece(2, 20, 90)], 300, 2 * SIZE + 10, False),
        ([whole(1), whole(3)], 300, 2 * SIZE, False),
        ([whole(1), piece(2, 5, 90)], 300, 2 * SIZE, False),
        ([whole(2)], 300, 300, False),
        ([whole(0), whole(1)], 300, 2 * SIZE, True),
        ([piece(1, 0, 10), whole(1), piece(2, 0, 7)], 300, 2 * SIZE + 7, True),  # killed before it was let go
        ([whole(1), piece(2, 0, 10), piece(2, 0, 90)], 300, 2 * SIZE + 90, True),  # sent anew from the start
    ],
)
def test_up_to_where_the_log_leads_and_whether_all_of_it_does(
    there: list[str],
    start: int,
    until: int,
    is_unbroken: bool,  # noqa: FBT001 -- a column of the table
    tmp_path: Path,
) -> None:
    log = Log(tmp_path, "7", SIZE)
    log.make_folder()
    for name in there:
        (log.folder / name).touch()
    line = Way.only(1)
    assert (log.until(start, line), log.is_unbroken(start, line)) == (until, is_unbroken)


HISTORY = """\
1\t0/210\tbefore 2026-11-29 11:00:00+00
# 2026-11-29T12:30:00+00:00

2\t0/310\tno recovery target specified
# 2026-11-29T15:00:00+00:00
"""
"""Of timeline 3, in segments of 256 bytes: it left the second in its segment 3, and that the first in 2."""


def of(timeline: int, number: int) -> str:
    return f"{timeline:08X}{segment(number)[8:]}"


def test_a_way_over_timelines_reads_each_where_it_was_followed(tmp_path: Path) -> None:
    log = Log(tmp_path, "7", SIZE)
    for timeline, numbers in ((1, (1, 2, 3, 5)), (2, (2, 3)), (3, (3, 4))):
        for number in numbers:
            log.keep(of(timeline, number), BytesIO(bytes([timeline]) * SIZE), TO)
    line = Way.of(3, HISTORY)
    assert [piece.segment for piece in log.on(line)] == [of(1, 1), of(2, 2), of(3, 3), of(3, 4)]
    assert (log.until(300, line), log.is_unbroken(300, line)) == (5 * SIZE, True)
    assert not log.is_unbroken(300, Way.only(1))
    place = tmp_path / "out"
    place.mkdir()
    log.write_out(300, line, place, KEY)
    assert {path.name for path in place.iterdir()} == {of(1, 1), of(2, 2), of(3, 3), of(3, 4)}
    (log.folder / f"{of(2, 2)}.zst.age").unlink()  # what the first wrote there leads elsewhere
    assert log.until(300, line) == 2 * SIZE
    assert line.passes(1, 0x210)
    assert not line.passes(1, 0x211)
    assert line.passes(3, 2**63)
    assert not line.passes(4, 1)


def test_a_moment_is_of_the_timeline_on_which_the_shop_lived(tmp_path: Path) -> None:
    log, file = Log(tmp_path, "7", SIZE), tmp_path / "00000002.history"
    assert log.living(None, KEY) == Way.only(1)
    log.keep(of(1, 1), BytesIO(bytes(SIZE)), TO)
    log.keep(of(2, 2), BytesIO(bytes(SIZE)), TO)
    file.write_text("1\t0/210\tbefore 2026-11-29 11:00:00+00\n", encoding="ascii")
    came = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
    os.utime(file, (came.timestamp(), came.timestamp()))
    log.keep_history(file, TO)
    os.utime(file)  # the receiver has taken it once more
    log.keep_history(file, TO)
    assert log.living(None, KEY) == log.living(came, KEY) == Way(((1, 0), (2, 0x210)), came)
    assert log.living(came - timedelta(seconds=1), KEY) == Way.only(1)
    with pytest.raises(Damaged):
        log.living(came, x25519.Identity.generate())


def test_a_place_in_the_log_is_written_as_postgresql_writes_it() -> None:
    for said in ("0/0", "0/3000028", "1A/FF000000", "FFFFFFFF/FFFFFFFF"):
        assert words(position(said)) == said


def test_pieces_become_the_segment_that_they_are_of(tmp_path: Path) -> None:
    log = Log(tmp_path, "7", SIZE)
    log.keep(segment(1), BytesIO(bytes(range(SIZE))), TO)
    before = (tmp_path / "wal" / "7" / whole(1)).read_bytes()
    log.keep(segment(1), BytesIO(bytes(range(SIZE))), TO)  # killed before the spool had let it go
    assert (tmp_path / "wal" / "7" / whole(1)).read_bytes() == before
    log.keep_piece(segment(2), 0, 3, BytesIO(b"one"), TO)
    log.keep_piece(segment(2), 3, 6, BytesIO(b"two"), TO)
    place = tmp_path / "out"
    place.mkdir()
    log.write_out(SIZE, Way.only(1), place, KEY)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {
        segment(1): bytes(range(SIZE)),
        segment(2): b"onetwo".ljust(SIZE, b"\0"),
    }


def test_what_cannot_be_read_ends_the_log_there(tmp_path: Path) -> None:
    log = Log(tmp_path, "7", SIZE)
    for number in (1, 2, 3):
        log.keep(segment(number), BytesIO(bytes([number]) * SIZE), TO)
    (log.folder / whole(2)).write_bytes(b"spoiled")
    (place := tmp_path / "out").mkdir()
    out = log.write_out(SIZE, Way.only(1), place, KEY)
    assert (out.files, out.broken_at, whole(2) in out.why) == ([place / segment(1)], 2 * SIZE, True)
    out = log.write_out(SIZE, Way.only(1), place, KEY, end=2 * SIZE)
    assert (out.files, out.broken_at) == ([place / segment(1)], None)


def test_of_a_segment_that_is_being_written_comes_what_is_written(tmp_path: Path) -> None:
    large = 2**18
    log = Log(tmp_path / "copies", "7", large)
    spool = tmp_path / "spool"
    spool.mkdir()
    partial = spool / f"{segment(1)}.partial"
    partial.write_bytes(bytes(large))
    shipped = Spool(spool, log, TO)

    shipped.ship()
    assert log.pieces() == []
    for begin, come in ((0, b"one"), (3, b"two" + bytes(100_000) + b"three"), (large - 1, b"end")):
        with partial.open("r+b") as file:
            file.seek(begin)
            file.write(come[: large - begin])
        shipped.ship()
        shipped.ship()  # nothing has come: nothing is written

    assert [(piece.begin, piece.end) for piece in log.pieces()] == [(0, 3), (3, 100_011), (100_011, large)]
    (place := tmp_path / "out").mkdir()
    (out,) = log.write_out(0, Way.only(1), place, KEY).files
    assert out.read_bytes() == partial.read_bytes()

    partial.rename(spool / segment(1))
    shipped.ship()
    assert log.names() == [Piece(segment(1), 0, large, is_whole=True).name]
    (out,) = log.write_out(0, Way.only(1), place, KEY).files
    assert out.read_bytes()[:3] == b"one"
    assert len(out.read_bytes()) == large


def test_of_the_bucket_only_the_log_comes_and_no_piece_of_what_is_whole(s3: Storage, tmp_path: Path) -> None:
    """Whoever stole a key that may only write decides what lies there and how it is called."""
    place, log = s3.make(), Log(tmp_path / "copies", "7", SIZE)
    file = tmp_path / "file"
    file.write_bytes(b"of somebody else")
    with contextlib.closing(place.bucket()) as bucket:
        for name in (
            "authorized_keys",
            f"{whole(1)}.sh",
            f"x/{whole(1)}",
            whole(2),
            piece(2, 0, 3),
            piece(3, 0, 3),
        ):
            bucket.put(file, f"wal/7/{name}")
        bring_log(bucket, log, 0)
    assert {path.name for path in log.folder.iterdir()} == {whole(2), piece(3, 0, 3)}


def test_what_is_off_the_machine_is_remembered_for_as_long_as_it_is_kept(s3: Storage, tmp_path: Path) -> None:
    place, log = s3.make(), Log(tmp_path, "7", SIZE)
    with contextlib.closing(place.bucket()) as bucket:
        mirror = Mirror(bucket, log, tmp_path)
        log.keep_piece(segment(1), 0, 3, BytesIO(b"one"), TO)
        mirror.follow()
        log.keep(segment(1), BytesIO(bytes(SIZE)), TO)
        log.keep(segment(2), BytesIO(bytes(SIZE)), TO)
        mirror.follow()
        assert set(place.objects()) == {f"wal/7/{whole(number)}" for number in (1, 2)}
        gone = log.before(2 * SIZE)
        assert gone == [whole(1)]
        log.forget(gone)
        log.keep_piece(segment(3), 0, 5, BytesIO(b"three"), TO)
        mirror.follow()
        note = (tmp_path / "offsite.7").read_text(encoding="utf-8").splitlines()[1:]
        assert note == [whole(2), piece(3, 0, 5)]

        asked = len(bucket.asked)
        Mirror(bucket, log, tmp_path).follow()  # another process, after a kill
        assert len(bucket.asked) == asked
        before = {path.name: path.read_bytes() for path in log.folder.iterdir()}
        for path in log.folder.iterdir():
            path.unlink()
        assert bring_log(bucket, log, 2 * SIZE) == 2
        assert {path.name: path.read_bytes() for path in log.folder.iterdir()} == before
