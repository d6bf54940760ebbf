"""Databases for tests: a copy of the migrated template is emptied after each test and lent to the next.

To empty one takes a tenth of the time that a new copy takes. One whose schema was changed is thrown away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import psycopg
from psycopg import Connection

_BIG: Final = 256 * 1024
"""Bytes; a table that has grown so is freed of its dead rows."""

_TABLES: Final = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
"""
_SEQUENCES: Final = """
SELECT seqrelid::regclass::text, coalesce(pg_sequence_last_value(seqrelid), seqstart),
       pg_sequence_last_value(seqrelid) IS NOT NULL
FROM pg_sequence
"""
# Whatever changes a schema writes rows of these: the newest writer and their number tell.
# A new schema shows in what it holds; pg_namespace also has a row for whoever made a temporary table.
_CATALOGS: Final = (
    "pg_attrdef",
    "pg_attribute",
    "pg_class",
    "pg_constraint",
    "pg_default_acl",
    "pg_extension",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_trigger",
    "pg_type",
)
_SETTINGS: Final = """
SELECT datconnlimit, datacl::text, (SELECT count(*) FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)
FROM pg_database d WHERE datname = current_database()
"""
_LEAVE: Final = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@dataclass
class Databases:
    """Of one server, all of one template."""

    server: str
    """Its address, without a database's name."""
    template: str
    _spare: list[str] = field(default_factory=list)
    _tables: tuple[str, ...] = ()
    _seeds: dict[str, bytes] = field(default_factory=dict)
    """What stands in the template's tables, as COPY gives it."""
    _sequences: dict[str, tuple[int, bool]] = field(default_factory=dict)
    _shape: object = None

    def __post_init__(self) -> None:
        with psycopg.connect(f"{self.server}/{self.template}", autocommit=True) as connection:
            self._tables = tuple(name for (name,) in connection.execute(_TABLES))
            self._seeds = {name: _rows(connection, name) for name in _filled(connection, self._tables)}
            self._sequences = {name: (last, used) for name, last, used in connection.execute(_SEQUENCES)}
            self._shape = _shape(connection)

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of one that is as the template."""
        name = self._spare.pop() if self._spare else self._make()
        try:
            yield f"{self.server}/{name}"
        finally:
            if self._is_empty_again(name):
                self._spare.append(name)
            else:
                self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _make(self) -> str:
        name = f"test_{uuid4().hex[:12]}"
        self._administer(f'CREATE DATABASE "{name}" TEMPLATE "{self.template}"')
        return name

    def _administer(self, statement: str) -> None:
        with psycopg.connect(f"{self.server}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _is_empty_again(self, name: str) -> bool:
        """False where this test has done more to it than to write rows."""
        try:
            with psycopg.connect(f"{self.server}/{name}", autocommit=True) as connection:
                connection.execute(_LEAVE)
                if _shape(connection) != self._shape:
                    return False
                self._empty(connection)
        except psycopg.Error:
            return False
        return True

    def _empty(self, connection: Connection[Any]) -> None:
        filled = _filled(connection, self._tables)
        changed = [name for name, rows in self._seeds.items() if _rows(connection, name) != rows]
        with connection.transaction():
            # Neither what only grows nor who refers to whom is looked at while all of it goes.
            connection.execute("SET LOCAL session_replication_role = replica")
            for name in {*changed, *(filled - self._seeds.keys())}:
                connection.execute(f"DELETE FROM {name}".encode())  # noqa: S608 -- our own tables
            for name in changed:
                with connection.cursor().copy(f"COPY {name} FROM STDIN".encode()) as copy:
                    copy.write(self._seeds[name])
            for name, last, used in connection.execute(_SEQUENCES).fetchall():
                if (last, used) != self._sequences[name]:
                    connection.execute("SELECT setval(%s, %s, %s)", [name, *self._sequences[name]])
        for name in filled:
            if connection.execute("SELECT pg_relation_size(%s) > %s", [name, _BIG]).fetchone() == (True,):
                connection.execute(f"VACUUM {name}".encode())
        connection.execute("SELECT pg_stat_reset()")


def _shape(connection: Connection[Any]) -> object:
    """What is another when the schema was changed."""
    written = [
        connection.execute(f"SELECT count(*), max(xmin::text::bigint) FROM {catalog}".encode()).fetchone()  # noqa: S608 -- our own names
        for catalog in _CATALOGS
    ]
    return written, connection.execute(_SETTINGS).fetchone()


def _filled(connection: Connection[Any], tables: tuple[str, ...]) -> set[str]:
    question = " UNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})"  # noqa: S608 -- our own tables
        for name in tables
    )
    return {name for (name,) in connection.execute(question.encode())}


def _rows(connection: Connection[Any], table: str) -> bytes:
    with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
        return b"".join(bytes(part) for part in copy)
