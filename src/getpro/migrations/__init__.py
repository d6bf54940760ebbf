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

HEAD: Final = "0006"
"""The newest revision. A test compares it with the folder; with it a current database is known at once."""
_LOCK: Final = 7_201_533
"""Advisory lock: of several processes that start at once, one migrates and the others wait."""


def is_current(url: str) -> bool:
    """Whether the database stands at :data:`HEAD`; fast, without Alembic.

    Raises Trouble for one that a newer program has changed: what it means now is not known here.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        if found is None or found[0] is None:
            return False
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is not None and row[0] > HEAD:
        raise Trouble(
            "База данных новее программы.",
            f"В ней версия {row[0]}, программа знает версии до {HEAD}.",
            "Обновите программу.",
        )
    return row is not None and row[0] == HEAD


def upgrade(url: str) -> None:
    """Bring the database at ``url`` (``postgresql://…``) to :data:`HEAD`; nothing to do is fine."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if not is_current(url):
            from alembic import command  # noqa: PLC0415 -- a current database spares its import

            command.upgrade(alembic_config(url), "head")
        for statement in partitions.statements(datetime.now(UTC)):
            connection.execute(statement.encode())


def alembic_config(url: str) -> "Config":
    """Alembic's configuration for the database at ``url``, without a file."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config(stdout=sys.stdout)  # Alembic's own default is whatever stood there at its import
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    return config
