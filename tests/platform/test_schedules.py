import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from getpro.platform import schedules
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.schedules import Schedule, next_run
from moments import until_it_waits

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


async def waiting(db: Database) -> list[str]:
    async with db.begin("test") as session:
        return list(await session.scalars(text("SELECT task_name FROM procrastinate_jobs ORDER BY id")))


NAMES = ["sweep", "report", "a", "b"]
"""The schedules of the release that runs."""


async def run(db: Database, jobs: Jobs, now: datetime) -> list[str]:
    async with db.begin("test") as session:
        return await schedules.run_due(session, jobs, NAMES, now=now)


async def declare(db: Database, *declared: Schedule, now: datetime = NOW) -> None:
    async with db.begin("test") as session:
        await schedules.declare(session, list(declared), now=now)


@pytest.mark.parametrize(
    ("rule", "zone", "expected"),
    [
        ("every 15s", "UTC", NOW + timedelta(seconds=15)),
        ("0 9 * * *", "Europe/Moscow", datetime(2026, 3, 2, 6, 0, tzinfo=UTC)),
        ("30 15 * * *", "Europe/Moscow", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        ("0 9 * * MON", "UTC", datetime(2026, 3, 2, 9, 0, tzinfo=UTC)),
    ],
)
def test_the_next_run_follows_the_rule_in_its_zone(rule: str, zone: str, expected: datetime) -> None:
    assert next_run(rule, zone, after=NOW) == expected


async def test_a_due_schedule_defers_its_job_once(db: Database, jobs: Jobs) -> None:
    await declare(db, Schedule("sweep", "every 30s"))
    assert await run(db, jobs, NOW) == ["sweep"]
    assert await run(db, jobs, NOW) == []
    assert await waiting(db) == ["sweep"]


async def test_what_was_missed_in_a_week_runs_once_and_is_marked_late(db: Database, jobs: Jobs) -> None:
    await declare(db, Schedule("sweep", "every 60s"))
    assert await run(db, jobs, NOW + timedelta(days=7)) == ["sweep"]
    assert await run(db, jobs, NOW + timedelta(days=7)) == []
    async with db.begin("test") as session:
        row = (await session.execute(select(schedules.schedules))).one()
    assert row.last_was_late
    assert row.next_run_at == NOW + timedelta(days=7, seconds=60)


async def test_each_missed_run_is_made_up_for_where_the_schedule_says_so(db: Database, jobs: Jobs) -> None:
    await declare(db, Schedule("report", "0 9 * * *", catch_up="each"))
    runs = [await run(db, jobs, NOW + timedelta(days=3)) for _ in range(5)]
    assert runs.count(["report"]) == 3


async def test_of_two_processes_that_look_at_once_one_claims(db: Database, jobs: Jobs) -> None:
    await declare(db, Schedule("report", "0 9 * * *", catch_up="each"))
    due = NOW + timedelta(days=1)
    async with db.begin("test") as session:
        assert await schedules.run_due(session, jobs, NAMES, now=due) == ["report"]
        other = asyncio.create_task(run(db, jobs, due))
        await until_it_waits(db, other)
    assert await other == []
    assert await waiting(db) == ["report"]


async def test_a_run_that_still_waits_is_not_deferred_again(db: Database, jobs: Jobs) -> None:
    await declare(db, Schedule("sweep", "every 30s"))
    await run(db, jobs, NOW)
    await run(db, jobs, NOW + timedelta(seconds=31))
    assert await waiting(db) == ["sweep"]


async def test_a_changed_rule_counts_from_now_and_an_unchanged_one_goes_on(db: Database, jobs: Jobs) -> None:
    await declare(db, Schedule("a", "every 3600s"), Schedule("b", "every 3600s"))
    await run(db, jobs, NOW)
    later = NOW + timedelta(minutes=10)
    await declare(db, Schedule("a", "every 60s"), Schedule("b", "every 3600s"), now=later)
    async with db.begin("test") as session:
        rows = (await session.execute(select(schedules.schedules))).all()
    assert {row.name: row.next_run_at for row in rows} == {"a": later, "b": NOW + timedelta(hours=1)}


async def test_a_schedule_of_another_release_is_left_to_it(db: Database, jobs: Jobs) -> None:
    await declare(db, Schedule("sweep", "every 30s"), Schedule("wipe", "every 30s"))
    assert await run(db, jobs, NOW + timedelta(days=1)) == ["sweep"]
    assert await waiting(db) == ["sweep"]


async def test_a_schedule_of_another_release_keeps_nobody_awake(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is overdue for ever, and is not slept for."""
    await declare(db, Schedule("wipe", "every 30s"))
    pauses: list[float] = []

    async def sleep(seconds: float, clock: object) -> None:
        pauses.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(schedules, "_sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await schedules.run_for_ever(db, jobs, lambda: NOW, [Schedule("report", "0 9 * * *")])
    assert pauses == [schedules._LONGEST_SLEEP_SECONDS]


async def edit(db: Database, name: str, rule: str, zone: str = "UTC") -> None:
    """What an operator does in psql."""
    async with db.begin("test") as session:
        change = update(schedules.schedules).where(schedules.schedules.c.name == name)
        await session.execute(change.values(rule=rule, zone=zone))


async def rules(db: Database) -> dict[str, str]:
    async with db.begin("test") as session:
        rows = await session.execute(select(schedules.schedules.c.name, schedules.schedules.c.rule))
        return {row.name: row.rule for row in rows}


async def test_a_rule_that_an_operator_set_outlives_a_restart_and_a_release(db: Database) -> None:
    await declare(db, Schedule("sweep", "every 30s"), Schedule("poll", "every 5s"))
    await edit(db, "sweep", "every 300s")
    await declare(db, Schedule("sweep", "every 30s"), Schedule("poll", "every 5s"))
    assert await rules(db) == {"sweep": "every 300s", "poll": "every 5s"}
    await declare(db, Schedule("sweep", "every 60s"), Schedule("poll", "every 10s"))
    assert await rules(db) == {"sweep": "every 300s", "poll": "every 10s"}


@pytest.mark.parametrize(
    ("rule", "zone"), [("when I like", "UTC"), ("every day", "UTC"), ("0 9 * * *", "Europe/Mars")]
)
async def test_a_wrong_rule_stops_no_other_schedule(db: Database, jobs: Jobs, rule: str, zone: str) -> None:
    await declare(db, Schedule("a", "every 30s"), Schedule("b", "every 30s"))
    await edit(db, "a", rule, zone)
    assert await run(db, jobs, NOW) == ["b"]
    assert await run(db, jobs, NOW) == []


async def test_a_clock_that_is_moved_is_noticed_within_a_second_and_what_is_due_runs_once(
    db: Database, jobs: Jobs
) -> None:
    now = NOW

    def clock() -> datetime:
        return now

    running = asyncio.create_task(
        schedules.run_for_ever(db, jobs, clock, [Schedule("morning", "0 9 * * *", "Europe/Moscow")])
    )
    try:
        async with asyncio.timeout(5):
            while not await declared(db):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)  # it has looked, and waits for what is due tomorrow
        now += timedelta(days=7)
        async with asyncio.timeout(1):
            while not await waiting(db):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.6)
        assert await waiting(db) == ["morning"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def declared(db: Database) -> int:
    async with db.begin("test") as session:
        return len((await session.execute(select(schedules.schedules))).all())
