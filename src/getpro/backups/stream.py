"""The write-ahead log on its way into the folder of copies, for as long as the shop runs.

PostgreSQL's own pg_receivewal takes it from the server into a spool in the data directory; from there whole
segments go into the folder, and every few seconds what has come of the one that is being written. A server
that dies takes so much with it and no more. The server keeps what has not been taken, by a replication slot.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import psycopg
import structlog
from pyrage import x25519
from sqlalchemy import text

from getpro.backups.deps import Deps, Prepare, prepared
from getpro.backups.errors import BackupError, Busy, NoStream, TooOld
from getpro.backups.folder import held, sweep
from getpro.backups.store import note_stream
from getpro.backups.told import Told, error_words
from getpro.backups.wal import FOLDER, Log
from getpro.kit.trouble import Trouble, system_words
from getpro.platform.database import DATABASE_AWAY
from getpro.platform.metrics import WAL_OFF
from getpro.platform.postgres.address import impatient
from getpro.platform.postgres.tools import Tools

log = structlog.get_logger(__name__)

SLOT: Final = "getpro_backup"
OLDEST_SERVER: Final = 17
"""Incremental base backups came with it."""
SECONDS: Final = 20.0
"""How often what has come is put into the folder."""
AGAIN_SECONDS: Final = 15.0
_CATCH_UP_TRIES: Final = 40
_CATCH_UP_SECONDS: Final = 0.25
_NAME_CHARACTERS: Final = 24
_NOT_KNOWN: Final = ""
"""The system of a server that has not answered who it is."""
_PARTIAL: Final = ".partial"
_PID: Final = "receiver.pid"
_BLOCK: Final = 2**16
_HAS_COME: Final = text(
    "SELECT r.write_lsn >= CAST(:written AS pg_lsn) FROM pg_stat_replication r"
    " JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = :slot"
)


class Spool:
    """Where pg_receivewal writes, as PostgreSQL names it."""

    def __init__(self, directory: Path, log: Log, recipients: Sequence[x25519.Recipient]) -> None:
        self.directory = directory
        self.log = log
        self._recipients = recipients

    def whole(self) -> list[Path]:
        return sorted(path for path in self.directory.iterdir() if len(path.name) == _NAME_CHARACTERS)

    def ship(self) -> None:
        """Put all that has come into the folder. Killed at any moment, it goes on where it was.

        Raises BackupError where the folder does not take it.
        """
        try:
            # Looked for first: what becomes whole meanwhile comes before the one after it.
            partial = sorted(self.directory.glob(f"*{_PARTIAL}"))
            for path in self.directory.glob("*.history"):
                self.log.keep_history(path, self._recipients)
            for path in self.whole():
                with path.open("rb") as segment:
                    self.log.keep(path.name, segment, self._recipients)
                path.unlink()  # only now: what is whole in the folder need not come again
            for path in partial:
                self._ship_partial(path)
        except OSError as error:
            raise NoStream(f"{error.filename or self.log.folder}: {system_words(error)}") from error

    def clear(self) -> None:
        """Forget where we were: the server goes on from somewhere else, and the receiver would not."""
        for path in self.directory.iterdir():
            path.unlink()

    def _ship_partial(self, path: Path) -> None:
        """Put into the folder what has been written since; noughts after it are not written yet.

        The file is being written while we read, from its beginning to its end: once its last byte is seen,
        all before that is there.
        """
        segment = path.name.removesuffix(_PARTIAL)
        begin = self.log.end_of(segment)
        if begin == self.log.segment_bytes:
            return
        try:
            file = path.open("rb")
        except FileNotFoundError:  # whole by now: it has another name
            return
        with file:
            if (end := _end_of_written(file)) > begin:
                self.log.keep_piece(segment, begin, end, _Between(file, begin, end), self._recipients)


class _Between:
    """The bytes of a file from ``begin`` to ``end``."""

    def __init__(self, file: IO[bytes], begin: int, end: int) -> None:
        file.seek(begin)
        self._file = file
        self._left = end - begin

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


def _end_of_written(file: IO[bytes]) -> int:
    """Looked for from behind, a block at a time: most of the file is noughts."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        if written := file.read(end - begin).rstrip(b"\0"):
            return begin + len(written)
        end = begin
    return 0


@dataclass(frozen=True, slots=True)
class Server:
    """What the log of a cluster is known by."""

    system: str
    major: int
    segment_bytes: int
    has_slot: bool = False
    """It keeps for us what we have not taken yet; if not, what it has written since may be gone."""

    def log(self, copies: Path) -> Log:
        return Log(copies, self.system, self.segment_bytes)


async def keep_for_ever(prepare: Prepare) -> None:
    """Let the log flow until cancelled; whatever stands in its way is told, and it is tried again.

    Of several processes on one machine one does it; the others wait to take its place. Ends by itself only
    where the server is too old.
    """
    told = Told("backup.log_does_not_flow")
    while True:
        try:
            deps = prepared(prepare)
            with held(deps.spool):
                await asyncio.to_thread(_end_orphan, deps.spool / _PID)
                await _flow(deps, told)
        except Busy:
            pass
        except TooOld as error:
            WAL_OFF.set(1)
            log.warning("backup.only_dumps", error=str(error))
            return
        except (BackupError, Trouble, OSError, *DATABASE_AWAY, psycopg.Error) as error:
            told.say(error)
        await asyncio.sleep(AGAIN_SECONDS)


async def _flow(deps: Deps, told: Told) -> None:
    """Until something goes wrong, which is raised: BackupError, or what a database that is away raises.

    Nothing is taken from the server while the folder takes nothing from us: it would fill our own disk, and
    the server believe that it may forget.
    """
    server = await _server_of(deps)
    directory = deps.spool / server.system
    await asyncio.to_thread(directory.mkdir, mode=0o700, exist_ok=True)
    spool = Spool(directory, server.log(deps.folder), deps.keys.recipients)
    await asyncio.to_thread(_sweep, deps.folder)
    try:
        await asyncio.to_thread(spool.ship)
        if not server.has_slot:  # in this order: a kill between leaves nothing for the receiver to ask for
            await asyncio.to_thread(spool.clear)
            await asyncio.to_thread(_make_slot, deps.database_url)
    except (BackupError, psycopg.Error) as error:
        await _note(deps, server.system, trouble=error_words(error))
        raise
    stopping = asyncio.Event()
    receiver = await _receive(deps.tools(server.major), deps.database_url, directory, deps.spool / _PID)
    shipping = asyncio.create_task(_ship_until(stopping, deps, spool, told))
    ended = asyncio.create_task(receiver.wait())
    try:
        await asyncio.wait([shipping, ended], return_when=asyncio.FIRST_COMPLETED)
        if shipping.done():
            shipping.result()
        raise NoStream(await _last_words(receiver))
    except BackupError as error:
        await _note(deps, server.system, trouble=str(error))
        raise
    finally:
        stopping.set()
        await asyncio.wait([shipping])  # its thread may be writing
        with contextlib.suppress(ProcessLookupError):
            receiver.terminate()
        await ended
        with contextlib.suppress(BackupError):
            await asyncio.to_thread(spool.ship)


def _sweep(copies: Path) -> None:
    """Throw away what killed ones have left of pieces: the next piece has another name."""
    for folder in (copies / FOLDER).glob("*"):
        for name in sweep(folder):
            log.warning("backup.left_unfinished", file=name)


async def _server_of(deps: Deps) -> Server:
    """Raises BackupError and psycopg.Error; why its log cannot be had is noted, where it can be."""
    try:
        return await asyncio.to_thread(_ready_server, deps.database_url)
    except TooOld:
        raise
    except (BackupError, psycopg.Error) as error:
        with contextlib.suppress(*DATABASE_AWAY):
            await _note(deps, _NOT_KNOWN, trouble=str(error).partition("\n")[0])
        raise


async def _ship_until(stopping: asyncio.Event, deps: Deps, spool: Spool, told: Told) -> None:
    while not stopping.is_set():
        moment = deps.clock()
        is_safe = await _received_all(deps, stopping)
        await asyncio.to_thread(spool.ship)
        if is_safe:
            await _note(deps, spool.log.system, safe_until=moment)
            told.is_well()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), SECONDS)


async def _receive(tools: Tools, url: str, spool: Path, pid_file: Path) -> asyncio.subprocess.Process:
    (program, *address), environment = tools.client("pg_receivewal", url)
    receiver = await asyncio.create_subprocess_exec(
        program,
        *address,
        f"--directory={spool}",
        f"--slot={SLOT}",
        "--no-loop",
        "--no-password",
        "--status-interval=1",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        await asyncio.to_thread(pid_file.write_text, str(receiver.pid), encoding="ascii")
    except OSError as error:
        receiver.kill()
        await receiver.wait()
        raise NoStream(f"{pid_file}: {system_words(error)}") from error
    return receiver


async def _last_words(receiver: asyncio.subprocess.Process) -> str:
    assert receiver.stderr is not None
    lines = (await receiver.stderr.read()).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"pg_receivewal: код {receiver.returncode}"


def _end_orphan(path: Path) -> None:
    """End the receiver of a process that was killed: it would hold the slot for ever."""
    try:
        pid = int(path.read_text(encoding="ascii"))
        while Path(f"/proc/{pid}/comm").read_text(encoding="ascii").startswith("pg_receivewal"):
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.1)
    except (OSError, ValueError):  # none was started, or it is gone
        return


def look_at_server(connection: "psycopg.Connection[Any]") -> Server:
    """Raises NoStream where its log cannot be taken, with what has to be done."""
    row = connection.execute(
        "SELECT current_setting('server_version_num')::int / 10000,"
        " (SELECT setting::int FROM pg_settings WHERE name = 'wal_segment_size'),"
        " (SELECT system_identifier::text FROM pg_control_system()),"
        " (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user),"
        " current_setting('wal_level')"
    ).fetchone()
    assert row is not None
    major, segment_bytes, system, may_replicate, level = row
    if major < OLDEST_SERVER:
        raise TooOld(f"PostgreSQL {major}: копии на любую минуту делаются с {OLDEST_SERVER}")
    if not may_replicate:
        role = connection.info.user
        raise NoStream(f'роли {role} нельзя читать журнал: ALTER ROLE "{role}" REPLICATION')
    if level == "minimal":
        raise NoStream("у сервера базы wal_level=minimal, нужен replica")
    return Server(system, major, segment_bytes)


def _ready_server(url: str) -> Server:
    """Whether there is a slot for us; one that has waited too long is none any more. Raises NoStream."""
    with psycopg.connect(impatient(url), autocommit=True) as connection:
        server = look_at_server(connection)
        slot = connection.execute(
            "SELECT wal_status = 'lost', active FROM pg_replication_slots WHERE slot_name = %s", [SLOT]
        ).fetchone()
        if slot is not None and slot[0]:  # it waited for us longer than the server has room
            connection.execute("SELECT pg_drop_replication_slot(%s)", [SLOT])
            slot = None
        if slot is not None and slot[1]:
            raise NoStream(f"журнал уже забирает другой: слот {SLOT} занят")
    return replace(server, has_slot=slot is not None)


def _make_slot(url: str) -> None:
    """From now on the server keeps what was not taken yet."""
    with psycopg.connect(impatient(url), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_create_physical_replication_slot(%s, immediately_reserve => true)", [SLOT]
        )


async def _received_all(deps: Deps, stopping: asyncio.Event) -> bool:
    """Whether all that the server has written by now has come, waited for some seconds."""
    async with deps.db.read("backup: written") as session:
        written = await session.scalar(text("SELECT pg_current_wal_flush_lsn()::text"))
    for _ in range(_CATCH_UP_TRIES):
        async with deps.db.read("backup: received") as session:
            if await session.scalar(_HAS_COME, {"written": written, "slot": SLOT}):
                return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _CATCH_UP_SECONDS)
            return False
    return False


async def _note(
    deps: Deps,
    system: str,
    *,
    safe_until: datetime | None = None,
    trouble: str = "",
) -> None:
    async with deps.db.begin("backup: log") as session:
        await note_stream(
            session,
            system,
            safe_until=safe_until,
            has_offsite=deps.bucket is not None,
            trouble=trouble or None,
            now=deps.clock(),
        )
