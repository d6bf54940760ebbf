"""Schedules: rows that say when a job is due next; any number of processes may look, one claims it.

A run that is late, because nobody was there, happens once and is marked late.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from croniter import croniter
from sqlalchemy import Boolean, Column, DateTime, Table, Text, and_, false, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from getpro.kit.clock import Clock
from getpro.platform.database import DATABASE_AWAY, Database, Session, metadata
from getpro.platform.jobs import UPKEEP, JobName, Jobs

log = structlog.get_logger(__name__)

LATE_AFTER = timedelta(minutes=1)
_LONGEST_SLEEP_SECONDS = 5.0
_LOOKS_AT_CLOCK_SECONDS = 0.5
"""A clock that was set, or a machine that slept, is noticed so soon."""
_WRONG_RULE_PUT_OFF = timedelta(minutes=10)
"""An operator's slip in one row stops no other, and is told again and again."""

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True, comment="also the job's name"),
    Column("rule", Text, nullable=False, comment="'every 15s' or five cron fields"),
    Column("zone", Text, nullable=False, comment="in which a cron rule is read"),
    Column("next_run_at", DateTime(timezone=True), nullable=False, index=True),
    Column("last_run_at", DateTime(timezone=True)),
    Column("last_was_late", Boolean, nullable=False, server_default=false()),
    Column("catch_up", Text, nullable=False, server_default="latest", comment="latest or each"),
    Column("declared", Text, nullable=False, comment="rule and zone as the program has them"),
)


@dataclass(frozen=True)
class Schedule:
    """A job that is due again and again. ``rule`` is ``every <n>s`` or a cron line in ``zone``."""

    name: str
    rule: str
    zone: str = "UTC"
    catch_up: Literal["latest", "each"] = "latest"
    """After an absence: one run for all that was missed, or one for each."""


def job_of(name: str) -> JobName:
    """The job of the schedule that is called so."""
    return JobName(name, UPKEEP)


def next_run(rule: str, zone: str, *, after: datetime) -> datetime:
    """The first moment after ``after`` at which ``rule`` is due, aware, UTC.

    Raises ValueError for a rule that is neither ``every <n>s`` nor a cron line, and for an unknown zone.
    """
    try:
        there = ZoneInfo(zone)
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"no time zone {zone!r}") from error
    if rule.startswith("every "):
        return after + timedelta(seconds=int(rule.removeprefix("every ").removesuffix("s")))
    local = croniter(rule, after.astimezone(there)).get_next(datetime)
    assert isinstance(local, datetime)
    return local.astimezone(after.tzinfo)


async def declare(session: Session, declared: list[Schedule], *, now: datetime) -> None:
    """Make the rows of ``declared``; a changed rule is counted from now, one that an operator set stays.

    What comes every so often is due at once; what has its hour waits for it.
    """
    for schedule in declared:
        is_often = schedule.rule.startswith("every ")
        statement = insert(schedules).values(
            name=schedule.name,
            rule=schedule.rule,
            zone=schedule.zone,
            catch_up=schedule.catch_up,
            declared=f"{schedule.rule} {schedule.zone}",
            next_run_at=now if is_often else next_run(schedule.rule, schedule.zone, after=now),
        )
        new, old = statement.excluded, schedules.c
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_={name: new[name] for name in ("rule", "zone", "catch_up", "declared", "next_run_at")},
                where=and_(old.declared != new.declared, old.declared == old.rule + " " + old.zone),
            )
        )


async def run_due(session: Session, jobs: Jobs, names: Collection[str], *, now: datetime) -> list[str]:
    """Claim of ``names`` every schedule that is due, defer its job in the same transaction, return which.

    A row of another name is left alone: it is of another release, and this one has no such job.
    """
    due = await session.execute(
        select(schedules)
        .where(schedules.c.next_run_at <= now, schedules.c.name.in_(names))
        .order_by(schedules.c.next_run_at)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for row in due.all():
        try:
            following = next_run(row.rule, row.zone, after=row.next_run_at if row.catch_up == "each" else now)
        except ValueError as error:
            log.error(
                "schedules.wrong_rule", schedule=row.name, rule=row.rule, zone=row.zone, error=str(error)
            )
            await _put_off(session, row.name, until=now + _WRONG_RULE_PUT_OFF)
            continue
        await session.execute(
            update(schedules)
            .where(schedules.c.name == row.name)
            .values(
                next_run_at=following,
                last_run_at=now,
                last_was_late=now - row.next_run_at > LATE_AFTER,
            )
        )
        if row.catch_up == "each" or not await _is_waiting(session, row.name):
            await jobs.defer(session, job_of(row.name), lock=f"schedule:{row.name}")
            claimed.append(row.name)
    return claimed


async def _put_off(session: Session, name: str, *, until: datetime) -> None:
    await session.execute(update(schedules).where(schedules.c.name == name).values(next_run_at=until))


async def _is_waiting(session: Session, name: str) -> Any:
    """Whether the last run has not begun yet: a second one behind it would do nothing new."""
    return await session.scalar(
        text("SELECT true FROM procrastinate_jobs WHERE task_name = :name AND status = 'todo' LIMIT 1"),
        {"name": name},
    )


async def run_for_ever(db: Database, jobs: Jobs, clock: Clock, declared: list[Schedule]) -> None:
    """Declare the schedules, then run what is due until cancelled; a lost database is waited for."""
    is_declared, names = False, [schedule.name for schedule in declared]
    while True:
        pause = 1.0
        try:
            async with db.begin("schedules") as session:
                now = clock()
                if not is_declared:
                    await declare(session, declared, now=now)
                await run_due(session, jobs, names, now=now)
                soonest = await session.scalar(
                    select(func.min(schedules.c.next_run_at)).where(schedules.c.name.in_(names))
                )
            is_declared = True
            if soonest is not None:
                pause = min(max((soonest - clock()).total_seconds(), 0.05), _LONGEST_SLEEP_SECONDS)
        except DATABASE_AWAY as error:
            log.warning("schedules.database_away", error=str(error).partition("\n")[0])
        await _sleep(pause, clock)


async def _sleep(seconds: float, clock: Clock) -> None:
    """Sleep for ``seconds``, or until they have passed by the clock, whichever is sooner."""
    wakes_at = clock() + timedelta(seconds=seconds)
    while seconds > 0 and clock() < wakes_at:
        await asyncio.sleep(min(seconds, _LOOKS_AT_CLOCK_SECONDS))
        seconds -= _LOOKS_AT_CLOCK_SECONDS
