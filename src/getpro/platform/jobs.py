"""Background jobs: rows of the queue, written in the caller's transaction, run at least once.

A job is deferred by name, so that a room can ask for what follows without knowing who does it.
Every job may run twice, and two of them in any order.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import procrastinate
import psycopg
import structlog
from procrastinate import RetryDecision, exceptions
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy
from procrastinate.worker import Worker
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ENUM, JSONB, array
from sqlalchemy.types import UserDefinedType

from getpro.platform.database import Session, session_options
from getpro.platform.prepared import Prepared

log = structlog.get_logger(__name__)

MONEY: Final = "money"
"""Settling and delivering: nothing else may stand in their way."""
NOTICES: Final = "notices"
"""Messages to customers: slowed down by Telegram's limits."""
OUTSIDE: Final = "outside"
"""Asking providers and the panel how things stand: may wait long for them, and holds up nothing else."""
PAGES: Final = "pages"
"""Calls of whoever is on duty: never behind what customers are told."""
UPKEEP: Final = "upkeep"
"""Sweeps and routines."""

WORKERS_A_PROCESS: Final = 5
"""As the queue's books count them: one for each of these."""
GRACE_SECONDS: Final = 10
"""What running jobs are given to end when their worker is told to stop, before they are cancelled."""
HEARTBEAT_SECONDS: Final = 4
STALLED_SECONDS: Final = 15
"""A worker silent for this long is dead: its jobs are taken from it, and the customer's lock with them.

Counted by whoever looks, from when it first saw the last heartbeat: by the time of day every worker seems
dead at once after a machine has slept, or a clock was set.
"""

_RESCUE: Final = """
WITH stalled AS (
    SELECT id, task_name FROM procrastinate_jobs
    WHERE status = 'doing' AND (worker_id IS NULL OR worker_id IN (
        SELECT id FROM procrastinate_workers WHERE (id, last_heartbeat) IN (
            SELECT * FROM unnest(%(workers)s::bigint[], %(heartbeats)s::timestamptz[])
        )
    ))
    FOR UPDATE SKIP LOCKED
)
SELECT id, task_name, procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM stalled
"""
"""The queue's own way reads first and changes after: a job that was taken up in between would run twice."""

_BY_INDEX: Final = "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_sort=off"
"""Each of the queue's statements has its index. By night the table is empty; a plan that was made then, and
kept, would read all of a backlog for each job that is fetched."""


class RetryLater(Exception):
    """Raised by a job that knows when to try again: the service asked for it, or the moment has not come."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"again in {seconds} s")
        self.seconds = seconds


class Backoff(BaseRetryStrategy):
    """Wait 1, 2, 4 … seconds up to ``longest_seconds``, for ``attempts`` tries; None tries for ever."""

    def __init__(self, *, longest_seconds: int = 300, attempts: int | None = None) -> None:
        self.longest_seconds = longest_seconds
        self.attempts = attempts

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, RetryLater):
            return RetryDecision(retry_in={"seconds": max(1, round(exception.seconds))})
        if isinstance(exception, asyncio.CancelledError):  # the worker ends: it was no failure of the job's
            return RetryDecision(retry_in={"seconds": 1})
        if self.attempts is not None and job.attempts + 1 >= self.attempts:
            return None
        return RetryDecision(retry_in={"seconds": min(2 ** min(job.attempts, 20), self.longest_seconds)})


@dataclass(frozen=True, slots=True)
class JobName:
    """All that whoever defers a job needs to know of it: what it is called and where it queues."""

    name: str
    queue: str


@dataclass(frozen=True)
class JobKind:
    """What a name means to the workers: what it runs, and how that is tried again."""

    job: JobName
    run: Callable[..., Awaitable[None]]
    retry: Backoff
    expected: tuple[type[Exception], ...] = ()
    """Trouble that trying again mends: logged in a line. Everything else is a bug, with its traceback."""
    leads_to: JobName | None = None
    """What comes last in it: deferred from inside, it is not a second job, the running one turns into it.

    Both are tried again alike, so ``retry`` must suit both.
    """

    @property
    def name(self) -> str:
        return self.job.name


@dataclass(frozen=True, slots=True)
class Ended:
    """How one try of a job ended; ``began_at`` is the time of day, as ``time.time()`` gives it."""

    name: str
    arguments: dict[str, Any]
    began_at: float
    seconds: float
    error: Exception | None
    is_over: bool
    """It is not tried again."""


@dataclass(slots=True)
class _Running:
    """The job that is running here, and what it may turn into."""

    job_id: int
    leads_to: JobName
    next_arguments: dict[str, Any] | None = None
    """Of what it has turned into; None while it has not."""


_RUNNING: Final[ContextVar[_Running | None]] = ContextVar("running job", default=None)


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job whose tries are used up."""

    job_id: int
    name: str
    arguments: dict[str, Any]
    since: datetime


class _ToDefer(UserDefinedType[Any]):
    """A job as the queue's own function takes it."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "procrastinate_job_to_defer_v1"


def deferring(job: JobName, *, lock: ColumnElement[str], arguments: ColumnElement[Any]) -> ColumnElement[Any]:
    """The call that defers ``job``, as a column of another statement: one way to the database less.

    It is made once for each row of that statement. ``arguments`` are JSONB.
    """
    return _deferred(literal(job.queue), literal(job.name), lock, arguments, null())


def _deferred(
    queue: ColumnElement[str],
    name: ColumnElement[str],
    lock: ColumnElement[str],
    arguments: ColumnElement[Any],
    scheduled_at: ColumnElement[Any],
) -> ColumnElement[Any]:
    """The queue's own function; its own way there takes more of our time than the statement itself."""
    job = tuple_(queue, name, literal_column("0"), lock, null(), arguments, scheduled_at)
    return func.procrastinate_defer_jobs_v1(array([cast(job, _ToDefer)]))


_DEFER: Final = Prepared(
    select(
        _deferred(
            bindparam("queue", type_=Text),
            bindparam("name", type_=Text),
            bindparam("lock", type_=Text),
            bindparam("arguments", type_=JSONB),
            bindparam("scheduled_at", type_=DateTime(timezone=True)),
        )
    )
)
_TURN: Final = Prepared(
    select(
        func.turn_job(
            bindparam("job_id", type_=BigInteger),
            bindparam("name", type_=Text),
            bindparam("lock", type_=Text),
            bindparam("arguments", type_=JSONB),
        )
    )
)
_queued = table(
    "procrastinate_jobs",
    column("task_name", Text),
    column("status", ENUM(name="procrastinate_job_status", create_type=False)),
    column("args", JSONB),
)


class Jobs:
    """Defers jobs; a worker process also registers what they run and calls :meth:`work`."""

    def __init__(self, url: str, *, schema: str | None = None) -> None:
        """``schema``: None is where the shop's tables are."""
        self.app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                pool_factory=_terse_pool,
                conninfo=url,
                min_size=1,
                max_size=8,
                kwargs={"options": f"{session_options(schema)} {_BY_INDEX}"},
            )
        )
        self._heard: dict[int, tuple[datetime, float]] = {}
        """The last heartbeat of each worker, and when we first saw it, by our own monotonic clock."""
        self._has_looked = False
        self._kinds: dict[str, JobKind] = {}
        self.listeners: list[Callable[[Ended], None]] = []
        """Told of every job that has ended here."""

    async def defer(
        self,
        session: Session,
        job: JobName,
        *,
        lock: str | None = None,
        at: datetime | None = None,
        **arguments: int | str,
    ) -> None:
        """Write the job in the session's transaction: it exists if and only if that commits.

        Jobs that share a ``lock`` run one at a time and in order, also behind one that waits for its
        next try: never give two kinds of work the same lock. ``at`` is the earliest moment to run.

        Where the job that is running leads to this one, it turns into it in this same transaction, unless
        the lock is taken: one row of the queue less to write, to fetch and to delete.
        """
        running = _RUNNING.get()
        if running is not None and running.leads_to == job and running.next_arguments is None:
            turned = await _TURN.scalar(
                session, job_id=running.job_id, name=job.name, lock=lock, arguments=arguments
            )
            if turned:
                running.next_arguments = arguments
                return
        await _DEFER.run(
            session, queue=job.queue, name=job.name, lock=lock, arguments=arguments, scheduled_at=at
        )

    async def forget_failed(self, session: Session, *, before: datetime) -> None:
        """Delete what failed before ``before``; failed work of money stays until a person acts."""
        await session.execute(
            text(
                "DELETE FROM procrastinate_jobs j WHERE j.status = 'failed' AND j.queue_name <> :money"
                " AND NOT EXISTS (SELECT 1 FROM procrastinate_events WHERE job_id = j.id AND at >= :before)"
            ),
            {"money": MONEY, "before": before},
        )

    def register(self, kinds: list[JobKind]) -> None:
        """Make known what the jobs of these names run; its id and arguments stand in each line of its log."""
        self._kinds |= {kind.name: kind for kind in kinds}
        for kind in kinds:
            self.app.task(name=kind.name, queue=kind.job.queue, retry=kind.retry, pass_context=True)(
                partial(self._run, kind)
            )

    async def _run(self, kind: JobKind, context: procrastinate.JobContext, **arguments: Any) -> None:
        """Run a job, and then the one that it has turned into."""
        assert context.job.id is not None
        running = None if kind.leads_to is None else _Running(context.job.id, kind.leads_to)
        token = _RUNNING.set(running)
        try:
            await self._step(kind, context.job, arguments)
        finally:
            _RUNNING.reset(token)
        if running is not None and running.next_arguments is not None:
            await self._step(self._kinds[running.leads_to.name], context.job, running.next_arguments)

    async def _step(self, kind: JobKind, job: Job, arguments: dict[str, Any]) -> None:
        began_at, began = time.time(), time.monotonic()
        expected: tuple[type[Exception], ...] = (RetryLater, *kind.expected)

        def tell(error: Exception | None) -> None:
            is_over = error is None or kind.retry.get_retry_decision(exception=error, job=job) is None
            seconds = time.monotonic() - began
            for hear in self.listeners:
                hear(Ended(kind.name, arguments, began_at, seconds, error, is_over))

        with structlog.contextvars.bound_contextvars(job=kind.name, job_id=job.id, **arguments):
            try:
                await kind.run(**arguments)
            except expected as error:
                attempt = job.attempts + 1
                if 1 < (kind.retry.attempts or 0) <= attempt:  # one that is tried once comes again by itself
                    log.error("jobs.given_up", attempt=attempt, error=str(error))
                else:
                    log.warning("jobs.tried_again_later", attempt=attempt, error=str(error))
                tell(error)
                raise
            except Exception as error:
                log.exception("jobs.failed", attempt=job.attempts + 1)
                tell(error)
                raise
        tell(None)

    async def work(self, *, money: int = 24, others: int = 8) -> None:
        """Run jobs until cancelled; ``money`` and ``others`` (of each other queue) run at once.

        Each queue has its own worker: a Telegram that hangs stops no expiry, a provider no delivery.

        On cancellation no new job is taken and the running ones get GRACE_SECONDS to end, then they are
        cancelled, and wait in the queue for another worker; one that cleans up is waited for. The parts are
        told by an event: a cancellation that meets the queue's own connections can be lost in them.
        """
        stopping = asyncio.Event()
        async with self.app.open_async():
            parts = [
                asyncio.create_task(self._work_on(MONEY, money, stopping)),
                *(
                    asyncio.create_task(self._work_on(queue, others, stopping))
                    for queue in (NOTICES, PAGES, OUTSIDE, UPKEEP)
                ),
                asyncio.create_task(self._rescue_until(stopping)),
            ]
            try:
                done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                stopping.set()
                await asyncio.wait(parts)
            for part in done:
                part.result()

    async def drain(self) -> None:
        """Run what waits, one after the other, until nothing is due any more; for a queue without workers."""
        async with self.app.open_async():
            await self.app.run_worker_async(
                name="drain",
                wait=False,
                listen_notify=False,
                install_signal_handlers=False,
                delete_jobs="successful",
                shutdown_graceful_timeout=0,
            )

    async def _work_on(self, queue: str, concurrency: int, stopping: asyncio.Event) -> None:
        """Work on ``queue`` until ``stopping``, also across a restart of the database."""
        while not stopping.is_set():
            worker = self._worker(queue, concurrency)
            told = asyncio.create_task(_when(stopping, worker.stop))
            try:
                await worker.run()  # type: ignore[no-untyped-call] # they leave it bare
            except (exceptions.ConnectorException, psycopg.Error):
                log.exception("jobs.worker_lost_database", queue=queue)
            finally:
                told.cancel()
            await _pause(1, stopping)

    def _worker(self, queue: str, concurrency: int) -> Worker:
        return _Worker(
            self.app,
            queues=[queue],
            concurrency=concurrency,
            name=queue,
            fetch_job_polling_interval=1,
            listen_notify=queue
            in {MONEY, NOTICES, PAGES},  # somebody waits for these; each holds a connection
            install_signal_handlers=False,
            delete_jobs="successful",
            shutdown_graceful_timeout=GRACE_SECONDS,
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=STALLED_SECONDS,
        )

    async def _rescue_until(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.rescue()
            except exceptions.ConnectorException:
                log.exception("jobs.rescue_failed")
            await _pause(STALLED_SECONDS / 3, stopping)

    async def rescue(self) -> int:
        """Give the jobs of dead workers back to the queue and return how many there were.

        The queue never does it by itself, and the dead job's lock would block its customer for good.
        """
        silent = await self._silent()
        stalled = await self.app.connector.execute_query_all_async(
            _RESCUE, workers=list(silent), heartbeats=list(silent.values())
        )
        for job in stalled:
            log.warning("jobs.rescued", job_id=job["id"], job=job["task_name"])
        return len(stalled)

    async def _silent(self) -> dict[int, datetime]:
        """The workers whose last heartbeat, given beside each, we have seen unchanged for too long.

        Whoever looks for the first time believes the time of day: a shop that dies again and again would
        else never look for long enough to rescue anything.
        """
        rows = await self.app.connector.execute_query_all_async(
            "SELECT id, last_heartbeat, extract(epoch FROM now() - last_heartbeat)::float AS age"
            " FROM procrastinate_workers"
        )
        seen, before = time.monotonic(), self._heard
        self._heard = {}
        for row in rows:
            at_first = seen if self._has_looked else seen - row["age"]
            beat, since = before.get(row["id"], (row["last_heartbeat"], at_first))
            self._heard[row["id"]] = row["last_heartbeat"], since if beat == row["last_heartbeat"] else seen
        self._has_looked = True
        return {
            worker: beat for worker, (beat, since) in self._heard.items() if seen - since >= STALLED_SECONDS
        }

    async def failed(self, session: Session, queue: str) -> list[FailedJob]:
        """What failed for good in ``queue`` and waits for a person."""
        rows = await session.execute(
            text(
                "SELECT j.id, j.task_name, j.args, coalesce(max(e.at), now()) AS at FROM procrastinate_jobs j"
                " LEFT JOIN procrastinate_events e ON e.job_id = j.id"
                " WHERE j.status = 'failed' AND j.queue_name = :queue GROUP BY j.id"
            ),
            {"queue": queue},
        )
        return [FailedJob(row.id, row.task_name, row.args, row.at) for row in rows]

    async def run_again(self, session: Session, job_id: int) -> bool:
        """Queue a job that had failed for good once more; False where there is none of this number."""
        retried = await session.scalar(
            text(
                "UPDATE procrastinate_jobs SET status = 'todo', scheduled_at = now(), worker_id = NULL"
                " WHERE id = :id AND status = 'failed' RETURNING id"
            ),
            {"id": job_id},
        )
        return retried is not None

    async def bring_forward(self, session: Session, lock: str) -> None:
        """Let what waits with ``lock`` for its next try run now."""
        await session.execute(
            text("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE lock = :lock AND status = 'todo'"),
            {"lock": lock},
        )

    def none_for(
        self, job: JobName, argument: ColumnElement[int], *, failed_counts: bool = False
    ) -> ColumnElement[bool]:
        """The condition, inside another statement, that no such job waits or runs for ``argument``.

        The job's argument is called as the column is. ``failed_counts``: one that failed is one, too.
        All jobs are read once, and looked up by their hashes: a join would do that only if the planner knew
        how many there are.
        """
        statuses = ["todo", "doing", *(["failed"] if failed_counts else [])]
        given = _queued.c.args[argument.key].astext
        return argument.not_in(
            select(cast(given, BigInteger)).where(
                _queued.c.task_name == job.name,
                _queued.c.status.in_(statuses),
                given.is_not(None),  # one job without it would speak for all
            )
        )


class _Worker(Worker):
    """One whose heart goes on after the database was away.

    Procrastinate's own stops at the first error, unnoticed, and the worker goes on: its running jobs then
    pass for a dead worker's. https://github.com/procrastinate-org/procrastinate, worker.py:
    ``_monitor_side_tasks`` waits for the first task to end, which is always the one for periodic tasks.
    """

    async def _update_heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self.update_heartbeat_interval)
            try:
                known = await self.app.connector.execute_query_all_async(
                    "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %(id)s RETURNING id",
                    id=self.worker_id,
                )
            except (exceptions.ConnectorException, psycopg.Error) as error:
                log.warning("jobs.no_heartbeat", worker=self.worker_name, error=type(error).__name__)
                continue
            if not known:  # it was silent for so long that another has crossed it out
                log.warning("jobs.worker_crossed_out", worker=self.worker_name)
                self.stop()  # type: ignore[no-untyped-call] # they leave it bare
                return


def _terse_pool(**settings: Any) -> AsyncConnectionPool[Any]:
    """The queue's pool, asking a quarter of what it would: each of the queue's calls is one statement.

    That needs no BEGIN and COMMIT. Nor is a connection looked at before each use: one that died with the
    database fails the call that meets it, as it may after a look as well.
    """
    return AsyncConnectionPool(**(settings | {"check": None, "configure": _commit_by_statement}))


async def _commit_by_statement(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)


async def _when(event: asyncio.Event, then: Callable[[], None]) -> None:
    await event.wait()
    then()


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
