"""Base backups: the files of the whole cluster, from which its log leads to any moment after them.

They go from pg_basebackup through zstd and age into the folder; nothing is written in clear, and no room is
needed beside. What a base backup holds is counted at a moment that the log can be followed to exactly.
"""

import json
import tarfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import IO, Any, Final, LiteralString, NamedTuple, cast

import psycopg
from pyrage import x25519

from getpro import __version__
from getpro.backups.errors import DumpFailed, NoStream
from getpro.backups.folder import BASE, FILES, Sink, written
from getpro.backups.interruption import go_on, statements_ended, unhurried
from getpro.backups.keys import Keys
from getpro.backups.manifest import Facts, Manifest, Physical, facts_of
from getpro.backups.output import as_dump_failed, output_of
from getpro.backups.progress import OnStep, silent
from getpro.backups.room import require_room_as_before
from getpro.backups.sealed import seal
from getpro.backups.states import BackupKind
from getpro.backups.stream import look_at_server
from getpro.backups.wal import Way, position
from getpro.kit.clock import Clock
from getpro.platform.postgres.address import impatient
from getpro.platform.postgres.tools import Tools

_FILES_IN_TAR: Final = "backup_manifest"
_BLOCK: Final = 512
_WRITING: Final = "SELECT FROM pg_locks WHERE locktype = 'transactionid' LIMIT 1"
_QUIET_TRIES: Final = 2000
_QUIET_SECONDS: Final = 0.01
_COVERED_SECONDS: Final = 90
"""Longer than the log needs into the folder."""


def make(
    url: str,
    tools_for: Callable[[int], Tools],
    folder: Path,
    name: str,
    *,
    parent: Manifest | None,
    clock: Clock,
    asked_by: str,
    keys: Keys,
    on_progress: OnStep = silent,
) -> Manifest:
    """Write the base backup ``name``: of what has changed since ``parent``, without one of everything.

    The shop goes on selling. Returns once the log that it needs lies in the folder as well. Raises
    DumpFailed, NoRoom, and NoStream where the log does not come.
    """
    now = clock()
    kind = BackupKind.FULL if parent is None else BackupKind.INCREMENTAL
    require_room_as_before(folder, f"*-{kind}{BASE}")
    with as_dump_failed(folder):
        with psycopg.connect(impatient(url), autocommit=True) as connection:
            unhurried(connection)
            server = look_at_server(connection)
            on_progress("Пишем файлы")
            sink, files = _write(url, tools_for(server.major), folder, name, parent, keys.recipients)
            usable_from = _value(connection, "SELECT clock_timestamp()")  # by whose time the log is written
            on_progress("Считаем строки и суммы")
            at_rest = _count_at_rest(url, connection)
            database_bytes = _value(connection, "SELECT sum(pg_database_size(oid))::bigint FROM pg_database")
            superuser = _value(connection, "SELECT rolname FROM pg_roles WHERE oid = 10")  # initdb's own
            database, role = connection.info.dbname, connection.info.user
            version = connection.info.parameter_status("server_version") or ""
        listed = json.loads(files)
        ranges = listed["WAL-Ranges"]
        physical = Physical(
            system=server.system,
            database=database,
            segment_bytes=server.segment_bytes,
            start=ranges[0]["Start-LSN"],
            end=ranges[-1]["End-LSN"],
            counted_at=at_rest.lsn,
            usable_from=usable_from.astimezone(UTC).isoformat(),
            next_transaction=at_rest.next_transaction,
            superuser=superuser,
            parent=None if parent is None else parent.name,
            timeline=ranges[-1]["Timeline"],
            role=role,
            files_bytes=sum(file["Size"] for file in listed["Files"]),
        )
        on_progress("Ждём журнал")
        log, line = server.log(folder), Way.only(physical.timeline)
        _wait_for(lambda: log.until(position(physical.start), line) >= position(at_rest.lsn))
        manifest = Manifest(
            name=name,
            made_at=now.isoformat(),
            program=__version__,
            server=version,
            database_bytes=database_bytes,
            file_bytes=sink.bytes,
            sha256=sink.sha256,
            facts=at_rest.facts,
            physical=physical,
            asked_by=asked_by,
        )
        with written(folder / f"{name}{FILES}") as beside:
            beside.write(files)
        manifest = manifest.signed(keys.identity)
        manifest.write(folder)
    return manifest


def _value(connection: "psycopg.Connection[Any]", query: LiteralString) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _write(
    url: str,
    tools: Tools,
    folder: Path,
    name: str,
    parent: Manifest | None,
    recipients: Sequence[x25519.Recipient],
) -> tuple[Sink, bytes]:
    """The archive, and PostgreSQL's own list of the files that it holds."""
    since = [] if parent is None else [f"--incremental={folder / parent.name}{FILES}"]
    command, environment = tools.client("pg_basebackup", url)
    options = ["--pgdata=-", "--format=tar", "--wal-method=none", "--checkpoint=fast", "--no-password"]
    with (
        written(folder / f"{name}{BASE}") as sink,
        output_of([*command, *options, *since], environment) as archive,
    ):
        tapped = _Tapped(archive)
        seal(cast("IO[bytes]", tapped), sink, recipients)
    if not tapped.files:
        raise DumpFailed("pg_basebackup не сказала, что за файлы она записала")
    return sink, bytes(tapped.files)


class _Tapped:
    """A tar archive on its way through, of which the member with the list of files is kept."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.files = bytearray()
        self._header = bytearray()
        self._left = 0
        """Bytes of the member that are still to come, with what fills up its last block."""
        self._wanted = 0
        """Of these, how many are of the list."""

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        at = 0
        while at < len(data):
            at += self._take(memoryview(data)[at:])
        return data

    def _take(self, data: memoryview) -> int:
        if self._left:
            step = min(self._left, len(data))
            self.files += data[: min(step, self._wanted)]
            self._wanted -= min(step, self._wanted)
            self._left -= step
            return step
        step = min(_BLOCK - len(self._header), len(data))
        self._header += data[:step]
        if len(self._header) == _BLOCK:
            self._begin(bytes(self._header))
            self._header.clear()
        return step

    def _begin(self, header: bytes) -> None:
        if not header.strip(b"\0"):  # two such blocks end an archive
            return
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        self._left = -(-member.size // _BLOCK) * _BLOCK
        self._wanted = member.size if member.name == _FILES_IN_TAR else 0


class _AtRest(NamedTuple):
    """What was counted, and the place in the log where exactly that was true."""

    facts: Facts
    lsn: str
    next_transaction: int


def _count_at_rest(url: str, watcher: "psycopg.Connection[Any]") -> _AtRest:
    """Count everything; raises DumpFailed.

    A snapshot is of no place in the log: what commits at that instant stands there already and is not seen
    yet. So one is waited for at which nobody writes: whoever does holds a lock on the number of their
    transaction, until after it is seen; and whoever has been at it meanwhile has used a number up.
    """
    for _ in range(_QUIET_TRIES):
        with psycopg.connect(impatient(url), application_name="2getpro backup") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            go_on()
            seen = connection.execute(
                "SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text"
            ).fetchone()
            writing = watcher.execute(_WRITING).fetchone()
            after = watcher.execute("SELECT pg_current_snapshot()::text").fetchone()
            assert seen is not None
            if writing is None and after is not None and after[0] == seen[0]:
                # The recovery needs something to come after that place, to know that it is there.
                watcher.execute("SELECT pg_logical_emit_message(false, 'getpro', '', true)")
                with statements_ended(connection):
                    unhurried(connection)
                    next_transaction = int(seen[0].split(":")[1])
                    return _AtRest(facts_of(connection), seen[1], next_transaction)
        time.sleep(_QUIET_SECONDS)
    raise DumpFailed("в базу пишут без перерыва: не сосчитать, что в ней")


def _wait_for(is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _COVERED_SECONDS
    while not is_there():
        if time.monotonic() > deadline:
            raise NoStream("журнал до этой копии не доходит: магазин, который его забирает, не запущен?")
        go_on()
        time.sleep(0.5)
