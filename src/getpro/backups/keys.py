"""Keys of the copies, in age's form: https://age-encryption.org/v1. The private one lies elsewhere."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from pyrage import IdentityError, RecipientError, x25519

from getpro.backups.folder import has_copies
from getpro.backups.signature import known_as
from getpro.kit.files import write_new
from getpro.kit.trouble import Trouble, system_words

log = structlog.get_logger(__name__)

FILE = "backup.key"
"""In the data directory."""


_SHOWN: Final = "backup.key.shown"
"""Beside it, once somebody has had it printed."""


@dataclass(frozen=True, slots=True)
class Keys:
    """``identity`` opens what this machine has closed; ``recipients`` are all who can open it."""

    identity: x25519.Identity
    recipients: tuple[x25519.Recipient, ...]


def keys(directory: Path, copies: Path, others: Sequence[str] = ()) -> Keys:
    """The machine's key, made where there is neither it nor a copy, and the public keys of ``others``.

    Beside ``copies`` that another key has closed, a new one would be saved by nobody. Raises Trouble.
    """
    path = directory / FILE
    identity = _read(path) or _first(path, copies)
    try:
        recipients = [x25519.Recipient.from_str(other) for other in others]
    except RecipientError as error:
        raise Trouble(
            "Настройки не подходят.",
            "BACKUP_RECIPIENTS: это не открытый ключ age.",
            "Он начинается с age1: его печатает age-keygen.",
        ) from error
    return Keys(identity, (identity.to_public(), *recipients))


def read_identity(path: Path) -> x25519.Identity:
    """A private key from a file as age-keygen writes it, or ours; raises Trouble."""
    if (found := _read(path)) is None:
        raise Trouble("Ключа нет.", f"{path}: такого файла нет.", "Укажите файл с ключом: --key ФАЙЛ.")
    return found


def note_shown(directory: Path, identity: x25519.Identity) -> None:
    """Somebody has had the key printed, and can have saved it."""
    with contextlib.suppress(OSError):  # it is asked for once more
        (directory / _SHOWN).write_text(f"{known_as(identity)}\n", encoding="ascii")


def was_shown(directory: Path, identity: x25519.Identity) -> bool:
    """This key, not one of before."""
    try:
        return (directory / _SHOWN).read_text(encoding="ascii").strip() == known_as(identity)
    except (OSError, UnicodeDecodeError):
        return False


def _read(path: Path) -> x25519.Identity | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return x25519.Identity.from_str(next(line for line in lines if line.startswith("AGE-SECRET-KEY-")))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Trouble(
            "Ключ копий не прочитать.", f"{path}: {system_words(error)}.", "Проверьте права."
        ) from error
    except (IdentityError, StopIteration, UnicodeDecodeError) as error:
        raise Trouble(
            "Ключ копий испорчен.",
            f"{path}: это не ключ age.",
            "Верните его из того места, где вы его сохранили; новый прежних копий не откроет.",
        ) from error


def _first(path: Path, copies: Path) -> x25519.Identity:
    """Of two that come at once one wins."""
    if has_copies(copies):
        raise Trouble(
            "Ключа копий нет.",
            f"{path}: такого файла нет, а в {copies} лежат копии, закрытые им.",
            "Верните его из того места, где вы его сохранили. Пропал совсем: уберите из папки прежние копии"
            " вместе с wal, и магазин начнёт новые с новым ключом.",
        )
    identity = x25519.Identity.generate()
    try:
        write_new(path, f"# public key: {identity.to_public()}\n{identity}\n")
    except FileExistsError:
        return read_identity(path)
    log.warning("backup.key_made", file=str(path))
    return identity
