"""What tables keep of a customer's secrets, encrypted with keys that lie outside the database."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyrage
from pydantic import SecretStr
from pyrage import x25519

from getpro.kit.files import write_new
from getpro.kit.trouble import Trouble, system_words
from getpro.platform.postgres import default_directory
from getpro.platform.settings import DatabaseSettings

FILE: Final = "database.key"
"""In the data directory, a key a line; see ``DATABASE_KEYS``."""


class Cipher:
    """Encrypts with the first of its keys and decrypts with any: so that keys can be changed."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Each a private key of age; raises ValueError for another one, and for none."""
        if not keys:
            raise ValueError("no key")
        try:
            self._keys = [x25519.Identity.from_str(key) for key in keys]
        except pyrage.IdentityError as error:
            raise ValueError("no key of age") from error

    def encrypt(self, text: str) -> bytes:
        return bytes(pyrage.encrypt(text.encode(), [self._keys[0].to_public()]))

    def decrypt(self, encrypted: bytes) -> str | None:
        """None for what was encrypted with none of the keys."""
        try:
            return str(pyrage.decrypt(encrypted, self._keys), "utf-8")
        except pyrage.DecryptError:
            return None


def database_keys(settings: DatabaseSettings) -> list[str]:
    """The keys that are set, or those of the data directory, made where there are none; raises Trouble."""
    if settings.database_keys is not None:
        return keys_of(settings.database_keys)
    directory = settings.data_dir or default_directory()
    return _read(directory / FILE) or _make(directory / FILE)


def keys_of(setting: SecretStr) -> list[str]:
    """What ``DATABASE_KEYS`` lists."""
    return setting.get_secret_value().split(",")


def new_key() -> str:
    return str(x25519.Identity.generate())


def cipher(settings: DatabaseSettings) -> Cipher:
    """With the shop's own keys; raises Trouble where they cannot be had."""
    keys = database_keys(settings)
    try:
        return Cipher(keys)
    except ValueError as error:  # those of the settings have been looked at
        path = (settings.data_dir or default_directory()) / FILE
        raise Trouble(
            "Ключ базы испорчен.",
            f"{path}: это не ключ.",
            "Верните файл или уберите его: ссылки клиентов магазин тогда спросит у панели заново.",
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


def _make(path: Path) -> list[str]:
    """Of two that come at once one wins."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, f"{new_key()}\n")
    except FileExistsError:
        pass
    except OSError as error:
        raise Trouble(
            "Ключ базы не записать.",
            f"{path}: {system_words(error)}.",
            "Проверьте права и место на диске, или задайте DATABASE_KEYS.",
        ) from error
    return _read(path)
