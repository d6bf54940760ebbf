"""What one of PostgreSQL's programs writes, read while it runs."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psycopg

from getpro.backups.errors import DumpFailed
from getpro.backups.interruption import ended_by
from getpro.kit.trouble import system_words


@contextlib.contextmanager
def as_dump_failed(folder: Path) -> Iterator[None]:
    """What goes wrong with a copy into ``folder``, as DumpFailed."""
    try:
        yield
    except psycopg.Error as error:
        raise DumpFailed(str(error).partition("\n")[0] or type(error).__name__) from error
    except OSError as error:
        raise DumpFailed(f"{folder}: {system_words(error)}") from error


@contextlib.contextmanager
def output_of(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[IO[bytes]]:
    """Its output; raises DumpFailed at the end of the block unless it was satisfied."""
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 -- our own program and settings
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
        )
        assert process.stdout is not None
        try:
            with ended_by(process.kill):
                yield process.stdout
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdout.close()
            process.wait()
        if process.returncode != 0:
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            name = Path(command[0]).name
            raise DumpFailed(lines[-1] if lines else f"{name}: код {process.returncode}")
