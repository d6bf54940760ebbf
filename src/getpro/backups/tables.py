"""One table of the past: written into a file as it was, and compared with the living one.

The comparison is made where the past was brought up, on a copy of the living table that is read into it:
in the living database nothing is written, and a table of millions is compared by PostgreSQL.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from getpro.backups.errors import NotRestored, NotThere
from getpro.backups.folder import written
from getpro.backups.restore import NAME
from getpro.kit.trouble import system_words
from getpro.platform.postgres.address import impatient

LINES: Final = ".jsonl"
"""A file that is called so gets a JSON object a line; any other CSV with a header."""
_LIVING: Final = sql.Identifier("living")
"""The schema into which the living table is read."""
_READ_ONLY: Final = "-c default_transaction_read_only=on"

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Differences:
    """Between a table as it was and as it is. ``changed`` is None where rows have no key to be known by."""

    gone: int
    """Rows that were there and are not now."""
    changed: int | None
    added: int


@dataclass(frozen=True, slots=True)
class Exported:
    rows: int
    differences: Differences | None
    """None where there is no living table to compare with."""


def export(
    url: str, table: str, file: Path, *, living_url: str | None, only_different: bool = False
) -> Exported:
    """Write ``table`` of the database at ``url`` into ``file``, for its owner alone, in the order of its key.

    ``only_different``: of its rows those that the living table has otherwise, or not at all. The database at
    ``url`` is one that is thrown away: it is written to. Raises NotThere, and NotRestored where the file
    cannot be written or the living table cannot be read.
    """
    with psycopg.connect(impatient(url), autocommit=True, application_name=NAME) as past:
        columns, key = _shape(past, table)
        if not columns:
            raise NotThere(f"таблицы {table} в копии нет; есть: {', '.join(_tables(past))}")
        common = _read_living(past, table, columns, living_url) if living_url is not None else []
        differences = _compare(past, table, common, key) if common else None
        if only_different and differences is None:
            raise NotRestored("живой таблицы нет: не с чем сравнить")
        chosen = _different(table, common, key) if only_different else _all(table)
        try:
            rows = _write(past, chosen, key, file)
        except OSError as error:
            raise NotRestored(f"{file}: {system_words(error)}") from error
    return Exported(rows, differences)


def require_writable(file: Path) -> None:
    """Before the minutes that restoring takes; raises NotRestored."""
    if file.is_dir() or not os.access(file.absolute().parent, os.W_OK | os.X_OK):
        raise NotRestored(f"{file}: туда не записать")


def _shape(connection: Connection, table: str) -> tuple[list[str], list[str]]:
    """The columns of a table, and those of its key; none of a table that is not there."""
    columns = connection.execute(
        "SELECT attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = 'public'::regnamespace AND relname = %s AND relkind IN ('r', 'p')"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    ).fetchall()
    key = connection.execute(
        "SELECT attname FROM pg_index JOIN pg_class ON pg_class.oid = indrelid"
        " JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)"
        " WHERE indisprimary AND relnamespace = 'public'::regnamespace AND relname = %s ORDER BY attnum",
        [table],
    ).fetchall()
    return [row[0] for row in columns], [row[0] for row in key]


def _tables(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"
    )
    return [row[0] for row in rows]


def _read_living(past: Connection, table: str, columns: list[str], url: str) -> list[str]:
    """Copy the living table into a schema of its own; return the columns that both have, if it is there."""
    try:
        with psycopg.connect(impatient(url), options=_READ_ONLY, application_name=NAME) as living:
            there, _ = _shape(living, table)
            common = [column for column in columns if column in there]
            if not common:
                return []
            past.execute(sql.SQL("CREATE SCHEMA {}").format(_LIVING))
            past.execute(
                sql.SQL("CREATE TABLE {}.{} AS SELECT {} FROM public.{} WITH NO DATA").format(
                    _LIVING, sql.Identifier(table), _listed(common), sql.Identifier(table)
                )
            )
            reading = sql.SQL("COPY (SELECT {} FROM public.{}) TO STDOUT").format(
                _listed(common), sql.Identifier(table)
            )
            writing = sql.SQL("COPY {}.{} FROM STDIN").format(_LIVING, sql.Identifier(table))
            with living.cursor().copy(reading) as source, past.cursor().copy(writing) as target:
                for block in source:
                    target.write(block)
    except psycopg.Error as error:
        raise NotRestored(f"живой таблицы не прочитать: {str(error).partition(chr(10))[0]}") from error
    past.execute(sql.SQL("ANALYZE {}.{}").format(_LIVING, sql.Identifier(table)))
    return common


def _compare(past: Connection, table: str, common: list[str], key: list[str]) -> Differences:
    if not set(key) <= set(common) or not key:
        was = sql.SQL("SELECT {} FROM public.{} was").format(_looks("was", common), sql.Identifier(table))
        living = _living_looks(table, common)
        return Differences(_count(past, _except(was, living)), None, _count(past, _except(living, was)))
    gone = sql.SQL("{} WHERE NOT EXISTS ({} WHERE {})").format(_all(table), _is(table), _same(key))
    added = sql.SQL("{} WHERE NOT EXISTS ({} WHERE {})").format(_is(table), _all(table), _same(key))
    changed = sql.SQL("{} WHERE EXISTS ({} WHERE {} AND {})").format(
        _all(table), _is(table), _same(key), _unlike(common)
    )
    return Differences(_count(past, gone), _count(past, changed), _count(past, added))


def _all(table: str) -> sql.Composable:
    return sql.SQL("SELECT * FROM public.{} was").format(sql.Identifier(table))


def _is(table: str) -> sql.Composable:
    return sql.SQL("SELECT * FROM {}.{} living").format(_LIVING, sql.Identifier(table))


def _different(table: str, common: list[str], key: list[str]) -> sql.Composable:
    if not set(key) <= set(common) or not key:
        return sql.SQL("{} WHERE (was.tableoid, was.ctid) IN ({})").format(
            _all(table), _too_many(table, common)
        )
    return sql.SQL("{} WHERE NOT EXISTS ({} WHERE {} AND NOT {})").format(
        _all(table), _is(table), _same(key), _unlike(common)
    )


def _too_many(table: str, common: list[str]) -> sql.Composable:
    """Where the rows lie of which there were more that look so than there are."""
    return sql.SQL(
        "SELECT part, place FROM (SELECT was.tableoid AS part, was.ctid AS place, {looks} AS looks,"
        " row_number() OVER (PARTITION BY {looks}) AS nth FROM public.{table} was) was"
        " LEFT JOIN (SELECT looks, count(*) AS many FROM ({living}) living GROUP BY 1) living USING (looks)"
        " WHERE nth > coalesce(many, 0)"
    ).format(looks=_looks("was", common), table=sql.Identifier(table), living=_living_looks(table, common))


def _living_looks(table: str, common: list[str]) -> sql.Composable:
    return sql.SQL("SELECT {} AS looks FROM {}.{} living").format(
        _looks("living", common), _LIVING, sql.Identifier(table)
    )


def _except(these: sql.Composable, those: sql.Composable) -> sql.Composable:
    return sql.SQL("{} EXCEPT ALL {}").format(these, those)


def _same(key: list[str]) -> sql.Composable:
    return sql.SQL("({}) = ({})").format(_of("was", key), _of("living", key))


def _unlike(columns: list[str]) -> sql.Composable:
    return sql.SQL("{} <> {}").format(_looks("was", columns), _looks("living", columns))


def _looks(alias: str, columns: list[str]) -> sql.Composable:
    """A row as text: not every type can be compared."""
    return sql.SQL("ROW({})::text").format(_of(alias, columns))


def _of(alias: str, columns: list[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(alias, column) for column in columns)


def _listed(columns: list[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _count(connection: Connection, query: sql.Composable) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM ({}) found").format(query)).fetchone()
    assert row is not None
    return int(row[0])


def _write(connection: Connection, query: sql.Composable, key: list[str], file: Path) -> int:
    order = _listed(key) if key else sql.SQL("found::text")
    wanted = sql.SQL("SELECT * FROM ({}) found ORDER BY {}").format(query, order)
    if file.suffix == LINES:
        # CSV in name alone, with signs that no JSON has: COPY's own text form would double each \.
        wanted = sql.SQL("SELECT to_jsonb(line) FROM ({}) line").format(wanted)
        form = sql.SQL("FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02'")
    else:
        form = sql.SQL("FORMAT csv, HEADER")
    cursor = connection.cursor()
    with (
        written(file) as sink,
        cursor.copy(sql.SQL("COPY ({}) TO STDOUT WITH ({})").format(wanted, form)) as copy,
    ):
        for block in copy:
            sink.write(bytes(block))
    return cursor.rowcount
