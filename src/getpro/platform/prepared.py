"""Statements that are built once, when their module is read, and then handed to the driver as they are.

To build a statement, look up its compiled form, and pass it through SQLAlchemy's layers costs 0.4 ms of CPU
each time, three times as much as the driver's own part. For the way of money and the press of a button that
is most of their cost; everywhere else SQLAlchemy's own way is good enough.
"""

from collections import namedtuple
from functools import cache
from typing import Any, Final

from psycopg import AsyncRawCursor
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb
from sqlalchemy import JSON, BindParameter, Executable, Table, bindparam
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.sql.compiler import SQLCompiler

from getpro.platform.database import Session, driver_connection

_DIALECT: Final = dialects.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # they leave it bare
"""With PostgreSQL's own ``$1``: the driver need not look for the names of parameters each time."""


def named(*names: str) -> dict[str, BindParameter[Any]]:
    """For ``values()``: each column from the parameter of its own name."""
    return {name: bindparam(name) for name in names}


def last_parts(row: Any, *tables: Table) -> list[Any]:
    """The last columns of a row, where these are all columns of ``tables``: a named tuple a table.

    What of them is called as a column before them has another name in the row itself.
    """
    parts = []
    at = len(row) - sum(len(table.c) for table in tables)
    for table in tables:
        parts.append(_shape(table)._make(row[at : at + len(table.c)]))
        at += len(table.c)
    return parts


@cache
def _shape(table: Table) -> Any:
    return namedtuple(table.name, table.c.keys())  # noqa: PYI024 -- its columns are known when it runs


class Prepared:
    """A Core statement whose parameters, each a ``bindparam``, are given by name when it runs.

    It runs in the session's transaction, on its connection. Errors are the driver's own, psycopg.Error;
    KeyError for a parameter that is not given.
    """

    def __init__(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined] # every one of ours can be
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.post_compile_params, f"a list must be an array here: {compiled}"
        self._sql = str(compiled).encode()
        self._order = compiled.positiontup or []
        names = compiled.bind_names.items()
        self._fixed = {name: bind.effective_value for bind, name in names if not bind.required}
        self._json = {name for bind, name in names if isinstance(bind.type, JSON)}

    async def first(self, session: Session, **values: Any) -> Any:
        """The first row, its columns by name, or None."""
        return await (await self.run(session, **values)).fetchone()

    async def all(self, session: Session, **values: Any) -> list[Any]:
        return await (await self.run(session, **values)).fetchall()

    async def scalar(self, session: Session, **values: Any) -> Any:
        """The first column of the first row; None also where there is no row."""
        row = await self.first(session, **values)
        return None if row is None else row[0]

    async def run(self, session: Session, **values: Any) -> AsyncRawCursor[Any]:
        cursor = AsyncRawCursor(await driver_connection(session), row_factory=namedtuple_row)
        for name in self._json & values.keys():
            values[name] = Jsonb(values[name])
        given = self._fixed | values
        return await cursor.execute(self._sql, [given[name] for name in self._order], prepare=True)
