"""Statements that are built once, when their module is read, and then handed to the driver as they are.

To build a statement, look up its compiled form, and pass it through SQLAlchemy's layers costs 0.4 ms of CPU
each time, three times as much as the driver's own part. For the way of money and the press of a button that
is most of their cost; everywhere else SQLAlchemy's own way is good enough.
"""

from typing import Any, Final

from psycopg import AsyncCursor
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb
from sqlalchemy import JSON, BindParameter, Executable, bindparam
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.compiler import SQLCompiler

from getpro.platform.database import driver_connection

_DIALECT: Final = dialects.dialect()  # type: ignore[no-untyped-call] # they leave it bare


def named(*names: str) -> dict[str, BindParameter[Any]]:
    """For ``values()``: each column from the parameter of its own name."""
    return {name: bindparam(name) for name in names}


class Prepared:
    """A Core statement whose parameters, each a ``bindparam``, are given by name when it runs.

    It runs in the session's transaction, on its connection. Errors are the driver's own, psycopg.Error.
    """

    def __init__(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined] # every one of ours can be
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.post_compile_params, f"a list must be an array here: {compiled}"
        self._sql = str(compiled)
        names = compiled.bind_names.items()
        self._fixed = {name: bind.effective_value for bind, name in names if not bind.required}
        self._json = {name for bind, name in names if isinstance(bind.type, JSON)}

    async def first(self, session: AsyncSession, **values: Any) -> Any:
        """The first row, its columns by name, or None."""
        return await (await self.run(session, **values)).fetchone()

    async def all(self, session: AsyncSession, **values: Any) -> list[Any]:
        return await (await self.run(session, **values)).fetchall()

    async def scalar(self, session: AsyncSession, **values: Any) -> Any:
        """The first column of the first row; None also where there is no row."""
        row = await self.first(session, **values)
        return None if row is None else row[0]

    async def run(self, session: AsyncSession, **values: Any) -> AsyncCursor[Any]:
        cursor = (await driver_connection(session)).cursor(row_factory=namedtuple_row)
        for name in self._json & values.keys():
            values[name] = Jsonb(values[name])
        return await cursor.execute(self._sql, self._fixed | values, prepare=True)
