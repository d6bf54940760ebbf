"""Out of a copy into a database."""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psycopg
from pyrage import x25519

from getpro.backups.errors import Damaged, NotRestored, NotThere
from getpro.backups.folder import Sink, archive_of, hash_of
from getpro.backups.interruption import unhurried
from getpro.backups.manifest import Facts, Manifest, facts_of
from getpro.backups.progress import OnBytes, nobody
from getpro.backups.sealed import unseal
from getpro.backups.signature import SEALS, Seal
from getpro.kit.trouble import system_words
from getpro.platform.postgres.address import impatient
from getpro.platform.postgres.tools import Tools

NAME: Final = "2getpro restore"
"""How a database knows who restores."""
_JOBS: Final = 2
_LOOK_SECONDS: Final = 0.5


def require_whole(folder: Path, manifest: Manifest, identity: x25519.Identity) -> Path:
    """The copy's file, which is what was written; raises NotThere and Damaged."""
    if (seal := manifest.seal(identity)) is Seal.BROKEN:
        raise Damaged(f"{manifest.name}: {SEALS[seal]}")
    path = archive_of(folder, manifest.name, manifest.kind)
    try:
        seen = hash_of(path)
    except FileNotFoundError as error:
        raise NotThere(f"{path}: файла нет") from error
    except OSError as error:
        raise Damaged(f"{path}: {system_words(error)}") from error
    if seen != manifest.sha256:
        raise Damaged(f"{path.name}: не те байты, что были записаны")
    return path


def decrypt(path: Path, identity: x25519.Identity, plain: Path, *, on_bytes: OnBytes = nobody) -> None:
    """Write the copy as pg_restore reads it; raises Damaged, or NotRestored where there is no room.

    A file and not a stream: only there can pg_restore work on several tables at once. ``on_bytes`` is told
    how much of the copy is read.
    """
    with plain.open("xb") as file:
        plain.chmod(0o600)
        try:
            unseal(path, identity, Sink(file), on_bytes=on_bytes)
        except OSError as error:
            raise NotRestored(f"{plain.parent}: {system_words(error)}") from error


def restore(
    dump: Path, tools: Tools, url: str, *, with_comments: bool = True, on_bytes: OnBytes = nobody
) -> None:
    """Into an empty database: all of it, constraints checked; raises NotRestored at the first error.

    On some extensions none but a superuser may comment. ``on_bytes`` is told how big the database is by now.
    """
    arguments, environment = tools.client("pg_restore", url)
    command = [*arguments, "--exit-on-error", "--no-owner", "--no-privileges", f"--jobs={_JOBS}"]
    command += [str(dump)] if with_comments else ["--no-comments", str(dump)]
    with _carried_out(command, environment | {"PGAPPNAME": NAME}) as process, _measured(url) as size:
        while process.poll() is None:
            on_bytes(size())
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)


def unload(tools: Tools, url: str, file: Path) -> None:
    """Write the database as :func:`restore` reads it, for its owner alone; raises NotRestored."""
    file.touch(mode=0o600)
    arguments, environment = tools.client("pg_dump", url)
    command = [*arguments, "--format=custom", "--compress=0", "--no-owner", "--no-privileges"]
    with _carried_out([*command, f"--file={file}"], environment) as process:
        process.wait()


@contextlib.contextmanager
def _carried_out(command: list[str], environment: dict[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """One of PostgreSQL's programs, which the block waits for; raises NotRestored unless it was satisfied.

    Whoever leaves the block by an error ends it: in an orderly way, for its own processes end with it.
    """
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(  # noqa: S603 -- our own program and settings
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints, env=environment
        ) as process:
            try:
                yield process
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            told = [line for line in lines if "error:" in line] or lines[-1:]
            raise NotRestored(told[0] if told else f"{Path(command[0]).name}: код {process.returncode}")


@contextlib.contextmanager
def _measured(url: str) -> Iterator[Callable[[], int]]:
    """What says how big the database is; it says 0 where that cannot be seen."""

    def size() -> int:
        with contextlib.suppress(psycopg.Error):
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            return 0 if row is None else int(row[0])
        return 0

    try:
        with psycopg.connect(impatient(url), autocommit=True, application_name=NAME) as connection:
            yield size
    except psycopg.OperationalError as error:
        raise NotRestored(str(error).partition("\n")[0]) from error


def require_the_same(facts: Facts, url: str) -> None:
    """Count the database at ``url``; raises NotRestored unless it has just these rows and sums."""
    with psycopg.connect(impatient(url), application_name=NAME) as connection:
        unhurried(connection)
        found = facts.differences(facts_of(connection))
    if found:
        raise NotRestored("; ".join(found[:5]))
