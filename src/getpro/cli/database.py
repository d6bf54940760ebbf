"""The database that a command works on: the configured one, or the embedded one while it runs."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

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
    if migrate:
        migrations.upgrade(url)
    elif not (any_version or migrations.is_current(url)):
        raise Trouble(
            "База данных не той версии, что программа.",
            "Миграции ещё не выполнены.",
            "Выполните: 2getpro migrate",
        )
    yield url


def embedded_directory() -> Path:
    """Where the embedded database lives."""
    chosen = setting("GETPRO_DATA_DIR")
    return (Path(chosen) if chosen else default_directory()) / "postgres"
