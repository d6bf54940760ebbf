"""What tables keep of a customer's secrets, encrypted with keys that lie outside the database."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pyrage
from pydantic import SecretStr
from pyrage import x25519

from getpro.kit.files import replace, write_new
from getpro.kit.trouble import Trouble, system_words
from getpro.platform.postgres import default_directory
from getpro.platform.settings import DatabaseSettings

FILE: Final = "database.key"
"""In the data directory, a key a line; see ``DATABASE_KEYS``."""


class Cipher:
    """Encrypts with the first of its keys and decrypts with any: so that keys can be changed."""

    def __init__(self, keys: Sequence[str], *, again: Callable[[], Sequence[str]] | None = None) -> None:
        """Each a private key of age; raises ValueError for another one, and for none.

        ``again`` gives them as they are by now: a key may be changed while this process runs.
        """
        if not keys:
            raise ValueError("no key")
        self._keys = _identities(keys)
        self._texts, self._again = set(keys), again

    def encrypt(self, text: str) -> bytes:
        return bytes(pyrage.encrypt(text.encode(), [self._keys[0].to_public()]))

    def decrypt(self, encrypted: bytes) -> str | None:
        """None for what was encrypted with none of the keys."""
        found = self._opened(encrypted)
        return self._opened(encrypted) if found is None and self._learns() else found

    def _opened(self, encrypted: bytes) -> str | None:
        try:
            return str(pyrage.decrypt(encrypted, self._keys), "utf-8")
        except pyrage.DecryptError:
            return None

    def _learns(self) -> bool:
        """Whether there are keys by now that were not there before. The first stays the first."""
        if self._again is None:
            return False
        try:
            new = [key for key in self._again() if key not in self._texts]
            self._keys += _identities(new)
        except (Trouble, ValueError):
            return False
        self._texts |= set(new)
        return bool(new)


def _identities(keys: Sequence[str]) -> list[x25519.Identity]:
    try:
        return [x25519.Identity.from_str(key) for key in keys]
    except pyrage.IdentityError as error:
        raise ValueError("no key of age") from error


def database_keys(settings: DatabaseSettings) -> list[str]:
    """The keys that are set, or those of the data directory; raises Trouble where there are none.

    None is made here: a new one beside tables that another has encrypted would be taken for that one.
    """
    if settings.database_keys is not None:
        return keys_of(settings.database_keys)
    path = _path(settings)
    if found := _read(path):
        return found
    raise Trouble(
        "Ключа базы нет.",
        f"{path}: такого файла нет, а им зашифровано то, что в базе секретно.",
        "Верните его из прежней папки данных или строкой DATABASE_KEYS из настроек рядом с копией (2getpro"
        " backup settings). Пропал совсем: 2getpro backup key --database --new. Магазин ещё не запускали:"
        " первый раз ключ делает 2getpro run.",
    )


def has_keys(settings: DatabaseSettings) -> bool:
    return settings.database_keys is not None or bool(_read(_path(settings)))


def make_key(settings: DatabaseSettings) -> None:
    """In the data directory, where there is none; of two that come at once one wins. Raises Trouble."""
    path = _path(settings)
    with _written(path), contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, f"{new_key()}\n")


def put_new_first(settings: DatabaseSettings) -> Path:
    """A new key before those that lie in the data directory, which go on decrypting; raises Trouble."""
    path = _path(settings)
    fresh = path.with_name(f"{FILE}.new")
    with _written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        write_new(fresh, "".join(f"{key}\n" for key in [new_key(), *_read(path)]))
        fresh.replace(path)
    return path


def _path(settings: DatabaseSettings) -> Path:
    return (settings.data_dir or default_directory()) / FILE


def keys_of(setting: SecretStr) -> list[str]:
    """What ``DATABASE_KEYS`` lists."""
    return setting.get_secret_value().split(",")


def replace_keys(path: Path, keys: Sequence[str]) -> None:
    """Have the data directory's file list these; raises Trouble."""
    try:
        replace(path, "".join(f"{key}\n" for key in keys))
    except OSError as error:
        raise Trouble(
            "Ключ базы не записать.",
            f"{path}: {system_words(error)}.",
            "Запустите от владельца файла и проверьте место на диске.",
        ) from error


def new_key() -> str:
    return str(x25519.Identity.generate())


def cipher(settings: DatabaseSettings) -> Cipher:
    """With the shop's own keys; raises Trouble where they cannot be had."""
    keys = database_keys(settings)
    try:
        return Cipher(keys, again=partial(database_keys, settings))
    except ValueError as error:  # those of the settings have been looked at
        raise Trouble(
            "Ключ базы испорчен.",
            f"{_path(settings)}: это не ключ.",
            "Верните файл. Вернуть неоткуда: уберите его и сделайте новый, 2getpro backup key --database"
            " --new; ссылки клиентов магазин тогда спросит у панели заново.",
        ) from error


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        return [""]  # no key, and told so
    except OSError as error:
        raise Trouble(
            "Ключ базы не прочитать.", f"{path}: {system_words(error)}.", "Проверьте права."
        ) from error
    return [line for line in lines if not line.startswith("#")] or [""]


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Trouble(
            "Ключ базы не записать.",
            f"{path}: {system_words(error)}.",
            "Проверьте права и место на диске, или задайте DATABASE_KEYS.",
        ) from error
