"""What one of PostgreSQL's programs writes, read while it runs."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from getpro.backups.errors import DumpFailed
from getpro.backups.interruption import ended_by


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
