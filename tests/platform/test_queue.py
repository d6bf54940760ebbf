"""How jobs are fetched: as the queue's own release does it, and as fast from a backlog as from two."""

import random
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
from procrastinate.schema import SchemaManager
from psycopg.rows import dict_row
from sqlalchemy import BigInteger, column, select, text, values

from getpro.platform.database import Database
from getpro.platform.jobs import MONEY, NOTICES, JobName, Jobs
from getpro.subscriptions.models import subscriptions

WAITING = 1500
FETCHES = 50
ROWS_A_JOB = 100
"""Index entries looked at to fetch and to finish one; some forty are."""
ADD = (
    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args)"
    " SELECT CASE WHEN number %% 3 = 0 THEN 'notices' ELSE 'money' END, 'work', 'lock:' || number / 2,"
    " jsonb_build_object('subscription_id', number) FROM generate_series(1, %s) AS number"
)
READ = (
    "SELECT coalesce(seq_tup_read, 0) AS by_table, coalesce(idx_tup_fetch, 0) AS by_index"
    " FROM pg_stat_user_tables WHERE relid = 'procrastinate_jobs'::regclass"
)
FETCH = "SELECT id, status, worker_id FROM {}(%s::varchar[], %s)"


@pytest.fixture
async def queue(jobs: Jobs) -> AsyncIterator[Any]:
    """The connector of the workers, with whatever their connections are set to."""
    async with jobs.app.open_async():
        yield jobs.app.connector


@pytest.fixture
def connection(database_url: str) -> Any:
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


async def test_a_backlog_is_fetched_by_the_index_though_the_plan_is_of_an_empty_night(
    jobs: Jobs, queue: Any, connection: psycopg.Connection[dict[str, int]], figure: Callable[[str], None]
) -> None:
    connection.execute("VACUUM ANALYZE procrastinate_jobs")
    [worker] = connection.execute("SELECT worker_id FROM procrastinate_register_worker_v1()").fetchall()
    for _ in range(12):  # the plan is kept from the sixth on
        assert await jobs.app.job_manager.fetch_job([MONEY], worker["worker_id"]) is None
    connection.execute(ADD, [WAITING])
    before = await rows_read(queue, connection)
    for _ in range(FETCHES):
        job = await jobs.app.job_manager.fetch_job([MONEY], worker["worker_id"])
        assert job is not None
        await queue.execute_query_async(
            "SELECT procrastinate_finish_job_v1(%(id)s, 'succeeded', true)", id=job.id
        )
    after = await rows_read(queue, connection)
    by_index = (after["by_index"] - before["by_index"]) / FETCHES
    figure(f"{by_index:.0f} index entries to fetch and finish one of {WAITING} jobs")
    assert by_index < ROWS_A_JOB
    assert after["by_table"] == before["by_table"]


async def rows_read(queue: Any, connection: psycopg.Connection[dict[str, int]]) -> dict[str, int]:
    await queue.execute_query_async("SELECT pg_stat_force_next_flush()")
    await queue.execute_query_async("SELECT 1")
    connection.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
    [row] = connection.execute(READ).fetchall()
    return row


async def test_what_has_no_job_is_looked_up_and_not_joined(db: Database, jobs: Jobs) -> None:
    number = subscriptions.c.subscription_id
    sought = select(number).where(jobs.none_for(JobName("work", MONEY), number))
    written = sought.compile(db.engine, compile_kwargs={"literal_binds": True})
    async with db.begin("test") as session:
        await session.execute(text("ANALYZE procrastinate_jobs"))
        plan = await session.scalars(text(f"EXPLAIN {written}"))
        assert any("hashed SubPlan" in line for line in plan)


async def test_a_job_that_lacks_its_argument_speaks_for_nobody(db: Database, jobs: Jobs) -> None:
    work = JobName("work", MONEY)
    number = (
        values(column("subscription_id", BigInteger), name="numbers").data([(1,), (2,)]).c.subscription_id
    )
    async with db.begin("test") as session:
        await jobs.defer(session, work)
        await jobs.defer(session, work, subscription_id=1)
        jobless = await session.scalars(select(number).where(jobs.none_for(work, number)))
        assert jobless.all() == [2]


@pytest.mark.parametrize("seed", range(40))
def test_the_job_that_is_fetched_is_the_one_that_the_release_fetches(
    connection: psycopg.Connection[dict[str, Any]], seed: int
) -> None:
    """Whatever waits, runs, failed, is locked, is for later, or comes first."""
    chance = random.Random(seed)
    connection.execute(theirs())
    [worker] = connection.execute("SELECT worker_id FROM procrastinate_register_worker_v1()").fetchall()
    for _ in range(chance.choice([0, 3, 12, 40])):
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, priority, status, scheduled_at)"
            " VALUES (%s, 'work', %s, %s, %s, now() + %s * interval '1 hour') ON CONFLICT DO NOTHING",
            [
                chance.choice([MONEY, NOTICES]),
                chance.choice([None, "a", "b", "c"]),
                chance.choice([0, 0, 0, 1]),
                chance.choice(["todo", "todo", "todo", "doing", "failed"]),
                chance.choice([None, None, -1, 1]),
            ],
        )
    for _ in range(50):
        asked = [chance.choice([None, [MONEY], [NOTICES], [MONEY, NOTICES]]), worker["worker_id"]]
        with connection.transaction(force_rollback=True):
            expected = connection.execute(FETCH.format("theirs"), asked).fetchone()
        fetched = connection.execute(FETCH.format("procrastinate_fetch_job_v2"), asked).fetchone()
        assert fetched == expected
        if chance.random() < 0.5 and fetched is not None:
            connection.execute("DELETE FROM procrastinate_jobs WHERE id = %s", [fetched["id"]])


def theirs() -> str:
    """The release's own function, under another name."""
    found = re.search(
        r"CREATE FUNCTION procrastinate_fetch_job_v2(\(.*?\n\$\$;)", SchemaManager.get_schema(), re.DOTALL
    )
    assert found is not None
    return f"CREATE FUNCTION theirs{found[1]}"
