"""The operator's routines: what is looked at, when, and what becomes of what was found.

Each runs by its schedule and by ``2getpro ops NAME`` alike, is kept in ``check_runs``, and is told to the
operators' chat, whether all is well or not: a report that does not come is news, too.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from getpro.checks.check import Check, Finding, Level, Line, run, worst
from getpro.checks.machine import DISK, look_at_disks
from getpro.operations import acceptance, alarms, audits, chat, drill, outlook, upgrade, week
from getpro.operations.capacity import BACKUPS, DATABASE, DISKS, PEAK
from getpro.operations.deps import Deps
from getpro.operations.looks import (
    access,
    backups,
    capacity,
    certificates,
    chain,
    contacts,
    dashboards,
    dependencies,
    errors,
    issues,
    machine,
    money,
    ports,
    rights,
    secrets,
    services,
    signatures,
    suspicion,
    synthetic,
    tables,
    targets,
)
from getpro.operations.models import BY_SCHEDULE, check_runs
from getpro.operations.monitoring import dashboard
from getpro.operations.month import letter
from getpro.operations.report import report
from getpro.operations.runs import AlreadyRun, Run, history, keep
from getpro.operations.vacuum import VACUUM, clean
from getpro.platform.bot_api import Document
from getpro.platform.database import DATABASE_AWAY, Session
from getpro.platform.jobs import JobName
from getpro.platform.schedules import schedules
from getpro.platform.typesetting import NotDrawn

_CHECK_SECONDS: Final = 60
_ATTEMPT_SECONDS: Final = 4 * 3600
_AUDIT_SECONDS: Final = 300
_MONTH: Final = timedelta(days=31)
_REPORT_SECONDS: Final = 300
_DRILL_SECONDS: Final = 6 * 3600
"""On a large database most of it follows the log."""
PICTURE: Final = Line("picture", "Картинка")
FILES: Final = Line("files", "Картинки и файлы")
KEPT: Final = Line("kept", "Итог проверки")


@dataclass(frozen=True, slots=True)
class Routine:
    """``rule`` is a cron line in the operator's zone."""

    name: str
    title: str
    rule: str
    checks: Callable[[Deps, datetime], Sequence[Check]]
    seconds: float = _CHECK_SECONDS
    """For each check."""
    dashboard: str = "getpro-host"
    """Grafana's name of the one that shows the same."""
    picture: Callable[[Deps, datetime], Awaitable[bytes]] | None = None
    """A PNG that goes with the report; may raise NotDrawn, and what the database raises."""
    conclude: Callable[[Session, Deps, Run], Awaitable[str]] | None = None
    """Keeps what else there is of a run, in its transaction, and says what the operators are told."""
    paper: JobName | None = None
    """Sends the operators more of a run, by its ``run_id``, after they were told."""
    files: Callable[[Deps, datetime], Awaitable[list[Document]]] | None = None
    """Pictures and papers that follow the report; may raise the same."""

    @property
    def schedule(self) -> str:
        """Its name among the schedules, and its job's."""
        return f"ops_{self.name}"


def _morning(deps: Deps, now: datetime) -> list[Check]:
    logs, settings = deps.folders.get("logs"), deps.settings
    return [
        Check(targets.TARGETS, partial(targets.look, settings.prometheus_url, settings.services)),
        *_restarts(deps, now),
        Check(services.WORKERS, partial(services.look_at_workers, deps.db, now=now)),
        _purchase(deps, now),
        Check(errors.ERRORS, partial(errors.look, logs, now=now, span=timedelta(hours=24))),
        *_resources(deps),
        Check(machine.WEEK, partial(machine.look_at_week, deps.db, now=now, cores=_cores())),
        Check(money.WAITING, partial(money.look_at_waiting, deps.db, now=now)),
        Check(money.STUCK, partial(money.look_at_stuck, deps.db, now=now)),
    ]


def _watch(deps: Deps, now: datetime) -> list[Check]:
    logs, url = deps.folders.get("logs"), deps.settings.prometheus_url
    return [
        _purchase(deps, now),
        Check(money.HOUR, partial(money.look_at_hour, deps.db, now=now)),
        Check(money.WAITING, partial(money.look_at_waiting, deps.db, now=now)),
        Check(money.STUCK, partial(money.look_at_stuck, deps.db, now=now)),
        Check(dashboards.DASHBOARDS, partial(dashboards.look, url, now=now)),
        _anomalies(deps, now, timedelta(days=1)),
        Check(errors.ERRORS, partial(errors.look, logs, now=now, span=timedelta(hours=2))),
        Check(issues.ISSUES, partial(issues.look, deps.sentry, deps.db, now=now)),
    ]


def _evening(deps: Deps, now: datetime) -> list[Check]:
    return [
        Check(backups.COPIES, partial(backups.look, deps.folders.get("backups"), now=now)),
        Check(backups.LOG, partial(backups.look_at_log, deps.db, now=now, is_kept=deps.keeps_log)),
        *_offsite(deps, now),
        *_resources(deps),
        Check(machine.FULL, partial(machine.look_at_days_until_full, deps.db, deps.folders, now=now)),
        Check(machine.KILLED, partial(machine.look_at_killed, deps.db, now=now)),
        Check(money.DAY, partial(money.look_at_day, deps.db, now=now, zone=deps.zone)),
        Check(money.WAITING, partial(money.look_at_waiting, deps.db, now=now)),
    ]


def _monday(deps: Deps, now: datetime) -> list[Check]:
    return [Check(money.WEEK, partial(money.look_at_week, deps.db, now=now, zone=deps.zone))]


def _tuesday(deps: Deps, _: datetime) -> list[Check]:
    return [Check(dependencies.OUTDATED, partial(dependencies.look_at_outdated, deps.packages))]


def with_attempt(routine: Routine) -> Routine:
    """The same, and the upgrade tried: hours, where the program's tests are there."""

    def checks(deps: Deps, now: datetime) -> list[Check]:
        return [*routine.checks(deps, now), Check(upgrade.MADE, upgrade.look)]

    return replace(routine, checks=checks, seconds=_ATTEMPT_SECONDS)


def _wednesday(deps: Deps, now: datetime) -> list[Check]:
    return [
        Check(dependencies.VULNERABLE, partial(dependencies.look_at_vulnerabilities, deps.packages)),
        Check(certificates.CERTIFICATES, partial(certificates.look, deps.urls, now=now)),
        Check(ports.PORTS, partial(ports.look_at_ports, deps.settings.ports)),
        Check(ports.FIREWALL, ports.look_at_firewall),
        _ages(deps, now),
        Check(contacts.TEAM, partial(contacts.look, deps.db, now=now)),
    ]


def _ages(deps: Deps, now: datetime) -> Check:
    look = partial(secrets.look_at_ages, deps.db, deps.inventory, now=now, zone=deps.zone)
    return Check(secrets.AGES, look)


def _anomalies(deps: Deps, now: datetime, span: timedelta) -> Check:
    look = partial(access.look_at_anomalies, deps.db, deps.operators, now=now, span=span, zone=deps.zone)
    return Check(access.ANOMALIES, look)


def _audit(deps: Deps, now: datetime) -> list[Check]:
    """The guide's five boxes, and what else there is to be seen once a month."""
    db, zone = deps.db, deps.zone
    return [
        Check(access.REVIEW, partial(access.look_at_review, db, deps.operators, now=now, span=_MONTH)),
        _anomalies(deps, now, _MONTH),
        _not_used(access.CONSOLE),
        Check(suspicion.NOTICES, partial(suspicion.look_at_notices, db, now=now, span=_MONTH)),
        Check(suspicion.TRIALS, partial(suspicion.look_at_trials, db, now=now, span=_MONTH, zone=zone)),
        Check(
            suspicion.REFUNDS,
            partial(suspicion.look_at_refunds, db, now=now, span=_MONTH, zone=zone),
        ),
        Check(suspicion.FLOODS, partial(suspicion.look_at_floods, db, now=now, span=_MONTH, zone=zone)),
        _not_used(suspicion.PROMO),
        _not_used(suspicion.REFERRALS),
        _ages(deps, now),
        Check(secrets.STRENGTH, partial(secrets.look_at_strength, deps.inventory)),
        Check(rights.PEOPLE, partial(rights.look_at_people, db, deps.operators, now=now)),
        Check(rights.ROLES, partial(rights.look_at_roles, db)),
        Check(rights.MODES, partial(rights.look_at_modes, deps.private, deps.folders.get("backups"))),
        _not_used(signatures.API_KEYS),
        Check(chain.CHAIN, partial(chain.look, db, deps.folders.get("backups"))),
        Check(signatures.SIGNED, partial(signatures.look, db, now=now, zone=zone)),
        Check(dependencies.VULNERABLE, partial(dependencies.look_at_vulnerabilities, deps.packages)),
        Check(certificates.CERTIFICATES, partial(certificates.look, deps.urls, now=now)),
        Check(ports.PORTS, partial(ports.look_at_ports, deps.settings.ports)),
        Check(ports.FIREWALL, ports.look_at_firewall),
        Check(rights.USER, rights.look_at_user),
    ]


def _not_used(line: Line) -> Check:
    """The guide asks for it, and the shop has no such part."""

    async def look() -> AsyncIterator[Finding]:
        yield line.absent("не используется")

    return Check(line, look)


def _thursday(deps: Deps, now: datetime) -> list[Check]:
    return [
        Check(tables.SIZES, partial(tables.look_at_sizes, deps.db, now=now)),
        Check(VACUUM, partial(_clean, deps, now)),
        Check(tables.INDEXES, partial(tables.look_at_indexes, deps.db)),
    ]


async def _clean(deps: Deps, now: datetime) -> AsyncIterator[Finding]:
    """Clean, and only then look at what is left."""
    async for finding in clean(deps.db):
        yield finding
    async for finding in tables.look_at_dead_rows(deps.db, now=now):
        yield finding


def _friday(deps: Deps, now: datetime) -> list[Check]:
    return [
        Check(backups.COPIES, partial(backups.look, deps.folders.get("backups"), now=now)),
        Check(
            backups.RESTORED,
            partial(
                backups.look_at_restores,
                deps.db,
                now=now,
                is_ours=deps.makes_backups,
                has_bases=deps.keeps_log,
            ),
        ),
    ]


def _report(deps: Deps, now: datetime) -> list[Check]:
    return [Check(letter.MONTH, partial(letter.look, deps, letter.due(deps, now)))]


async def _papers(deps: Deps, now: datetime) -> list[Document]:
    return await letter.papers(deps, letter.due(deps, now))


def of_month(routine: Routine, month: date) -> Routine:
    """The report about another month; its checks raise ValueError for one that has not begun."""

    def checks(deps: Deps, now: datetime) -> list[Check]:
        return [Check(letter.MONTH, partial(letter.look, deps, letter.asked(deps, month, now)))]

    async def files(deps: Deps, now: datetime) -> list[Document]:
        return await letter.papers(deps, letter.asked(deps, month, now))

    return replace(routine, checks=checks, files=files)


def _offsite(deps: Deps, now: datetime) -> list[Check]:
    """Only where copies go off the machine."""
    if deps.compare is None:
        return []
    return [Check(backups.OFFSITE, partial(backups.look_at_offsite, deps.db, deps.compare, now=now))]


def _capacity(deps: Deps, now: datetime) -> list[Check]:
    """What is full soonest first: a locked phone shows the beginning."""
    return [
        Check(DISKS, partial(capacity.look_at_machine, deps, now=now)),
        Check(DATABASE, partial(capacity.look_at_database, deps, now=now)),
        Check(BACKUPS, partial(capacity.look_at_backups, deps, now=now)),
        Check(PEAK, partial(capacity.look_at_load, deps, now=now)),
        Check(capacity.MONTHS, partial(capacity.look_at_customers, deps, now=now)),
        Check(capacity.SAMPLES, partial(capacity.look_at_samples, deps, now=now)),
    ]


def _drill(deps: Deps, _: datetime) -> list[Check]:
    return [Check(drill.DRILL, partial(drill.look, deps.rehearse))]


def _restarts(deps: Deps, now: datetime) -> list[Check]:
    """Where there is no Prometheus, its own line says so."""
    if (url := deps.settings.prometheus_url) is None:
        return []
    look = partial(services.look_at_restarts, url, deps.settings.services, now=now)
    return [Check(services.RESTARTS, look)]


def _cores() -> int:
    return os.cpu_count() or 1


def _purchase(deps: Deps, now: datetime) -> Check:
    is_on = deps.settings.synthetic
    return Check(synthetic.PURCHASE, partial(synthetic.look, deps.db, now=now, is_on=is_on))


def _resources(deps: Deps) -> list[Check]:
    return [
        Check(DISK, partial(look_at_disks, deps.folders)),
        Check(machine.MEMORY, machine.look_at_memory),
        Check(machine.LOAD, partial(machine.look_at_load, _cores())),
    ]


ROUTINES: Final = {
    routine.name: routine
    for routine in (
        Routine("morning", "Утренняя проверка", "0 9 * * *", _morning),
        Routine("watch", "Проверка каждые два часа", "0 */2 * * *", _watch, dashboard="getpro-payments"),
        Routine("evening", "Вечерняя проверка", "0 18 * * *", _evening, dashboard="getpro-business"),
        Routine(
            "monday",
            "Понедельник: неделя в цифрах",
            "30 9 * * 1",
            _monday,
            dashboard="getpro-business",
            picture=week.picture,
        ),
        Routine("tuesday", "Вторник: обновления пакетов", "30 9 * * 2", _tuesday, seconds=600),
        Routine("wednesday", "Среда: безопасность", "30 9 * * 3", _wednesday, seconds=300),
        Routine(
            "thursday",
            "Четверг: уборка базы",
            "30 4 * * 4",
            _thursday,
            dashboard="getpro-database",
            seconds=3600,
        ),
        Routine("friday", "Пятница: копии базы", "0 10 * * 5", _friday),
        # The 3rd is always in the month's first week.
        Routine(
            audits.NAME,
            "Первая неделя: аудит безопасности",
            "0 11 3 * *",
            _audit,
            seconds=_AUDIT_SECONDS,
            conclude=audits.conclude,
            paper=audits.SEND,
        ),
        # The 8th is always in the month's second week.
        Routine(
            "capacity",
            "Вторая неделя: на сколько всего хватит",
            "0 11 8 * *",
            _capacity,
            picture=outlook.picture,
        ),
        # The 15th is always in the month's third week.
        Routine(
            "drill",
            "Третья неделя: учения",
            "0 11 15 * *",
            _drill,
            dashboard="getpro-database",
            seconds=_DRILL_SECONDS,
            picture=drill.picture,
        ),
        # The 22nd is always in the month's fourth week; on the 4th the month before is closed.
        Routine(
            "report",
            "Отчёт за месяц",
            "0 10 4,22 * *",
            _report,
            dashboard="getpro-business",
            seconds=_REPORT_SECONDS,
            files=_papers,
        ),
    )
}


async def carry_out_due(deps: Deps, routine: Routine) -> None:
    """Carry it out for the time that its schedule was last due, once however often asked; a flow."""
    async with deps.db.read("ops: due") as session:
        due_at = await session.scalar(
            select(schedules.c.last_run_at).where(schedules.c.name == routine.schedule)
        )
        known = select(check_runs.c.run_id).where(
            check_runs.c.routine == routine.name, check_runs.c.due_at == due_at
        )
        if due_at is not None and await session.scalar(known) is not None:
            return
    with contextlib.suppress(AlreadyRun):
        await carry_out(deps, routine, due_at=due_at)


async def carry_out(
    deps: Deps,
    routine: Routine,
    *,
    asked_by: str = BY_SCHEDULE,
    due_at: datetime | None = None,
    tell: bool = True,
    draw: bool = False,
    on_progress: Callable[[list[str]], object] = lambda _: None,
) -> Run:
    """Look, at everything at once, keep what was found, and have the operators told; a flow.

    What is told has its picture with it; ``draw`` makes one for the caller, too. Raises AlreadyRun where
    another has kept a run for the same ``due_at`` meanwhile. Whoever asks by hand sees what was found also
    while the database is away.
    """
    started_at = deps.clock()
    checks = [_or_absent(check, deps) for check in routine.checks(deps, started_at)]
    findings = await run(checks, seconds=routine.seconds, on_progress=on_progress)
    findings = await _without_accepted(deps, findings, now=started_at)
    picture = None
    if routine.picture is not None and (tell or draw):
        try:
            picture = await routine.picture(deps, started_at)
        except (NotDrawn, *DATABASE_AWAY, SQLAlchemyError) as error:
            seen = f"не нарисована: {error if isinstance(error, NotDrawn) else type(error).__name__}"
            findings.append(PICTURE.unknown(seen, f"Повторите: 2getpro ops {routine.name} --chart FILE.png."))
    files: list[Document] = []
    if routine.files is not None and tell:
        try:
            files = await routine.files(deps, started_at)
        except (NotDrawn, *DATABASE_AWAY, SQLAlchemyError) as error:
            seen = f"не готовы: {error if isinstance(error, NotDrawn) else type(error).__name__}"
            findings.append(FILES.unknown(seen, f"Повторите: 2getpro ops {routine.name} --tell."))
    done = Run(0, routine.name, asked_by, started_at, deps.clock(), worst(findings), findings, picture)
    try:
        async with deps.db.begin(f"ops: {routine.name}") as session:
            before = await history(session, routine=routine.name, most=1)
            done = replace(done, run_id=await keep(session, done, due_at=due_at))
            if deps.incidents is not None:
                forgotten = [finding.name for past in before for finding in past.findings]
                await alarms.of_run(
                    session, deps.incidents, routine.name, findings, raises=tell, before=forgotten
                )
            words = None if routine.conclude is None else await routine.conclude(session, deps, done)
            if tell:
                link = dashboard(deps.settings.grafana_url, routine.dashboard)
                words = words or report(
                    routine.title, findings, now=done.finished_at, zone=deps.zone, link=link
                )
                await chat.say(
                    session,
                    deps.jobs,
                    key=f"run:{done.run_id}",
                    text=words,
                    now=done.finished_at,
                    picture=picture,
                    is_silent=done.level in {Level.OK, Level.ABSENT},  # nobody need get up for it
                )
                if routine.paper is not None:
                    await deps.jobs.defer(session, routine.paper, lock="operators", run_id=done.run_id)
                await chat.attach(session, deps.jobs, files, key=f"run:{done.run_id}", now=done.finished_at)
    except DATABASE_AWAY as error:
        if asked_by == BY_SCHEDULE:  # its job comes again
            raise
        seen = f"не записан и в чат не послан: {type(error).__name__}"
        findings.append(KEPT.unknown(seen, "Исправьте базу: строки выше верны и без неё."))
        return replace(done, run_id=0, level=worst(findings))
    return done


async def _without_accepted(deps: Deps, findings: list[Finding], *, now: datetime) -> list[Finding]:
    """Those that a person has accepted colour nothing; while the database is away nobody knows of any."""
    try:
        async with deps.db.read("ops: accepted") as session:
            accepted = await acceptance.in_force(session, now=now)
    except (*DATABASE_AWAY, SQLAlchemyError):
        return findings
    return acceptance.settled(findings, accepted, deps.zone)


def _or_absent(check: Check, deps: Deps) -> Check:
    """The check itself, or one that says why there is nothing to look at."""
    why = deps.absent(check.line)
    if why is None:
        return check

    async def look() -> AsyncIterator[Finding]:
        yield check.line.absent(why)

    return Check(check.line, look)
