"""The settings beside a copy, closed with the same keys: what a rebuild reads as ``.env``."""

import hashlib
import re
from pathlib import Path
from typing import Final

import psycopg
import pyrage
from psycopg import sql
from psycopg.rows import scalar_row
from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from pyrage import x25519

from getpro.backups.errors import BackupError, Damaged, NotRestored, NotThere
from getpro.backups.folder import SETTINGS, written
from getpro.backups.manifest import File, Manifest
from getpro.kit.files import open_plain, write_new
from getpro.kit.trouble import Trouble, system_words
from getpro.platform.cipher import Cipher, keys_of
from getpro.platform.postgres.address import impatient
from getpro.platform.settings import Settings
from getpro.platform.wrong_settings import wrong_settings


def close(text: str, folder: Path, name: str, recipients: list[x25519.Recipient]) -> File:
    """Write ``text`` beside the copy ``name``."""
    with written(folder / f"{name}{SETTINGS}") as sink:
        sink.write(pyrage.encrypt(text.encode(), recipients))
    return File(sink.bytes, sink.sha256)


def opened(folder: Path, name: str, identity: x25519.Identity, *, expected: File | None = None) -> str:
    """The settings of the copy ``name``; raises NotThere and Damaged."""
    path = folder / f"{name}{SETTINGS}"
    try:
        with open_plain(path) as file:
            closed = file.read()
    except FileNotFoundError as error:
        raise NotThere(f"{path}: файла нет") from error
    except OSError as error:
        raise Damaged(f"{path}: {system_words(error)}") from error
    if expected is not None and hashlib.sha256(closed).hexdigest() != expected.sha256:
        raise Damaged(f"{path.name}: не те байты, что были записаны")
    try:
        return str(pyrage.decrypt(closed, [identity]), "utf-8")
    except (pyrage.DecryptError, UnicodeDecodeError) as error:
        raise Damaged(f"{path.name}: этот ключ её не открывает") from error


_KEYS: Final = re.compile(r"^DATABASE_KEYS=[\"']?([A-Z0-9,-]+)", re.MULTILINE | re.ASCII)
_SECRET_COLUMNS: Final = {"panel_accounts": "encrypted_url", "contact_ways": "sealed"}
"""By table: what is encrypted with the keys among the settings."""
_NEWEST_SECRETS: Final = (
    "SELECT encrypted_url FROM panel_accounts WHERE encrypted_url IS NOT NULL"
    " ORDER BY confirmed_at DESC LIMIT 100"
)


class _AsWritten(Settings):
    """Read from the file alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- pydantic's signature, here and below
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (dotenv_settings,)


def read(folder: Path, manifest: Manifest, identity: x25519.Identity, plain: Path) -> Settings:
    """What a shop would start with that has the settings beside the copy.

    ``plain`` is where they lie open meanwhile. Raises NotThere, Damaged, NotRestored.
    """
    write_out(plain, opened(folder, manifest.name, identity, expected=manifest.settings))
    try:
        return _AsWritten(_env_file=plain)  # type: ignore[call-arg] # what is required stands in the file
    except ValidationError as error:
        told = "; ".join(map(str, wrong_settings(error)))
        raise NotRestored(f"настройки из копии не подходят: {told}") from None
    finally:
        plain.unlink()


def require_secrets(url: str, settings: Settings) -> None:
    """See that the keys among ``settings`` decrypt what the tables at ``url`` keep; raises NotRestored."""
    cipher = None if settings.database_keys is None else Cipher(keys_of(settings.database_keys))
    with psycopg.connect(url, autocommit=True, row_factory=scalar_row) as connection:
        kept: list[bytes] = connection.execute(_NEWEST_SECRETS).fetchall()
    closed = sum(cipher is None or cipher.decrypt(encrypted) is None for encrypted in kept)
    if closed:
        raise NotRestored(
            f"ключи из настроек не открывают ссылок клиентов: {closed} из {len(kept)} последних"
        )


def keeps_secrets(url: str) -> bool:
    """Whether the tables at ``url``, of whatever version, keep something that is encrypted."""
    with psycopg.connect(impatient(url), autocommit=True, row_factory=scalar_row) as connection:
        for table, column in _SECRET_COLUMNS.items():
            is_there = connection.execute(
                "SELECT EXISTS (SELECT FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name = %s AND column_name = %s)",
                [table, column],
            ).fetchone()
            some = sql.SQL("SELECT EXISTS (SELECT FROM public.{} WHERE {} IS NOT NULL)").format(
                sql.Identifier(table), sql.Identifier(column)
            )
            if is_there and connection.execute(some).fetchone():
                return True
    return False


def keys_beside(folder: Path, name: str, identity: x25519.Identity) -> list[str]:
    """The keys of the database among the settings of the copy ``name``; none where they are not there."""
    try:
        found = _KEYS.search(opened(folder, name, identity))
    except BackupError:
        return []
    return [] if found is None else found[1].split(",")


def write_out(path: Path, text: str) -> None:
    """A file of settings for its owner alone, and never over another; raises Trouble."""
    try:
        write_new(path, text)
    except FileExistsError as error:
        raise Trouble(
            "Настройки не записаны.", f"{path} уже есть.", "Укажите другой файл: --to ФАЙЛ."
        ) from error
    except OSError as error:
        raise Trouble(
            "Настройки не записаны.", f"{path}: {system_words(error)}.", "Укажите другой файл: --to ФАЙЛ."
        ) from error
