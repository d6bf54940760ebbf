"""A logical copy of one moment, twice: for ourselves, and for the guide's own line.

Ours is pg_dump's custom form, compressed with zstd and encrypted with age: several times faster than gzip and
as small. The guide's is plain SQL in gzip, ``latest.sql.gz``; it is in clear, and never leaves the machine.
"""

import contextlib
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import psycopg
from psycopg import sql
from pyrage import x25519

from getpro import __version__
from getpro.backups.environment import close
from getpro.backups.folder import ARCHIVE, LATEST, Sink, written
from getpro.backups.interruption import statements_ended, unhurried
from getpro.backups.keys import Keys
from getpro.backups.manifest import Manifest, facts_of
from getpro.backups.output import as_dump_failed, output_of
from getpro.backups.progress import OnStep, silent
from getpro.backups.room import require_room_as_before
from getpro.backups.sealed import seal
from getpro.platform.postgres.address import impatient, name_of
from getpro.platform.postgres.tools import Tools

NAME: Final = "2getpro backup"
"""How the database knows the one who holds the moment."""
_PORTABLE: Final = ("--no-owner", "--no-privileges")
"""A copy is restored where the roles have other names, too."""
_GZIP_LEVEL: Final = 6
_GZIP_BLOCK: Final = 4 * 2**20
_GUARD: Final = """\
--
-- 2GETPRO: {moment}
-- Восстановить: gunzip < latest.sql.gz | psql -U postgres test_db
-- База, куда восстанавливают, сначала опустошается; рабочая 2getpro_v2 с таблицами остаётся как была.
--
\\set ON_ERROR_STOP on
DO $$
BEGIN
  IF current_database() IN ('2getpro_v2', {own}) AND EXISTS (
    SELECT FROM pg_class WHERE relkind IN ('r', 'p')
      AND relnamespace IN (to_regnamespace('public'), to_regnamespace('synthetic'))
  ) THEN
    RAISE EXCEPTION 'Это рабочая база, и в ней есть таблицы: ничего не изменено. '
      'Восстановите в другую, например test_db, а потом переименуйте.';
  END IF;
END
$$;
BEGIN;
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS synthetic CASCADE;
DROP SCHEMA IF EXISTS public CASCADE;
CREATE SCHEMA public;
"""
_END: Final = "\nCOMMIT;\n\\echo 2GETPRO: восстановлено целиком, на {moment}\n"
"""The last word: where the file breaks off, psql ends with 0 all the same, and has changed nothing."""


def make(
    url: str,
    tools_for: Callable[[int], Tools],
    folder: Path,
    name: str,
    *,
    now: datetime,
    asked_by: str,
    keys: Keys,
    settings: str | None = None,
    on_progress: OnStep = silent,
) -> Manifest:
    """Write the copy ``name`` and ``latest.sql.gz`` into ``folder``; raises DumpFailed and NoRoom.

    The shop goes on selling: both are of the moment at which this was called, and so is what was counted.
    """
    require_room_as_before(folder, f"*{ARCHIVE}", LATEST)
    with as_dump_failed(folder):
        with _moment(url) as (connection, snapshot):
            on_progress("Считаем строки и суммы")
            facts, server, size = facts_of(connection), _server(connection), _size(connection)
            tools = tools_for(connection.info.server_version // 10000)
            on_progress("Пишем копию")
            sink = _write_archive(url, tools, folder / f"{name}{ARCHIVE}", snapshot, keys.recipients)
            on_progress(f"Пишем {LATEST}")
            _write_plain(url, tools, folder / LATEST, snapshot, now)
        manifest = Manifest(
            name=name,
            made_at=now.isoformat(),
            program=__version__,
            server=server,
            database_bytes=size,
            file_bytes=sink.bytes,
            sha256=sink.sha256,
            facts=facts,
            asked_by=asked_by,
            settings=None if settings is None else close(settings, folder, name, list(keys.recipients)),
        )
        manifest = manifest.signed(keys.identity)
        manifest.write(folder)
    return manifest


@contextlib.contextmanager
def _moment(url: str) -> Iterator[tuple["psycopg.Connection[Any]", str]]:
    """A connection that goes on seeing the moment, and its name for those who are to see the same."""
    with (
        psycopg.connect(impatient(url), application_name=NAME) as connection,
        statements_ended(connection),
    ):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        unhurried(connection)
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield connection, row[0]


def _server(connection: "psycopg.Connection[Any]") -> str:
    return connection.info.parameter_status("server_version") or ""


def _size(connection: "psycopg.Connection[Any]") -> int:
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def _write_archive(
    url: str, tools: Tools, path: Path, snapshot: str, recipients: Sequence[x25519.Recipient]
) -> Sink:
    with written(path) as sink, _dumped(url, tools, snapshot, "--format=custom", "--compress=0") as dump:
        seal(dump, sink, recipients)
    return sink


def _write_plain(url: str, tools: Tools, path: Path, snapshot: str, moment: datetime) -> None:
    with written(path) as sink, _dumped(url, tools, snapshot, "--format=plain") as dump:
        said = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
        sink.write(_member(_GUARD.format(moment=said, own=sql.Literal(name_of(url)).as_string()).encode()))
        for member in _members(dump):
            sink.write(member)
        sink.write(_member(_END.format(moment=said).encode()))


def _members(source: IO[bytes]) -> Iterator[bytes]:
    """What ``source`` says in gzip, a member for each block, on all cores; gunzip reads them as one."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        under_way: deque[Future[bytes]] = deque()
        while block := source.read(_GZIP_BLOCK):
            under_way.append(pool.submit(_member, block))
            if len(under_way) > cores:
                yield under_way.popleft().result()
        for last in under_way:
            yield last.result()


def _member(block: bytes) -> bytes:
    return zlib.compress(block, _GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)


@contextlib.contextmanager
def _dumped(url: str, tools: Tools, snapshot: str, *options: str) -> Iterator[IO[bytes]]:
    """What pg_dump says; raises DumpFailed at the end of the block unless it was satisfied."""
    arguments, environment = tools.client("pg_dump", url)
    command = [*arguments, f"--snapshot={snapshot}", *_PORTABLE, *options]
    with output_of(command, environment) as said:
        yield said
