"""The settings beside a copy, closed with the same keys: what a rebuild reads as ``.env``."""

import hashlib
import os
from pathlib import Path

import pyrage
from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from pyrage import x25519

from getpro.backups.errors import Damaged, NotRestored, NotThere
from getpro.backups.folder import SETTINGS, written
from getpro.backups.manifest import File, Manifest
from getpro.kit.trouble import Trouble, system_words
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
        closed = path.read_bytes()
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


def require_readable(folder: Path, manifest: Manifest, identity: x25519.Identity, plain: Path) -> None:
    """A shop could start with the settings beside the copy; raises NotThere, Damaged, NotRestored.

    ``plain`` is where they lie open meanwhile.
    """
    write_new(plain, opened(folder, manifest.name, identity, expected=manifest.settings))
    try:
        _AsWritten(_env_file=plain)  # type: ignore[call-arg] # what is required stands in the file
    except ValidationError as error:
        told = "; ".join(map(str, wrong_settings(error)))
        raise NotRestored(f"настройки из копии не подходят: {told}") from None
    finally:
        plain.unlink()


def write_new(path: Path, text: str) -> None:
    """A file for its owner alone, whole or not at all, and never over another; raises Trouble."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(fresh, path)
        finally:
            fresh.unlink()
    except FileExistsError as error:
        raise Trouble(
            "Настройки не записаны.", f"{path} уже есть.", "Укажите другой файл: --to ФАЙЛ."
        ) from error
    except OSError as error:
        raise Trouble(
            "Настройки не записаны.", f"{path}: {system_words(error)}.", "Укажите другой файл: --to ФАЙЛ."
        ) from error
