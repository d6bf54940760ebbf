import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog
from procrastinate import exceptions
from procrastinate.jobs import Job
from procrastinate.utils import utcnow
from sqlalchemy import text

from getpro.platform import jobs as jobs_module
from getpro.platform.database import Database
from getpro.platform.jobs import (
    MONEY,
    NOTICES,
    OUTSIDE,
    PAGES,
    UPKEEP,
    Backoff,
    JobKind,
    JobName,
    Jobs,
    RetryLater,
)

FOR_EVER = Backoff(longest_seconds=1)
WORK = JobName("work", MONEY)
HANG = JobName("hang", NOTICES)
QUEUES = len((MONEY, NOTICES, PAGES, OUTSIDE, UPKEEP))
"""Each has a worker."""


@contextlib.asynccontextmanager
async def working(jobs: Jobs) -> AsyncIterator[None]:
    task = asyncio.create_task(jobs.work(money=4, others=2))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers beat faster, and are given up sooner."""
    monkeypatch.setattr(jobs_module, "HEARTBEAT_SECONDS", 0.3)
    monkeypatch.setattr(jobs_module, "STALLED_SECONDS", 1.5)


async def count(db: Database, status: str) -> int:
    async with db.begin("test") as session:
        query = text(
            "SELECT count(*) FROM procrastinate_jobs WHERE status = CAST(:s AS procrastinate_job_status)"
        )
        return int(await session.scalar(query, {"s": status}) or 0)


async def test_a_job_exists_only_if_its_transaction_commits(db: Database, jobs: Jobs) -> None:
    async def fails() -> None:
        async with db.begin("test") as session:
            await jobs.defer(session, WORK)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails()
    assert await count(db, "todo") == 0
    async with db.begin("test") as session:
        await jobs.defer(session, WORK)
    assert await count(db, "todo") == 1


async def test_a_poison_job_blocks_nobody_else(db: Database, jobs: Jobs) -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        if number == 1:
            raise RuntimeError("poison")
        done.append(number)

    jobs.register([JobKind(WORK, work, Backoff(attempts=1))])
    async with db.begin("test") as session:
        for number in range(1, 11):
            await jobs.defer(session, WORK, lock=f"customer:{number}", number=number)

    async def all_others_done() -> bool:
        return sorted(done) == list(range(2, 11))

    async with working(jobs):
        await until(all_others_done)

        async def poison_is_shown() -> bool:
            return await count(db, "failed") == 1

        await until(poison_is_shown)


@pytest.mark.parametrize(
    ("trouble", "level", "event"),
    [
        (RuntimeError("a bug"), "error", "jobs.failed"),
        (ConnectionError("away"), "warning", "jobs.tried_again_later"),
        (RetryLater(0, "asked to wait"), "warning", "jobs.tried_again_later"),
    ],
)
async def test_every_try_that_fails_is_in_the_log(
    db: Database, jobs: Jobs, trouble: Exception, level: str, event: str
) -> None:
    async def work() -> None:
        raise trouble

    jobs.register([JobKind(WORK, work, FOR_EVER, (ConnectionError,))])
    async with db.begin("test") as session:
        await jobs.defer(session, WORK)
    with structlog.testing.capture_logs() as lines:

        async def said() -> bool:
            return any((line["event"], line["log_level"]) == (event, level) for line in lines)

        async with working(jobs):
            await until(said)


async def test_a_job_that_waits_for_its_next_try_is_tried_when_it_said(db: Database, jobs: Jobs) -> None:
    tries: list[float] = []

    async def work() -> None:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) == 1:
            raise RetryLater(1)

    jobs.register([JobKind(WORK, work, FOR_EVER)])
    async with db.begin("test") as session:
        await jobs.defer(session, WORK)

    async def tried_twice() -> bool:
        return len(tries) == 2

    async with working(jobs):
        await until(tried_twice)
    assert tries[1] - tries[0] >= 0.9


async def test_the_jobs_of_a_killed_worker_are_rescued_with_their_lock(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    done: list[str] = []

    async def work(who: str) -> None:
        done.append(who)

    jobs.register([JobKind(WORK, work, FOR_EVER)])
    async with db.begin("test") as session:
        for who in ("first", "second"):
            await jobs.defer(session, WORK, lock="customer:1", who=who)
        # What a worker leaves behind that was killed with the first job in its hands.
        await session.execute(
            text(
                "WITH dead AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id)"
                " UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead)"
                " WHERE args->>'who' = 'first'"
            )
        )

    async def both_done() -> bool:
        return done == ["first", "second"]

    async with working(jobs):
        await until(both_done)


FIRST = JobName("first", MONEY)
THEN = JobName("then", MONEY)


class Chain:
    """A job that leads to another, as settling leads to delivering; what was done, by rows of the queue."""

    def __init__(self, db: Database, jobs: Jobs) -> None:
        self.db, self.jobs = db, jobs
        self.done: list[tuple[str, int]] = []
        """What ran, and in which row."""
        self.defers = 1
        self.breaks_off = 0
        """How many times the first step is undone."""
        self.fails = 0
        """How many times what follows fails."""
        self.ended: list[tuple[str, bool, bool]] = []
        """What listeners are told: the name, whether it went well, whether it is over."""
        jobs.listeners.append(lambda end: self.ended.append((end.name, end.error is None, end.is_over)))
        jobs.register(
            [JobKind(FIRST, self.first, FOR_EVER, leads_to=THEN), JobKind(THEN, self.then, FOR_EVER)]
        )

    async def first(self, customer: int) -> None:
        async with self.db.begin("test") as session:
            for number in range(self.defers):
                await self.jobs.defer(session, THEN, lock=f"then:{customer}", number=number)
            self._note("first")
            if self.breaks_off:
                self.breaks_off -= 1
                raise RuntimeError

    async def then(self, number: int) -> None:
        self._note(f"then {number}")
        if self.fails:
            self.fails -= 1
            raise RuntimeError

    def _note(self, what: str) -> None:
        self.done.append((what, structlog.contextvars.get_contextvars()["job_id"]))

    async def run(self) -> None:
        async with self.db.begin("test") as session:
            await self.jobs.defer(session, FIRST, customer=1)
        async with working(self.jobs):
            await until(self.is_over)

    async def is_over(self) -> bool:
        async with self.db.begin("test") as session:
            return not await session.scalar(text("SELECT count(*) FROM procrastinate_jobs"))

    def steps(self) -> list[str]:
        return [step for step, _ in self.done]

    def rows(self) -> int:
        return len({row for _, row in self.done})


async def test_a_job_turns_into_the_one_that_it_leads_to(db: Database, jobs: Jobs) -> None:
    chain = Chain(db, jobs)
    await chain.run()
    assert (chain.steps(), chain.rows()) == (["first", "then 0"], 1)


async def test_a_job_turns_once_and_what_more_it_asks_for_is_a_job_of_its_own(
    db: Database, jobs: Jobs
) -> None:
    chain = Chain(db, jobs)
    chain.defers = 3
    await chain.run()
    assert (chain.steps(), chain.rows()) == (["first", "then 0", "then 1", "then 2"], 3)


async def test_a_job_whose_step_was_undone_has_not_turned(db: Database, jobs: Jobs) -> None:
    chain = Chain(db, jobs)
    chain.breaks_off = 1
    await chain.run()
    assert chain.steps() == ["first", "first", "then 0"]


async def test_of_a_job_that_has_turned_only_what_follows_is_tried_again(db: Database, jobs: Jobs) -> None:
    chain = Chain(db, jobs)
    chain.fails = 2
    await chain.run()
    assert (chain.steps(), chain.rows()) == (["first", "then 0", "then 0", "then 0"], 1)
    assert chain.ended == [
        ("first", True, True),
        ("then", False, False),
        ("then", False, False),
        ("then", True, True),
    ]


async def test_a_job_does_not_turn_past_one_that_holds_its_lock(db: Database, jobs: Jobs) -> None:
    chain = Chain(db, jobs)
    async with db.begin("test") as session:
        await jobs.defer(session, THEN, lock="then:1", at=utcnow() + timedelta(seconds=1), number=7)
    await chain.run()
    assert chain.steps() == ["first", "then 7", "then 0"]


async def test_a_job_that_was_killed_after_it_turned_is_taken_up_as_what_it_has_become(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    chain = Chain(db, jobs)
    async with db.begin("test") as session:
        await jobs.defer(session, FIRST, customer=1)
        turned = await session.scalar(
            text(
                "WITH dead AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id)"
                " UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead)"
                " RETURNING id"
            )
        )
    async with db.begin("test") as session:
        call = text("SELECT turn_job(:job_id, 'then', 'then:1', CAST('{\"number\": 0}' AS jsonb))")
        assert await session.scalar(call, {"job_id": turned})
    async with working(jobs):
        await until(chain.is_over)
    assert chain.done == [("then 0", turned)]


async def test_a_clock_that_jumps_a_week_takes_no_job_from_the_worker_that_runs_it(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    began: list[int] = []
    for_ever = asyncio.Event()

    async def hang() -> None:
        began.append(1)
        await for_ever.wait()

    jobs.register([JobKind(HANG, hang, FOR_EVER)])
    async with db.begin("test") as session:
        await jobs.defer(session, HANG, lock="customer:1")
    async with working(jobs):
        async with asyncio.timeout(10):
            while not began:
                await asyncio.sleep(0.05)
        for _ in range(30):  # all that was written before the jump is a week old after it
            async with db.begin("test") as session:
                await session.execute(
                    text(
                        "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '7 days'"
                    )
                )
                assert await session.scalar(text("SELECT count(*) FROM procrastinate_workers")) == QUEUES
            await asyncio.sleep(0.1)
        assert began == [1]
        for_ever.set()


async def test_a_heart_that_missed_beats_goes_on_and_a_worker_that_was_crossed_out_comes_back(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after minutes of a frozen database: procrastinate's own heart stops at the first error."""
    impatient(monkeypatch)
    ask, is_away = jobs.app.connector.execute_query_all_async, False

    async def ask_or_not(query: str, **arguments: Any) -> Any:
        if is_away and "last_heartbeat = now()" in query:
            raise exceptions.ConnectorException
        return await ask(query, **arguments)

    monkeypatch.setattr(jobs.app.connector, "execute_query_all_async", ask_or_not)

    async def living() -> set[int]:
        query = "SELECT id FROM procrastinate_workers WHERE last_heartbeat > now() - interval '1 second'"
        async with db.read("test") as session:
            return set(await session.scalars(text(query)))

    async def all_live() -> bool:
        return len(await living()) == QUEUES

    async def none_lives() -> bool:
        return not await living()

    async with working(jobs):
        await until(all_live)
        before = await living()
        is_away = True
        await until(none_lives)
        is_away = False
        await until(all_live)
        assert await living() == before
        async with db.begin("test") as session:
            await session.execute(text("DELETE FROM procrastinate_workers"))
        await until(all_live)
        assert not await living() & before


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 1), (1, 2), (5, 32), (9, 300), (10_000, 300)])
def test_the_pause_before_the_next_try_doubles_up_to_a_limit(attempts: int, seconds: int) -> None:
    job = Job(id=1, queue="money", lock=None, queueing_lock=None, task_name="x", attempts=attempts)
    decision = Backoff(longest_seconds=300).get_retry_decision(exception=RuntimeError(), job=job)
    assert decision is not None
    assert decision.retry_at is not None
    assert abs((decision.retry_at - utcnow()).total_seconds() - seconds) < 2


async def test_messages_that_hang_stop_no_routine_and_no_delivery(db: Database, jobs: Jobs) -> None:
    done: list[str] = []
    for_ever = asyncio.Event()

    async def hang() -> None:
        await for_ever.wait()

    async def work(where: str) -> None:
        done.append(where)

    jobs.register([JobKind(HANG, hang, FOR_EVER), JobKind(WORK, work, FOR_EVER)])
    async with db.begin("test") as session:
        for _ in range(20):
            await jobs.defer(session, HANG)
        for queue in (MONEY, PAGES, OUTSIDE, UPKEEP):
            await jobs.defer(session, JobName("work", queue), where=queue)

    async def all_done() -> bool:
        return sorted(done) == sorted([MONEY, PAGES, OUTSIDE, UPKEEP])

    async with working(jobs):
        await until(all_done)
        for_ever.set()


async def test_work_ends_also_when_a_driver_loses_the_cancellation(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio.wait_for of Python 3.11, in the connections' pool, returns instead when both come at once."""
    register, waits = jobs.app.job_manager.register_worker, asyncio.Event()

    async def register_all_the_same() -> int:
        waits.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.2)
        return await register()

    monkeypatch.setattr(jobs.app.job_manager, "register_worker", register_all_the_same)
    working = asyncio.create_task(jobs.work(money=1, others=1))
    await waits.wait()
    working.cancel()
    done, _ = await asyncio.wait([working], timeout=5)
    assert done == {working}
