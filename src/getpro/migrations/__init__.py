"""Migrations, inside the package: what is installed can migrate.

They are run twice, in one transaction: on the shop's own tables, and on those of the synthetic purchase.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
from psycopg import sql

from getpro.kit.trouble import Trouble
from getpro.messaging import partitions
from getpro.platform.postgres.address import impatient

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0021"
"""The newest revision. A test compares it with the folder; with it a current database is known at once."""
SYNTHETIC: Final = "synthetic"
"""The schema of the synthetic purchase: every table of the product once more, and none of the shop's rows."""
_LOCK: Final = 7_201_533
"""Advisory lock: of several processes that start at once, one migrates and the others wait."""


def is_current(url: str) -> bool:
    """Whether the database stands at :data:`HEAD`; fast, without Alembic.

    Raises Trouble for one that a newer program has changed: what it means now is not known here.
    """
    versions = _versions(url)
    if (newest := max(versions)) > HEAD:
        raise Trouble(
            "База данных новее программы.",
            f"В ней версия {newest}, программа знает версии до {HEAD}.",
            "Обновите программу.",
        )
    return set(versions) == {HEAD}


def has_tables(url: str) -> bool:
    """Whether the database was ever migrated."""
    return any(_versions(url))


def _versions(url: str) -> list[str]:
    """The newest revision of the shop's tables and of the synthetic purchase's; "" where there are none."""
    with psycopg.connect(impatient(url), autocommit=True) as connection:
        return [_version(connection, table) for table in ("alembic_version", f"{SYNTHETIC}.alembic_version")]


def _version(connection: psycopg.Connection[Any], table: LiteralString) -> str:
    found = connection.execute("SELECT to_regclass(%s)", [table]).fetchone()
    if found is None or found[0] is None:
        return ""
    row = connection.execute(sql.SQL("SELECT version_num FROM {}").format(sql.SQL(table))).fetchone()
    return "" if row is None else str(row[0])


def upgrade(url: str, *, before: Callable[[], object] = lambda: None) -> None:
    """Bring the database at ``url`` (``postgresql://…``) to :data:`HEAD`; nothing to do is fine.

    ``before`` is called before a database that has tables of ours is changed; what it raises stops us.
    Raises Trouble that names the migration which failed; all of them are one transaction.
    """
    with psycopg.connect(impatient(url), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if not is_current(url):
            if has_tables(url):
                before()
            _migrate(url)
        for statement in partitions.statements(datetime.now(UTC)):
            connection.execute(statement.encode())


def _migrate(url: str) -> None:
    from alembic import command  # noqa: PLC0415 -- a current database spares these imports
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    config = alembic_config(url)
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        reached = config.attributes["reached"]
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
    config.attributes["reached"] = ""  # the revision at which env.py is
    return config


def make_schema(connection: "psycopg.Connection[Any]") -> None:
    """Make the schema of the synthetic purchase where it is missing, in the caller's transaction.

    Raises Trouble.
    """
    found = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [SYNTHETIC]).fetchone()
    if found == (True,):  # perhaps made by somebody who may do more than we
        return
    try:
        connection.execute(f"CREATE SCHEMA {SYNTHETIC}")
    except psycopg.errors.InsufficientPrivilege as error:
        role = connection.info.user
        raise Trouble(
            f"Схему {SYNTHETIC} не создать, база осталась как была.",
            f"Роли {role} нельзя создавать схемы в этой базе.",
            f"""Владелец базы выполнит: CREATE SCHEMA {SYNTHETIC} AUTHORIZATION "{role}"; потом повторите: """
            "2getpro migrate",
        ) from error
