"""Who a throw-away database belongs to: nobody who may do more than the shop may.

What was planted in a database, in an index, a check or a trigger, comes back with its copy, and runs as
whoever restores or writes there. A superuser's would reach the machine: COPY … TO PROGRAM.
"""

import re
import secrets
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from getpro.backups.restore import NAME
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.cluster import DATABASE

_ROLE: Final = "getpro_trial"
_EXTENSION: Final = re.compile(r"^\d+; \d+ \d+ EXTENSION - (\S+)", re.MULTILINE)
_OURS_TO_MAKE: Final = """
SELECT name FROM pg_available_extensions JOIN pg_available_extension_versions USING (name)
WHERE version = default_version AND superuser AND NOT trusted AND name = ANY(%s)
"""


def given_away(cluster: Cluster, dump: Path) -> str:
    """Give the cluster's empty database to a plain role, and return its address for that role.

    Of the extensions that ``dump`` wants, those that none but a superuser may make are made before: their
    code is the server's own, and nothing is there yet that could get in its way.
    """
    database = sql.Identifier(DATABASE)
    with psycopg.connect(cluster.url(), autocommit=True, application_name=NAME) as connection:
        for (name,) in connection.execute(_OURS_TO_MAKE, [_extensions(cluster, dump)]).fetchall():
            connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(_ROLE)))
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(_ROLE)))
    return address_for(cluster, _ROLE)


def address_for(cluster: Cluster, role: str) -> str:
    """The shop's database for its role; for the superuser where that is one, or is not there."""
    password = secrets.token_urlsafe(24)
    with psycopg.connect(cluster.url("postgres"), autocommit=True, application_name=NAME) as connection:
        plain = "SELECT FROM pg_roles WHERE rolname = %s AND NOT rolsuper"
        if connection.execute(plain, [role]).fetchone() is None:
            return cluster.url()
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), password))
    return f"postgresql://{quote(role, safe='')}:{password}@127.0.0.1:{cluster.port}/{DATABASE}"


def _extensions(cluster: Cluster, dump: Path) -> list[str]:
    said = subprocess.run(  # noqa: S603 -- our own program
        [cluster.tools.path("pg_restore"), "--list", str(dump)],
        check=False,  # what it cannot read, it will not restore either
        capture_output=True,
        text=True,
        env=cluster.tools.environment(),
    )
    return _EXTENSION.findall(said.stdout)
