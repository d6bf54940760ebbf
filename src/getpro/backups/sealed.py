"""What leaves for the folder of copies: compressed with zstd, closed with age."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, cast

import pyrage
import zstandard
from pyrage import x25519

from getpro.backups.errors import Damaged, DumpFailed
from getpro.backups.folder import Sink

ENDING: Final = ".zst.age"
_LEVEL: Final = 3


def seal(source: IO[bytes], sink: Sink, recipients: Sequence[x25519.Recipient]) -> None:
    """Write all that ``source`` says; raises DumpFailed, and OSError where there is no room."""
    compressed = zstandard.ZstdCompressor(level=_LEVEL, threads=-1).stream_reader(source)
    try:
        pyrage.encrypt_io(compressed, sink, list(recipients))
    except pyrage.EncryptError as error:
        raise sink.trouble or DumpFailed(str(error)) from error


def seal_bytes(data: bytes, recipients: Sequence[x25519.Recipient]) -> bytes:
    closed: bytes = pyrage.encrypt(zstandard.ZstdCompressor(level=_LEVEL).compress(data), list(recipients))
    return closed


def unseal(path: Path, identity: x25519.Identity, sink: Sink) -> None:
    """Write what lies in the file; raises Damaged, or OSError where the sink takes no more."""
    with path.open("rb") as closed:
        try:
            opened = zstandard.ZstdDecompressor().stream_writer(cast("IO[bytes]", sink))
            pyrage.decrypt_io(closed, opened, [identity])
        except pyrage.DecryptError as error:
            raise Damaged(f"{path.name}: этот ключ её не открывает") from error
        except (OSError, zstandard.ZstdError) as error:
            raise sink.trouble or Damaged(f"{path.name}: содержимое испорчено") from error


def unseal_bytes(path: Path, identity: x25519.Identity) -> bytes:
    """What :func:`seal_bytes` has closed; raises Damaged."""
    try:
        return zstandard.ZstdDecompressor().decompress(pyrage.decrypt(path.read_bytes(), [identity]))
    except (pyrage.DecryptError, zstandard.ZstdError, OSError) as error:
        raise Damaged(f"{path.name}: не открывается: не тот ключ, или содержимое испорчено") from error
