"""The folder of copies: what is written there is whole or not there at all."""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from getpro.backups.errors import Busy, NoFolder
from getpro.backups.interruption import go_on
from getpro.backups.states import BackupKind
from getpro.kit.files import open_plain
from getpro.kit.trouble import system_words

UNFINISHED: Final = ".making-"
"""How the name of a file begins until it is whole."""
LATEST: Final = "latest.sql.gz"
ARCHIVE: Final = ".dump.zst.age"
BASE: Final = ".base.zst.age"
FILES: Final = ".files"
"""PostgreSQL's own list of what a base backup holds, from which it knows what has changed since."""
SETTINGS: Final = ".settings.age"
MANIFEST: Final = ".json"
PROOF: Final = ".proof"
"""How its last trial went."""
NAMED: Final = re.compile(r"2getpro-\d{8}-\d{6}(-full|-incremental)?", re.ASCII)
"""What a copy is called."""
PASSED_THROUGH: Final = 0o711
"""The mode of a folder in which a server works that may not run as root."""
_LOCK: Final = ".lock"
_BLOCK: Final = 2**20
_AS_IT_LIES: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""No link is followed, and no pipe waited at: others may be able to write there."""


class Sink:
    """Takes bytes for a file, counts and hashes them. What went wrong with writing is kept in ``trouble``.

    pyrage passes an error of the writer on as one of its own, without its number.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0
        self.trouble: OSError | None = None

    def write(self, data: bytes) -> int:
        go_on()
        try:
            self._file.write(data)
        except OSError as error:
            self.trouble = error
            raise
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


@contextlib.contextmanager
def written(path: Path) -> Iterator[Sink]:
    """A file for its owner alone that takes its name, atomically, at the end of the block.

    Whatever goes wrong, or kills us, before that leaves what stood there as it was.
    """
    fresh = path.with_name(UNFINISHED + path.name)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _AS_IT_LIES, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield Sink(file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _keep_names(path.parent)


@contextlib.contextmanager
def held(folder: Path, *, mode: int = 0o700, lock: str = _LOCK) -> Iterator[None]:
    """Alone in the folder until the end of the block; raises Busy and NoFolder.

    A folder that is missing is made, with ``mode``. The lock goes with its process; another ``lock`` is of
    those who do something else there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
        file = os.fdopen(os.open(folder / lock, os.O_RDWR | os.O_CREAT | _AS_IT_LIES, 0o666), "r+b")
    except OSError as error:
        raise NoFolder(f"{folder}: {system_words(error)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("с копиями уже работает другой процесс") from None
        yield


def sweep(folder: Path) -> list[str]:
    """Throw away what was never finished, and say what; only for who holds the folder."""
    left = sorted(folder.glob(f"{UNFINISHED}*"))
    for path in left:
        path.unlink()
    return [path.name for path in left]


def archive_of(folder: Path, name: str, kind: BackupKind) -> Path:
    return folder / f"{name}{ARCHIVE if kind is BackupKind.DUMP else BASE}"


def abandon(folder: Path) -> None:
    """Remove a folder in which nothing is but our lock; any other stays."""
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [_LOCK]:
            (folder / _LOCK).unlink()
            folder.rmdir()


def has_copies(folder: Path) -> bool:
    """Whether anything closed lies there: a copy, or some of the log."""
    return any(folder.rglob("*.age"))


def names(folder: Path) -> list[str]:
    """Of the copies that have a manifest, whole or not; whatever else lies there is somebody else's."""
    return sorted(
        path.name.removesuffix(MANIFEST)
        for path in folder.glob(f"*{MANIFEST}")
        if NAMED.fullmatch(path.name.removesuffix(MANIFEST))
    )


def hash_of(path: Path) -> str:
    seen = hashlib.sha256()
    with open_plain(path) as file:
        while block := file.read(_BLOCK):
            go_on()
            seen.update(block)
    return seen.hexdigest()


def remove(folder: Path, name: str) -> None:
    """The manifest goes last: a kill between leaves what tells that the copy is gone."""
    for ending in (ARCHIVE, BASE, FILES, SETTINGS, PROOF):
        (folder / f"{name}{ending}").unlink(missing_ok=True)
    (folder / f"{name}{MANIFEST}").unlink(missing_ok=True)
    _keep_names(folder)


def _keep_names(folder: Path) -> None:
    """A rename survives a power cut only once the folder itself is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
