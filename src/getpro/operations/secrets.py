"""Every secret that the shop lives by: where it lies, since when it is known, how long it may serve.

The database keeps a short digest of each, made with a key that lies outside of it, and never the secret.
"""

import hmac
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from getpro.backups import keys as backup_keys
from getpro.kit.trouble import Trouble, system_words
from getpro.operations.models import known_secrets
from getpro.platform import cipher
from getpro.platform.database import Session
from getpro.platform.env_file import EnvFile
from getpro.platform.postgres import default_directory
from getpro.platform.settings import Settings

_DIGITS: Final = 16
_SHORT: Final = 8
_YEAR: Final = 365
_PAGE: Final = "docs/operations/audit.md#"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a secret is to people, for how many days it may serve, and where it says how to change it."""

    title: str
    days: int = _YEAR
    how: str = "другой-секрет"
    """The heading in the page about the audit."""
    is_ours: bool = False
    """The shop makes a new one by itself: ``2getpro secrets rotate``."""
    is_chosen: bool = False
    """People think it up, so it may be one that is easily guessed."""


DATABASE_KEY: Final = cipher.FILE
BACKUP_KEY: Final = backup_keys.FILE
DATABASE_PASSWORD: Final = "postgres/password"  # noqa: S105 -- the file's name
CATALOGUE: Final = {
    "TELEGRAM_BOT_TOKEN": Kind("Токен бота", how="токен-бота"),
    "TELEGRAM_WEBHOOK_SECRET": Kind(
        "Секрет обновлений Telegram", how="сам-магазин", is_ours=True, is_chosen=True
    ),
    "YOOKASSA_SECRET_KEY": Kind("Ключ ЮKassa", how="ключ-юkassa"),
    "CRYPTOPAY_TOKEN": Kind("Токен Crypto Pay", how="токен-crypto-pay"),
    "PANEL_TOKEN": Kind("Токен панели", how="токен-панели"),
    "PANEL_COOKIE": Kind("Пропуск к панели (cookie)", how="токен-панели"),
    "PANEL_API_KEY": Kind("Пропуск к панели (ключ)", how="токен-панели"),
    "PANEL_WEBHOOK_SECRET": Kind(
        "Секрет уведомлений панели", how="секрет-уведомлений-панели", is_chosen=True
    ),
    "OPERATIONS_ALERTS_TOKEN": Kind("Пропуск Alertmanager", how="сам-магазин", is_ours=True, is_chosen=True),
    "OPERATIONS_WATCHDOG_URL": Kind("Адрес сторожа Alertmanager", 2 * _YEAR),
    "OPERATIONS_HEARTBEAT_URL": Kind("Адрес сторожа магазина", 2 * _YEAR),
    "OPERATIONS_HEARTBEAT_OTHER": Kind("Пути второй машины", 2 * _YEAR),
    "OPERATIONS_MAIL_SERVER": Kind("Пароль почты"),
    "BACKUP_S3_ACCESS_KEY_ID": Kind("Имя ключа хранилища копий", how="ключ-хранилища"),
    "BACKUP_S3_SECRET_ACCESS_KEY": Kind("Ключ хранилища копий", how="ключ-хранилища"),
    "SENTRY_DSN": Kind("Адрес для ошибок (DSN)", 2 * _YEAR),
    "SENTRY_API_TOKEN": Kind("Токен Sentry"),
    "DATABASE_URL": Kind("Пароль базы", how="пароль-базы", is_chosen=True),
    "DATABASE_KEYS": Kind("Ключ ссылок клиентов", 2 * _YEAR, how="ключ-базы"),
    DATABASE_KEY: Kind("Ключ ссылок клиентов", 2 * _YEAR, how="сам-магазин", is_ours=True),
    BACKUP_KEY: Kind("Ключ копий", 3 * _YEAR, how="сам-магазин", is_ours=True),
    DATABASE_PASSWORD: Kind("Пароль встроенной базы", 2 * _YEAR, how="пароль-базы"),
    "GETPRO_DB_PASSWORD": Kind("Пароль базы в Docker", how="пароль-базы", is_chosen=True),
    "POSTGRES_PASSWORD": Kind("Пароль владельца базы в Docker", how="пароль-базы", is_chosen=True),
    "GRAFANA_PASSWORD": Kind("Пароль Grafana", is_chosen=True),
    "BUGSINK_SECRET_KEY": Kind("Ключ Bugsink", 2 * _YEAR, is_chosen=True),
}
_NOT_OURS: Final = ("GETPRO_DB_PASSWORD", "POSTGRES_PASSWORD", "GRAFANA_PASSWORD", "BUGSINK_SECRET_KEY")
"""Of the stack around the shop: in its ``.env``, and no setting of the shop's."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One that is set. ``value`` is None where it lies in a file that we may not read."""

    name: str
    where: str
    value: str | None = field(repr=False)

    @property
    def kind(self) -> Kind:
        return CATALOGUE[self.name]

    @property
    def how(self) -> str:
        """The place of the page that says how it is changed."""
        return f"{_PAGE}{self.kind.how}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """The secrets of now, and the keys that their digests are made with, the present one first."""

    secrets: Sequence[Secret]
    keys: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """A secret with what the shop remembers of it."""

    secret: Secret
    fingerprint: str
    """A few digits for people: the same secret has the same, and nobody can guess it back."""
    since: datetime

    @property
    def until(self) -> datetime:
        return self.since + timedelta(days=self.secret.kind.days)


def inventory(settings: Settings, env_file: Path = Path(".env")) -> Inventory:
    """All that are set, in the catalogue's order. Raises Trouble where no key can be had."""
    found = {one.name: one for one in (*_of_settings(settings), *_of_files(settings), *_of_stack(env_file))}
    return Inventory([found[name] for name in CATALOGUE if name in found], cipher.database_keys(settings))


def _of_settings(settings: Settings) -> Iterator[Secret]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield _setting(name.upper(), value)
        elif isinstance(value, BaseModel):
            for inner in sorted(value.model_fields_set):
                if isinstance(secret := getattr(value, inner), SecretStr):
                    yield _setting(f"{name}_{inner}".upper(), secret)


def _setting(name: str, value: SecretStr) -> Secret:
    where = "окружение" if name in os.environ else ".env"
    plain = value.get_secret_value()
    if name == "DATABASE_URL":
        plain = unquote(urlsplit(plain).password or "")
    elif name == "DATABASE_KEYS":
        plain = cipher.keys_of(value)[0]
    return Secret(name, where, plain)


def _of_files(settings: Settings) -> Iterator[Secret]:
    directory = settings.data_dir or default_directory()
    names = [BACKUP_KEY] if settings.backup.enabled else []
    names += [DATABASE_KEY] if settings.database_keys is None else []
    names += [DATABASE_PASSWORD] if settings.database_url is None else []
    for name in names:
        path = directory / name
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split()
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Secret(name, f"{path}: {system_words(error)}", None)
        else:
            text = [line for line in lines if "SECRET-KEY" in line] or lines or [""]
            yield Secret(name, str(path), text[0])


def _of_stack(env_file: Path) -> Iterator[Secret]:
    """Where the command is given on the server itself."""
    try:
        values = EnvFile.read(env_file).values
    except Trouble:
        return
    for name in _NOT_OURS:
        if values.get(name):
            yield Secret(name, ".env", values[name])


def fingerprint(key: str, name: str, value: str) -> str:
    return hmac.new(key.encode(), f"secret {name}={value}".encode(), "sha256").hexdigest()[:_DIGITS]


async def remember(session: Session, found: Inventory, *, now: datetime) -> list[Known]:
    """Note which secrets there are, and return each with since when it is known; a step.

    With another key for digests it is still the same secret, as long as the key before is among the keys.
    """
    known = []
    for secret in found.secrets:
        if not secret.value:
            continue
        prints = [fingerprint(key, secret.name, secret.value) for key in found.keys]
        own = known_secrets.c
        before = select(func.min(own.first_seen_at)).where(
            own.name == secret.name, own.fingerprint.in_(prints)
        )
        since = await session.scalar(before) or now
        await session.execute(
            insert(known_secrets)
            .values(name=secret.name, fingerprint=prints[0], first_seen_at=since, last_seen_at=now)
            .on_conflict_do_update(index_elements=["name", "fingerprint"], set_={"last_seen_at": now})
        )
        known.append(Known(secret, prints[0][:_SHORT], since))
    return known
