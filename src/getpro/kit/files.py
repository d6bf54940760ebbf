"""Files that are there whole or not at all."""

import contextlib
import errno
import glob
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, Final

_LEFT_SECONDS: Final = 3600
"""Nobody writes a text for so long."""


def open_plain(path: Path) -> BinaryIO:
    """To be read: a plain file, not one that a link leads to, and nothing that one waits at, such as a pipe.

    For a folder where others can write, too. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), str(path))
    return os.fdopen(descriptor, "rb")


def write_new(path: Path, text: str) -> None:
    """A file for its owner alone, and never over another; raises FileExistsError and any other OSError.

    A kill leaves either none or a whole one; of two writers that come at once one wins. What a kill has left
    beside it, the next writer throws away.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????"):  # as mkstemp names them
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                left.unlink()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.link(fresh, path)
    finally:
        fresh.unlink()


def replace(path: Path, text: str) -> None:
    """Put a file for its owner alone in the place of the one that is there, and leave it whose it was.

    Whole or not at all; raises OSError.
    """
    owner = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
