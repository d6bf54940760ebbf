"""Out of a copy into a database."""

import subprocess
from pathlib import Path
from typing import Final

from pyrage import x25519

from getpro.backups.errors import Damaged, NotRestored, NotThere
from getpro.backups.folder import Sink, archive_of, hash_of
from getpro.backups.manifest import Manifest
from getpro.backups.sealed import unseal
from getpro.kit.trouble import system_words
from getpro.platform.postgres.tools import Tools

_JOBS: Final = 2


def require_whole(folder: Path, manifest: Manifest) -> Path:
    """The copy's file, which is what was written; raises NotThere and Damaged."""
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


def decrypt(path: Path, identity: x25519.Identity, plain: Path) -> None:
    """Write the copy as pg_restore reads it; raises Damaged, or NotRestored where there is no room.

    A file and not a stream: only there can pg_restore work on several tables at once.
    """
    with plain.open("xb") as file:
        plain.chmod(0o600)
        try:
            unseal(path, identity, Sink(file))
        except OSError as error:
            raise NotRestored(f"{plain.parent}: {system_words(error)}") from error


def restore(dump: Path, tools: Tools, url: str) -> None:
    """Into an empty database: all of it, constraints checked; raises NotRestored at the first error."""
    arguments, environment = tools.client("pg_restore", url)
    done = subprocess.run(  # noqa: S603 -- our own program and settings
        [*arguments, "--exit-on-error", "--no-owner", "--no-privileges", f"--jobs={_JOBS}", str(dump)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise NotRestored(lines[-1] if lines else f"pg_restore: код {done.returncode}")
