"""The database that a command works on: the configured one, or the embedded one while it runs."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
from rich.console import Console

from getpro import migrations
from getpro.cli import deeds
from getpro.cli.settings import read_settings
from getpro.kit.trouble import Trouble
from getpro.platform.cipher import database_keys, has_keys, make_key
from getpro.platform.looking import looking
from getpro.platform.postgres import Cluster, default_directory
from getpro.platform.postgres.address import wrong_address
from getpro.platform.settings import CopySettings, DatabaseSettings


class DatabaseAway(Trouble):
    """It does not answer."""


@contextlib.contextmanager
def database(
    *, migrate: bool, copy_first: bool = True, any_version: bool = False, even_away: bool = False
) -> Iterator[str]:
    """The address of the database while the block runs, the embedded one started and stopped for it.

    Migrated only when asked: another process may work on it with a program of another version; and copied
    before that, unless the caller does without or BACKUP_ENABLED says that others make the copies. Only then
    is an embedded one made where there is none, and an empty one filled, and not beside the copies of one
    that was. Otherwise Trouble is raised when its version is not ours, unless the caller takes
    ``any_version``, and when it cannot be had at all, unless the caller has something to do ``even_away``
    from it.
    """
    settings = read_settings(DatabaseSettings)
    with contextlib.ExitStack() as running:
        if settings.database_url is None:
            url = running.enter_context(_embedded(settings, makes=migrate, even_away=even_away))
        else:
            url = settings.database_url.get_secret_value()
            _require_postgresql(url)
        if not any_version:
            try:
                _require_version(url, migrate=migrate, copy_first=copy_first)
            except DatabaseAway:
                if not even_away:
                    raise
        running.enter_context(_deed_noted(url))
        yield url


@contextlib.contextmanager
def _deed_noted(url: str) -> Iterator[None]:
    """Note the command that runs, before its deed; or after it, where it could not be noted before."""
    deed = deeds.current()
    if deed is None:
        yield
        return
    deed.note(url)
    with looking(only=deed.only_looks):
        yield
    deed.note(url)


def note_beside(deed: deeds.Deed) -> None:
    """Note a command that has not asked for the database, if there is one that answers: none is started."""
    with contextlib.suppress(Trouble):
        settings = read_settings(DatabaseSettings)
        if settings.database_url is not None:
            deed.note(settings.database_url.get_secret_value())
            return
        cluster = Cluster(_embedded_directory(settings), time_zone=settings.time_zone)
        if cluster.server_pid() is not None:
            deed.note(cluster.url())


@contextlib.contextmanager
def database_if_any() -> Iterator[str | None]:
    """The address of the database while the block runs; None where there is none yet.

    None as well where it cannot be had, or is of another version: then why is said.
    """
    settings = read_settings(DatabaseSettings)
    with contextlib.ExitStack() as running:
        url = None
        if settings.database_url is not None or _embedded_directory(settings).exists():
            try:
                url = running.enter_context(database(migrate=False))
            except Trouble as trouble:
                Console(stderr=True).print(f"{trouble.what} {trouble.why}", markup=False)
        yield url


@contextlib.contextmanager
def _embedded(settings: DatabaseSettings, *, makes: bool, even_away: bool) -> Iterator[str]:
    directory = _embedded_directory(settings)
    with contextlib.ExitStack() as running:
        try:
            _require_made(Cluster(directory), makes=makes)
            url = running.enter_context(Cluster.running(directory, time_zone=settings.time_zone))
        except Trouble as trouble:
            if not even_away:
                raise
            Console(stderr=True).print(f"{trouble.what} {trouble.why} {trouble.remedy}", markup=False)
            url = Cluster(directory, time_zone=settings.time_zone).url()
        yield url


def _require_made(cluster: Cluster, *, makes: bool) -> None:
    """That there is a database, or that none was there before one that is made now; raises Trouble."""
    try:
        is_made = cluster.is_made
    except OSError:
        return  # whoever starts it says why
    if is_made:
        return
    _require_never_lost()
    if not makes:
        raise Trouble(
            "Базы ещё нет.",
            f"В {cluster.directory} её никто не создавал.",
            "Её создаёт первый запуск магазина: 2getpro run. Лежит она в другой папке — укажите ту в"
            " GETPRO_DATA_DIR.",
        )


def _require_never_lost() -> None:
    """Where there is no database, or an empty one: that none was there before; raises Trouble."""
    from getpro.bootstrap.backups import lost_beside_copies  # noqa: PLC0415 -- as below

    if (trouble := lost_beside_copies(read_settings(CopySettings))) is not None:
        raise trouble


def _require_postgresql(url: str) -> None:
    if (told := wrong_address(url)) is not None:
        raise Trouble("Настройки не подходят.", f"{told[0]}.", told[1])


def _require_version(url: str, *, migrate: bool, copy_first: bool) -> None:
    """Bring the database to our version, or refuse to work on another one; raises Trouble."""
    try:
        if migrate:
            if not migrations.has_tables(url):
                _require_never_lost()
            _ensure_key(url)
            migrations.upgrade(url, before=partial(_copy, url) if copy_first else lambda: None)
        is_ours = migrations.is_current(url)
    except psycopg.OperationalError as error:
        lines = str(error).splitlines() or ["без объяснений"]
        raise DatabaseAway(
            "База данных не отвечает.", lines[0], "Проверьте DATABASE_URL и что PostgreSQL запущен."
        ) from error
    if not is_ours:
        raise Trouble(
            "База данных старее программы.",
            f"Её таблицы не версии {migrations.HEAD}, или их ещё нет.",
            "Остановите магазин, если он работает, и выполните: 2getpro migrate",
        )


def _ensure_key(url: str) -> None:
    """The key of the database, made for one that keeps nothing encrypted yet; raises Trouble."""
    settings = read_settings(DatabaseSettings)
    if has_keys(settings):
        return
    from getpro.backups.environment import keeps_secrets  # noqa: PLC0415 -- as below

    if keeps_secrets(url):
        database_keys(settings)  # says what is to be done
    make_key(settings)


def _copy(url: str) -> None:
    """Copy the database before it is changed; raises Trouble."""
    settings = read_settings(CopySettings)
    if not settings.backup.enabled:
        return
    from getpro.backups.errors import BackupError  # noqa: PLC0415 -- a current database spares these imports
    from getpro.bootstrap.backups import copy_before_migration  # noqa: PLC0415
    from getpro.cli.shop import unlogged  # noqa: PLC0415

    sys.stderr.write("Перед миграцией делаем копию базы…\n")
    try:
        with unlogged():
            name = asyncio.run(copy_before_migration(settings, url))
    except (BackupError, Trouble) as error:
        raise Trouble(
            "Копия перед миграцией не сделана, база осталась как была.",
            f"{error}".rstrip(".") + ".",
            "Устраните причину и повторите. Если копия у вас есть: 2getpro migrate --without-backup",
        ) from error
    sys.stderr.write(f"Копия: {name}\n")


def keeper_of_database() -> Callable[[], None] | None:
    """What starts the embedded server again should it die; None for a database that is not ours."""
    settings = read_settings(DatabaseSettings)
    if settings.database_url is not None:
        return None
    return Cluster(_embedded_directory(settings), time_zone=settings.time_zone).revive


def _embedded_directory(settings: DatabaseSettings) -> Path:
    return (settings.data_dir or default_directory()) / "postgres"
