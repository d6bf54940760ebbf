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
NEXT = "backup.key.next"
"""Beside it while it is being changed: what is closed now, both open."""


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
    coming = _read(directory / NEXT)
    own = [identity.to_public(), *([] if coming is None else [coming.to_public()])]
    return Keys(identity, (*own, *recipients))


def begin_change(directory: Path) -> bool:
    """Make the next key, which opens whatever is closed from now on; False where there is one already.

    Raises Trouble.
    """
    try:
        _write(directory / NEXT)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritten(directory / NEXT, error) from error
    return True


def end_change(directory: Path, *, kept_as: str) -> None:
    """Put the next key in the place of the present one, which stays beside it as ``kept_as``.

    Killed in between, it is done by the next call. Raises Trouble.
    """
    path, old = directory / FILE, directory / kept_as
    try:
        text = path.read_text(encoding="ascii")
        try:
            write_new(old, text)
        except FileExistsError:
            if old.read_text(encoding="ascii") != text:
                raise
        (directory / NEXT).replace(path)
    except OSError as error:
        raise _unwritten(old, error) from error


def _unwritten(path: Path, error: OSError) -> Trouble:
    return Trouble(
        "Ключ копий не записать.",
        f"{path}: {system_words(error)}.",
        "Запустите от владельца папки и проверьте место на диске.",
    )


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
    try:
        identity = _write(path)
    except FileExistsError:
        return read_identity(path)
    log.warning("backup.key_made", file=str(path))
    return identity


def _write(path: Path) -> x25519.Identity:
    identity = x25519.Identity.generate()
    write_new(path, f"# public key: {identity.to_public()}\n{identity}\n")
    return identity
