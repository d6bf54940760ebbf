"""What leaves for the folder of copies: compressed with zstd, closed with age."""

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Final, Protocol, cast

import pyrage
import zstandard
from pyrage import x25519

from getpro.backups.errors import Damaged, DumpFailed, WrongKey
from getpro.backups.folder import Sink
from getpro.backups.progress import OnBytes, nobody
from getpro.kit.files import open_plain

ENDING: Final = ".zst.age"
ALL_CORES: Final = -1
_LEVEL: Final = 1
"""Rows of numbers and times come out no larger than of level 3, in half its time."""
_NOT_KNOWN: Final = -1


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def seal(
    source: Readable,
    sink: Sink,
    recipients: Sequence[x25519.Recipient],
    *,
    threads: int = ALL_CORES,
    source_bytes: int = _NOT_KNOWN,
) -> None:
    """Write all that ``source`` says; raises DumpFailed, and OSError where there is no room.

    ``source_bytes``: how much that is, where :func:`unseal_bytes` shall open it. ``threads``: each takes some
    MiB of memory.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=threads)
    compressed = compressor.stream_reader(cast("IO[bytes]", source), size=source_bytes)
    try:
        pyrage.encrypt_io(compressed, sink, list(recipients))
    except pyrage.EncryptError as error:
        raise sink.trouble or DumpFailed(str(error)) from error


def seal_bytes(data: bytes, recipients: Sequence[x25519.Recipient]) -> bytes:
    closed: bytes = pyrage.encrypt(zstandard.ZstdCompressor(level=_LEVEL).compress(data), list(recipients))
    return closed


def unseal(path: Path, identity: x25519.Identity, sink: Sink, *, on_bytes: OnBytes = nobody) -> None:
    """Write what lies in the file; raises Damaged, or OSError where the sink takes no more.

    ``on_bytes`` is told how much of the file is read.
    """
    with open_plain(path) as closed:
        reading = _Reading(closed, on_bytes)
        opened = zstandard.ZstdDecompressor().stream_writer(cast("IO[bytes]", sink))
        try:
            _apart(partial(pyrage.decrypt_io, cast("IO[bytes]", reading), opened, [identity]), reading.stop)
        except pyrage.DecryptError as error:
            raise WrongKey(f"{path.name}: этот ключ её не открывает") from error
        except (OSError, zstandard.ZstdError) as error:
            raise sink.trouble or Damaged(f"{path.name}: содержимое испорчено") from error


def require_opens(path: Path, identity: x25519.Identity) -> None:
    """That the key opens the file, of which no more than the beginning is read.

    Raises WrongKey, Damaged, and OSError where there is no file.
    """
    with open_plain(path) as closed:
        first = _First()
        try:
            pyrage.decrypt_io(cast("IO[bytes]", closed), cast("IO[bytes]", first), [identity])
        except (pyrage.DecryptError, OSError) as error:
            if first.has_come:
                return
            if isinstance(error, pyrage.DecryptError):
                raise WrongKey(f"{path.name}: этот ключ её не открывает") from error
            raise Damaged(f"{path.name}: содержимое испорчено") from error


class _First:
    """Takes the first bytes, and no more."""

    has_come = False

    def write(self, _: bytes) -> int:
        self.has_come = True
        raise BrokenPipeError

    def flush(self) -> None:
        pass


def _apart(work: Callable[[], object], stop: Callable[[], object]) -> None:
    """Do it in another thread, which ``stop`` ends.

    Ctrl-C comes to the main thread alone; in a callback pyrage would take it for trouble with the file.
    """
    with ThreadPoolExecutor(1) as other:
        done = other.submit(contextvars.copy_context().run, work)
        try:
            done.result()
        except BaseException:
            stop()
            raise


class _Reading:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], on_bytes: OnBytes) -> None:
        self._file = file
        self._on_bytes = on_bytes
        self._bytes = 0
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True

    def read(self, size: int = -1) -> bytes:
        if self._is_stopped:
            raise BrokenPipeError  # after an InterruptedError age would ask again, for ever
        data = self._file.read(size)
        self._bytes += len(data)
        self._on_bytes(self._bytes)
        return data


def unseal_bytes(path: Path, identity: x25519.Identity) -> bytes:
    """What :func:`seal_bytes` has closed, or :func:`seal` knowing its size; raises Damaged."""
    try:
        with open_plain(path) as closed:
            return zstandard.ZstdDecompressor().decompress(pyrage.decrypt(closed.read(), [identity]))
    except (pyrage.DecryptError, zstandard.ZstdError, OSError) as error:
        raise Damaged(f"{path.name}: не открывается: не тот ключ, или содержимое испорчено") from error
