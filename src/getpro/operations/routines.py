"""The operator's routines: what is looked at, when, and what becomes of what was found.

Each runs by its schedule and by ``2getpro ops NAME`` alike, is kept in ``check_runs``, and is told to the
operators' chat, whether all is well or not: a report that does not come is news, too.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import insert, select

from getpro.checks.check import Check, Finding, Level, run, worst
from getpro.checks.machine import DISK, look_at_disks
from getpro.operations import chat
from getpro.operations.deps import Deps
from getpro.operations.looks import backups, certificates, errors, machine, money, ports, tables, targets
from getpro.operations.models import check_runs
from getpro.operations.report import report
from getpro.operations.vacuum import VACUUM, clean
from getpro.platform.database import Session

_CHECK_SECONDS: Final = 60
BY_SCHEDULE: Final = "schedule"


@dataclass(frozen=True, slots=True)
class Routine:
    """``rule`` is a cron line in the operator's zone."""

    name: str
    title: str
    rule: str
    checks: Callable[[Deps, datetime], Sequence[Check]]
    seconds: float = _CHECK_SECONDS
    """For each check."""

    @property
    def schedule(self) -> str:
        """Its name among the schedules, and its job's."""
        return f"ops_{self.name}"


def _morning(deps: Deps, now: datetime) -> list[Check]:
    logs = deps.folders.get("logs")
    return [
        Check(targets.TARGETS, partial(targets.look, deps.settings.prometheus_url)),
        Check(errors.ERRORS, partial(errors.look, logs, now=now, span=timedelta(hours=24))),
        *_resources(deps),
        Check(money.WAITING, partial(money.look_at_waiting, deps.db, now=now)),
        Check(money.STUCK, partial(money.look_at_stuck, deps.db, now=now)),
    ]


def _watch(deps: Deps, now: datetime) -> list[Check]:
    logs = deps.folders.get("logs")
    return [
        Check(money.HOUR, partial(money.look_at_hour, deps.db, now=now)),
        Check(money.WAITING, partial(money.look_at_waiting, deps.db, now=now)),
        Check(money.STUCK, partial(money.look_at_stuck, deps.db, now=now)),
        Check(errors.ERRORS, partial(errors.look, logs, now=now, span=timedelta(hours=2))),
    ]


def _evening(deps: Deps, now: datetime) -> list[Check]:
    return [
        Check(backups.COPIES, partial(backups.look, deps.settings.backups, now=now)),
        *_resources(deps),
        Check(money.DAY, partial(money.look_at_day, deps.db, now=now, zone=deps.zone)),
        Check(money.WAITING, partial(money.look_at_waiting, deps.db, now=now)),
    ]


def _monday(deps: Deps, now: datetime) -> list[Check]:
    return [Check(money.WEEK, partial(money.look_at_week, deps.db, now=now))]


def _wednesday(deps: Deps, now: datetime) -> list[Check]:
    return [
        Check(certificates.CERTIFICATES, partial(certificates.look, deps.urls, now=now)),
        Check(ports.PORTS, partial(ports.look_at_ports, deps.settings.ports)),
        Check(ports.FIREWALL, ports.look_at_firewall),
    ]


def _thursday(deps: Deps, now: datetime) -> list[Check]:
    return [
        Check(tables.SIZES, partial(tables.look_at_sizes, deps.db, now=now)),
        Check(VACUUM, partial(clean, deps.db)),
        Check(tables.DEAD, partial(tables.look_at_dead_rows, deps.db, now=now)),
        Check(tables.INDEXES, partial(tables.look_at_indexes, deps.db)),
    ]


def _friday(deps: Deps, now: datetime) -> list[Check]:
    return [
        Check(backups.COPIES, partial(backups.look, deps.settings.backups, now=now)),
        Check(backups.RESTORED, backups.look_at_restores),
    ]


def _resources(deps: Deps) -> list[Check]:
    return [
        Check(DISK, partial(look_at_disks, deps.folders)),
        Check(machine.MEMORY, machine.look_at_memory),
        Check(machine.LOAD, partial(machine.look_at_load, os.cpu_count() or 1)),
    ]


ROUTINES: Final = {
    routine.name: routine
    for routine in (
        Routine("morning", "Утренняя проверка", "0 9 * * *", _morning),
        Routine("watch", "Проверка каждые два часа", "0 */2 * * *", _watch),
        Routine("evening", "Вечерняя проверка", "0 18 * * *", _evening),
        Routine("monday", "Понедельник: неделя в цифрах", "30 9 * * 1", _monday),
        Routine("wednesday", "Среда: безопасность", "30 9 * * 3", _wednesday),
        Routine("thursday", "Четверг: уборка базы", "30 4 * * 4", _thursday, seconds=3600),
        Routine("friday", "Пятница: копии базы", "0 10 * * 5", _friday),
    )
}


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a routine found."""

    run_id: int
    routine: str
    asked_by: str
    started_at: datetime
    finished_at: datetime
    level: Level
    findings: list[Finding]


async def carry_out(
    deps: Deps,
    routine: Routine,
    *,
    asked_by: str = BY_SCHEDULE,
    tell: bool = True,
    on_progress: Callable[[list[str]], object] = lambda _: None,
) -> Run:
    """Look, at everything at once, keep what was found, and have the operators told; a flow."""
    started_at = deps.clock()
    findings = await run(routine.checks(deps, started_at), seconds=routine.seconds, on_progress=on_progress)
    finished_at = deps.clock()
    async with deps.db.begin(f"ops: {routine.name}") as session:
        run_id = await _keep(session, routine, asked_by, started_at, finished_at, findings)
        if tell:
            words = report(routine.title, findings, now=finished_at, zone=deps.zone)
            await chat.say(session, deps.jobs, key=f"run:{run_id}", text=words, now=finished_at)
    return Run(run_id, routine.name, asked_by, started_at, finished_at, worst(findings), findings)


async def _keep(
    session: Session,
    routine: Routine,
    asked_by: str,
    started_at: datetime,
    finished_at: datetime,
    findings: list[Finding],
) -> int:
    run_id = await session.scalar(
        insert(check_runs)
        .values(
            routine=routine.name,
            asked_by=asked_by,
            started_at=started_at,
            finished_at=finished_at,
            level=worst(findings),
            findings=[asdict(finding) for finding in findings],
        )
        .returning(check_runs.c.run_id)
    )
    assert isinstance(run_id, int)
    return run_id


async def history(session: Session, *, routine: str | None = None, most: int = 20) -> list[Run]:
    """The last runs, newest first."""
    wanted = select(check_runs).order_by(check_runs.c.started_at.desc(), check_runs.c.run_id.desc())
    if routine is not None:
        wanted = wanted.where(check_runs.c.routine == routine)
    return [_run_of(row) for row in await session.execute(wanted.limit(most))]


def _run_of(row: Any) -> Run:
    findings = [Finding(**(found | {"level": Level(found["level"])})) for found in row.findings]
    return Run(
        row.run_id,
        row.routine,
        row.asked_by,
        row.started_at,
        row.finished_at,
        Level(row.level),
        findings,
    )
