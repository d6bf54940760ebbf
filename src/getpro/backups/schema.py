"""Whether a database has all that this program makes in one: a number of a version is only a number."""

from typing import Final

import psycopg
from psycopg import sql

from getpro import migrations
from getpro.backups.errors import NotRestored
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.address import impatient

_FRESH: Final = "getpro_fresh"
"""A database beside, in a cluster that is thrown away."""
_PARTS: Final = """
WITH tables AS (
    SELECT oid, relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
)
SELECT format('столбец %I.%I %s%s %s', relname, attname, format_type(atttypid, atttypmod),
              CASE WHEN attnotnull THEN ' NOT NULL' END, pg_get_expr(adbin, adrelid))
FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT format('ограничение %I: %I %s', relname, conname, pg_get_constraintdef(pg_constraint.oid))
FROM tables JOIN pg_constraint ON conrelid = tables.oid
UNION ALL
SELECT pg_get_indexdef(indexrelid) FROM tables JOIN pg_index ON indrelid = tables.oid AND indisvalid
UNION ALL
SELECT pg_get_triggerdef(pg_trigger.oid)
FROM tables JOIN pg_trigger ON tgrelid = tables.oid AND NOT tgisinternal
UNION ALL
SELECT format('функция %s: %s', oid::regprocedure, md5(prosrc)) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
"""
"""Each in words that are the same for the same; not of partitions, which follow the calendar."""


def require_all(cluster: Cluster, url: str) -> None:
    """See that the database at ``url``, at our newest version, lacks nothing of what migrations make.

    What somebody has added is theirs. Raises NotRestored.
    """
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(_FRESH)))
    migrations.upgrade(cluster.url(_FRESH))
    if missing := sorted(_parts(cluster.url(_FRESH)) - _parts(url)):
        more = f"; всего {len(missing)}" if missing[1:] else ""
        raise NotRestored(f"в базе не хватает: {missing[0]}{more}")


def _parts(url: str) -> set[str]:
    with psycopg.connect(impatient(url), autocommit=True) as connection:
        return {str(part) for (part,) in connection.execute(_PARTS).fetchall()}
