"""Migrations, inside the package: what is installed can migrate."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

from getpro.kit.trouble import Trouble
from getpro.messaging import partitions

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0011"
"""The newest revision. A test compares it with the folder; with it a current database is known at once."""
_LOCK: Final = 7_201_533
"""Advisory lock: of several processes that start at once, one migrates and the others wait."""


def is_current(url: str) -> bool:
    """Whether the database stands at :data:`HEAD`; fast, without Alembic.

    Raises Trouble for one that a newer program has changed: what it means now is not known here.
    """
    version = _version(url)
    if version > HEAD:
        raise Trouble(
            "База данных новее программы.",
            f"В ней версия {version}, программа знает версии до {HEAD}.",
            "Обновите программу.",
        )
    return version == HEAD


def _version(url: str) -> str:
    """The newest revision that the database has; "" for one without any."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        if found is None or found[0] is None:
            return ""
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return "" if row is None else str(row[0])


def upgrade(url: str) -> None:
    """Bring the database at ``url`` (``postgresql://…``) to :data:`HEAD`; nothing to do is fine.

    Raises Trouble that names the migration which failed; all of them are one transaction.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if not is_current(url):
            _migrate(url)
        for statement in partitions.statements(datetime.now(UTC)):
            connection.execute(statement.encode())


def _migrate(url: str) -> None:
    from alembic import command  # noqa: PLC0415 -- a current database spares these imports
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    config, before = alembic_config(url), _version(url)
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        reached = max(before, *config.attributes["done"])
        scripts = reversed([*ScriptDirectory.from_config(config).walk_revisions()])
        failed = next(script for script in scripts if script.revision > reached)
        raise Trouble(
            f"Миграция {Path(failed.path).stem} не выполнилась, база осталась как была.",
            str(error.orig).partition("\n")[0],
            "Запустите прежнюю версию программы или устраните причину (2getpro psql) и повторите: "
            "2getpro migrate",
        ) from error


def alembic_config(url: str) -> "Config":
    """Alembic's configuration for the database at ``url``, without a file."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config(stdout=sys.stdout)  # Alembic's own default is whatever stood there at its import
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    config.attributes["done"] = [""]  # the revisions that env.py has run
    return config
