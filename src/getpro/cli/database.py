"""The database that a command works on: the configured one, or the embedded one while it runs."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from dotenv import dotenv_values

from getpro import migrations
from getpro.kit.trouble import Trouble
from getpro.platform.postgres import Cluster, default_directory


def setting(name: str) -> str | None:
    """One setting from the environment or ``.env``, for commands that must answer at once."""
    return os.environ.get(name) or dotenv_values(".env").get(name) or None


@contextlib.contextmanager
def database(*, migrate: bool, any_version: bool = False) -> Iterator[str]:
    """The address of the database while the block runs.

    The embedded one is started if none runs, migrated, and stopped after if nobody else uses it. One
    elsewhere is migrated only when asked; otherwise Trouble is raised when its version is not ours,
    unless the caller takes ``any_version``.
    """
    url = setting("DATABASE_URL")
    if url is None:
        zone = setting("GETPRO_TIME_ZONE") or "Europe/Moscow"
        with Cluster.running(embedded_directory(), time_zone=zone) as embedded:
            migrations.upgrade(embedded)
            yield embedded
        return
    _require_postgresql(url)
    if not any_version:
        _require_version(url, migrate=migrate)
    yield url


def _require_postgresql(url: str) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise Trouble(
            "Настройки не подходят.",
            "DATABASE_URL: это не адрес PostgreSQL.",
            "Пример: postgresql://имя:пароль@127.0.0.1:5432/2getpro_v2",
        )


def _require_version(url: str, *, migrate: bool) -> None:
    """Bring the database to our version, or refuse to work on another one; raises Trouble."""
    try:
        if migrate:
            migrations.upgrade(url)
        is_ours = migrations.is_current(url)
    except psycopg.OperationalError as error:
        lines = str(error).splitlines() or ["без объяснений"]
        raise Trouble(
            "База данных не отвечает.", lines[0], "Проверьте DATABASE_URL и что PostgreSQL запущен."
        ) from error
    if not is_ours:
        raise Trouble(
            "База данных не той версии, что программа.",
            "Миграции ещё не выполнены.",
            "Выполните: 2getpro migrate",
        )


def keeper_of_database() -> Callable[[], None] | None:
    """What starts the embedded server again should it die; None for a database that is not ours."""
    if setting("DATABASE_URL") is not None:
        return None
    cluster = Cluster(embedded_directory(), time_zone=setting("GETPRO_TIME_ZONE") or "Europe/Moscow")
    return cluster.revive


def embedded_directory() -> Path:
    """Where the embedded database lives."""
    chosen = setting("GETPRO_DATA_DIR")
    return (Path(chosen) if chosen else default_directory()) / "postgres"
