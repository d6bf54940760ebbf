"""The database: an engine, and transactions that are named."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import psycopg
from procrastinate.exceptions import ConnectorException
from sqlalchemy import MetaData
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from getpro.kit import crashpoints

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
"""All tables of all capabilities; constraints carry PostgreSQL's own default names."""

SESSION_OPTIONS: Final = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "timezone": "UTC",
        # A machine that vanished, with no word to anybody, gives its locks back within half a minute.
        "idle_in_transaction_session_timeout": "30s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "20s",
    }.items()
)


class NoConnection(Exception):
    """All connections are taken, and none has become free in time."""


DATABASE_AWAY: Final = (
    NoConnection,
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    ConnectorException,  # the queue's word, from a job that is deferred on our connection
)
"""It cannot be asked now: whoever comes is asked to come again.

Nothing has happened then, unless the connection was lost at COMMIT: what comes again must find what it has
done already. No OSError is among these: psycopg wraps its sockets' errors, and any other is somebody else's.
"""
_TURN_SECONDS: Final = 10
_DRIVER: Final = "driver's connection"
"""Where a connection remembers it: to ask SQLAlchemy for it costs as much as a statement."""

Session = AsyncConnection
"""What a step is handed: a connection on which the caller's transaction runs.

Core's own: the ORM's session around it costs 0.15 ms of CPU more, and keeps objects, of which we have none.
"""


class Database:
    """Transactions over one engine; a connection is held from the beginning of the block to its end."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_TURN_SECONDS,
            pool_pre_ping=False,
            connect_args={"options": f"{SESSION_OPTIONS} -c lock_timeout=10s", "connect_timeout": 10},
            hide_parameters=True,  # links and addresses of customers stay out of errors, and so out of logs
        )
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._turns = asyncio.Semaphore(pool_size)

    @contextlib.asynccontextmanager
    async def begin(self, name: str) -> AsyncIterator[Session]:
        """Open a transaction; it commits at the end of the block and is rolled back on an exception.

        ``name`` appears in the crash points ``<name>: before commit`` and ``<name>: after commit``.
        """
        async with self._turn(), self.engine.begin() as session:
            yield session
            crashpoints.reach(f"{name}: before commit")
        crashpoints.reach(f"{name}: after commit")

    @contextlib.asynccontextmanager
    async def read(self, name: str) -> AsyncIterator[Session]:
        """Read without a transaction: at our isolation level it would show nothing else, and costs two calls.

        Nothing may be written or locked in the block: it would stand at once. ``name`` appears in the crash
        point ``<name>: read``.
        """
        async with self._turn(), self._reading.connect() as session:
            yield session
        crashpoints.reach(f"{name}: read")

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a connection, whoever came first gets the first; raises NoConnection.

        The pool's own queue is one where a newcomer takes what was meant for whoever waits the longest: with
        some hundred people at once a few of them waited for ever.
        """
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError as error:
            raise NoConnection(f"none has become free in {_TURN_SECONDS} s") from error
        try:
            yield
        finally:
            self._turns.release()

    async def close(self) -> None:
        await self.engine.dispose()


def sqlalchemy_url(url: str) -> str:
    """Return ``postgresql://…`` in the form that makes SQLAlchemy use psycopg 3."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


async def driver_connection(session: Session) -> psycopg.AsyncConnection[Any]:
    """The psycopg connection on which the session's transaction runs."""
    connection = session.info.get(_DRIVER)
    if connection is None:
        raw = await session.get_raw_connection()
        connection = session.info[_DRIVER] = raw.driver_connection
    assert isinstance(connection, psycopg.AsyncConnection)
    return connection
