"""Everything that a database holds of one customer: found by the tables' own references."""

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from getpro.backups.errors import NotThere
from getpro.backups.restore import NAME
from getpro.platform.postgres.address import impatient

_ROOT: Final = "users"
_READ_ONLY: Final = "-c default_transaction_read_only=on -c timezone=UTC"
_BY_OTHER_WAYS: Final = {
    "provider_events": (
        "SELECT provider_events.* FROM provider_events JOIN payments ON payments.provider ="
        " provider_events.provider AND provider_events.object_id IN (payments.object_id, payments.charge_id)"
        " WHERE payments.user_id = %(customer)s"
    ),
    "audit_log": (
        "WITH paid AS (SELECT payment_id FROM payments WHERE user_id = %(customer)s)"
        " SELECT * FROM audit_log WHERE subject IN (SELECT 'u' || %(customer)s"
        " UNION SELECT 'p' || payment_id FROM paid"
        " UNION SELECT 'r' || refund_id FROM refunds JOIN paid USING (payment_id)"
        " UNION SELECT 'd' || subscription_id FROM subscriptions WHERE user_id = %(customer)s"
        " UNION SELECT 's' || stuck_id FROM stuck_payments LEFT JOIN paid USING (payment_id)"
        " WHERE user_id = %(customer)s OR paid.payment_id IS NOT NULL) ORDER BY 1"
    ),
}
"""Tables that refer to a customer by a provider's word or by a subject, and not by a key."""
_REFERENCES: Final = """
SELECT child.relname, parent.relname,
    (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]),
    (SELECT attname FROM pg_attribute WHERE attrelid = confrelid AND attnum = confkey[1])
FROM pg_constraint
JOIN pg_class child ON child.oid = conrelid
JOIN pg_class parent ON parent.oid = confrelid
WHERE contype = 'f' AND cardinality(conkey) = 1 AND connamespace = 'public'::regnamespace
    AND conrelid <> confrelid AND NOT child.relispartition
ORDER BY 1, 2, 3
"""
_WITH_USER: Final = """
SELECT relname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE attname = 'user_id' AND relkind IN ('r', 'p') AND NOT relispartition
    AND relnamespace = 'public'::regnamespace
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Rows:
    table: str
    rows: list[dict[str, Any]]


def of_customer(url: str, customer: int) -> list[Rows]:
    """The customer's rows, table by table, the customer's own first; tables without any are left out.

    A row is the customer's if it has their ``user_id``, or refers to one that is. Raises NotThere for a
    customer whom the database does not know.
    """
    with psycopg.connect(
        impatient(url), autocommit=True, options=_READ_ONLY, application_name=NAME, row_factory=dict_row
    ) as connection:
        found = [
            Rows(table, connection.execute(query, {"customer": customer}).fetchall())
            for table, query in _queries(connection).items()
        ]
    there = [rows for rows in found if rows.rows]
    if not any(rows.table == _ROOT for rows in there):
        raise NotThere(f"клиента {customer} тогда ещё не было")
    return there


def _queries(connection: "psycopg.Connection[Any]") -> dict[str, sql.Composed | sql.SQL]:
    """A query for each table that can hold rows of a customer."""
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        direct = [row[0] for row in cursor.execute(_WITH_USER)]
        references = cursor.execute(_REFERENCES.encode()).fetchall()
        tables = {row[0] for row in cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    ways: dict[str, list[sql.Composable]] = {
        table: [sql.SQL("user_id = %(customer)s")] for table in [_ROOT, *direct]
    }
    reached = list(ways)
    for table in reached:  # grows while it is walked
        for child, parent, column, referred in references:
            if parent != table or column == "user_id":
                continue
            way = sql.SQL("{} IN (SELECT {} FROM public.{} WHERE {})").format(
                sql.Identifier(column), sql.Identifier(referred), sql.Identifier(table), _any(ways[table])
            )
            if child not in ways:
                reached.append(child)
            ways.setdefault(child, []).append(way)
    queries: dict[str, sql.Composed | sql.SQL] = {
        table: sql.SQL("SELECT * FROM public.{} WHERE {} ORDER BY 1").format(
            sql.Identifier(table), _any(ways[table])
        )
        for table in reached
    }
    more = {table: sql.SQL(query) for table, query in _BY_OTHER_WAYS.items() if table in tables}
    return queries | more


def _any(ways: list[sql.Composable]) -> sql.Composable:
    return sql.SQL(" OR ").join(ways)
