"""The database: an engine, and transactions that are named."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import psycopg
from procrastinate.exceptions import ConnectorException
from psycopg.pq import TransactionStatus
from sqlalchemy import MetaData, NullPool
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from getpro.kit import crashpoints
from getpro.platform.looking import is_looking

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
        "application_name": "2getpro",  # who replaces the database sees that it is in use
        # A machine that vanished, with no word to anybody, gives its locks back within half a minute.
        "idle_in_transaction_session_timeout": "30s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "20s",
    }.items()
)


def session_options(schema: str | None = None) -> str:
    """The options of a connection; with ``schema`` it sees the tables of that one, and no others."""
    options = f"{SESSION_OPTIONS} -c default_transaction_read_only=on" if is_looking() else SESSION_OPTIONS
    return options if schema is None else f"{options} -c search_path={schema}"


class NoConnection(Exception):
    """All connections are taken, and none has become free in time."""


DATABASE_AWAY: Final = (
    NoConnection,
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
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
    """Transactions over a few connections; one is held from the beginning of the block to its end.

    They are kept here and not in SQLAlchemy's pool: to take one out of that and to put it back costs four
    times as much as a statement.
    """

    def __init__(self, url: str, *, pool_size: int = 10, schema: str | None = None) -> None:
        """``schema``: None is where the shop's tables are."""
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url),
            poolclass=NullPool,
            connect_args={
                "options": f"{session_options(schema)} -c lock_timeout=10s",
                "connect_timeout": 10,
            },
            hide_parameters=True,  # links and addresses of customers stay out of errors, and so out of logs
        )
        self._turns = asyncio.Semaphore(pool_size)
        self._idle: dict[bool, list[Session]] = {True: [], False: []}
        """Connections that nobody uses, by whether each of their statements commits by itself."""
        self._is_closed = False

    @contextlib.asynccontextmanager
    async def begin(self, name: str) -> AsyncIterator[Session]:
        """Open a transaction; it commits at the end of the block and is rolled back on an exception.

        ``name`` appears in the crash points ``<name>: before commit`` and ``<name>: after commit``.
        """
        async with self._lent(commits_itself=False) as session:
            yield session
            crashpoints.reach(f"{name}: before commit")
            await (session if session.in_transaction() else await driver_connection(session)).commit()
        crashpoints.reach(f"{name}: after commit")

    @contextlib.asynccontextmanager
    async def read(self, name: str) -> AsyncIterator[Session]:
        """Read without a transaction: at our isolation level it would show nothing else, and costs two calls.

        Nothing may be written or locked in the block: it would stand at once. ``name`` appears in the crash
        point ``<name>: read``.
        """
        async with self._lent(commits_itself=True) as session:
            yield session
        crashpoints.reach(f"{name}: read")

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Session]:
        """For what is no transaction: VACUUM, or a lock that is held while others work."""
        async with self._lent(commits_itself=True) as session:
            yield session

    @contextlib.asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[Session]:
        """For one statement that is the whole transaction, and reads beside it: it stands once it has run.

        ``name`` appears in the crash points ``<name>: before commit`` and ``<name>: after commit``.
        """
        async with self._lent(commits_itself=True) as session:
            crashpoints.reach(f"{name}: before commit")
            yield session
        crashpoints.reach(f"{name}: after commit")

    @contextlib.asynccontextmanager
    async def _lent(self, *, commits_itself: bool) -> AsyncIterator[Session]:
        """A connection until the end of the block; what was not committed is rolled back."""
        async with self._turn():
            session = await self._take(commits_itself=commits_itself)
            is_as_new = False
            try:
                yield session
            finally:
                try:
                    is_as_new = await _rolled_back(session)
                finally:
                    if is_as_new and not self._is_closed:
                        self._idle[commits_itself].append(session)
                    else:
                        await asyncio.shield(self._forget(session))

    async def _take(self, *, commits_itself: bool) -> Session:
        for idle in (self._idle[commits_itself], self._idle[not commits_itself]):
            if idle:
                session = idle.pop()
                break
        else:
            session = await self.engine.connect()
        driver = await driver_connection(session)
        if driver.autocommit is not commits_itself:
            await driver.set_autocommit(commits_itself)
        return session

    async def _forget(self, broken: Session) -> None:
        """Close what cannot be used any more; where the server has gone, nor can those that lie idle."""
        if broken.invalidated or (await driver_connection(broken)).closed:
            await self._close_idle()
        await _close(broken)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a connection, whoever came first gets the first; raises NoConnection."""
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
        """Close the connections that nobody uses, and each that is in use as soon as it is given back."""
        self._is_closed = True
        await self._close_idle()

    async def _close_idle(self) -> None:
        for idle in self._idle.values():
            while idle:
                await _close(idle.pop())


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


async def _rolled_back(session: Session) -> bool:
    """End what is left of a transaction; False where the connection cannot be used any more."""
    if session.invalidated:
        return False
    driver = await driver_connection(session)
    try:
        if session.in_transaction():
            await session.rollback()
        if driver.pgconn.transaction_status != TransactionStatus.IDLE:
            await driver.rollback()
    except (SQLAlchemyError, psycopg.Error):
        return False
    return driver.pgconn.transaction_status == TransactionStatus.IDLE


async def _close(session: Session) -> None:
    if not session.invalidated:
        await (await driver_connection(session)).close()
        await session.invalidate()
    await session.close()
