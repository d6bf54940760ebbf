"""The month's audit of security: its report, held against the month before, signed by a person.

See ``docs/decisions/0029-audit.md``.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import ColumnElement, func, insert, select, update

from getpro.checks.check import Finding
from getpro.incidents import paper, team
from getpro.incidents.deps import Deps as IncidentsDeps
from getpro.incidents.errors import CannotDo
from getpro.incidents.states import Role
from getpro.incidents.team import Actor
from getpro.incidents.words import ROLES
from getpro.operations import audit_words
from getpro.operations.audit_words import Aged, Member
from getpro.operations.deps import Deps
from getpro.operations.looks import access
from getpro.operations.models import audits, check_runs, known_secrets
from getpro.operations.runs import Run, run_of
from getpro.operations.secrets import CATALOGUE
from getpro.platform import audit
from getpro.platform.bot_api import BotApiRefused, TooManyRequests
from getpro.platform.bot_api import Document as File
from getpro.platform.database import Session
from getpro.platform.jobs import NOTICES, JobName, RetryLater
from getpro.platform.typesetting import NotDrawn
from getpro.platform.typesetting import paper as printed

log = structlog.get_logger(__name__)

NAME: Final = "audit"
"""Of the routine."""
SEND: Final = JobName("send_audit", NOTICES)


@dataclass(frozen=True, slots=True)
class Audit:
    """One report. ``month`` is the operator's, by its first day."""

    run_id: int
    month: date
    made_at: datetime
    markdown: str
    head: str
    signed_by: str | None = None
    signed_at: datetime | None = None
    pdf: bytes | None = None

    def name(self, suffix: str) -> str:
        """``audit-2026-11.pdf``."""
        return f"audit-{self.month:%Y-%m}.{suffix}"


def month_of(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date().replace(day=1)


async def conclude(session: Session, deps: Deps, done: Run) -> str:
    """Keep the report of a run, in the run's transaction; return what the operators are told; a step."""
    month = month_of(done.started_at, deps.zone)
    past = await _newest(session, audits.c.month < month)
    before = None if past is None else await _findings(session, past.run_id)
    facts = audit_words.Facts(
        month=month,
        made_at=done.finished_at,
        asked_by=done.asked_by,
        findings=done.findings,
        before=None if past is None else past.month,
        changes=None if before is None else audit_words.compared(before, done.findings),
        head=str(await audit.head(session)),
        people=await _people(session, deps, now=done.started_at),
        secrets=await _secrets(session, now=done.started_at),
    )
    await session.execute(
        insert(audits).values(
            run_id=done.run_id,
            month=month,
            made_at=done.finished_at,
            markdown=audit_words.markdown(facts, deps.zone),
            head=facts.head,
        )
    )
    return audit_words.message(facts, deps.zone)


async def _people(session: Session, deps: Deps, *, now: datetime) -> list[Member]:
    """Of the team, and whom the settings name beside it."""
    acted = await access.last_acts(session, deps.operators, now=now, span=access.SPAN_OF_HABITS)
    everyone = await team.team(session)
    named = {one.telegram_id for one in everyone}
    found = {one.name: ", ".join(ROLES[role] for role in Role if role in one.roles) for one in everyone}
    found |= {access.name_of(str(one), {}): "" for one in sorted(deps.operators - named)}
    operators = {one.name for one in everyone if one.telegram_id in deps.operators}
    return [
        Member(
            name,
            ", ".join(filter(None, ("оператор" if name in operators or not roles else "", roles))),
            acted.get(name),
        )
        for name, roles in found.items()
    ]


async def _secrets(session: Session, *, now: datetime) -> list[Aged]:
    """Those that the run has seen: ``now`` is when it began."""
    rows = await session.execute(select(known_secrets).where(known_secrets.c.last_seen_at >= now))
    known = {row.name: row.first_seen_at for row in rows}
    return [
        Aged(kind.title, name, since, since + timedelta(days=kind.days))
        for name, kind in CATALOGUE.items()
        if (since := known.get(name)) is not None
    ]


async def sign(session: Session, deps: IncidentsDeps, *, by: Actor) -> Audit:
    """Have a person stand for the month's newest report; a step. Raises NotAllowed, CannotDo.

    Whoever of the team has read it; a month that is signed may be signed anew, its newer report.
    """
    await team.require(session, deps, by)
    names = [person.name for person in await team.team(session)]
    if by.name not in names:
        known = f"в команде: {', '.join(names)}" if names else "команды ещё нет: 2getpro contacts add"
        raise CannotDo(f"подписывает человек из команды, --by ИМЯ; {known}")
    now = deps.clock()
    found = await _newest(session, audits.c.month == month_of(now, deps.zone))
    if found is None:
        raise CannotDo("в этом месяце аудита ещё не было: сначала 2getpro ops audit, потом прочитайте его")
    signed = await session.execute(
        update(audits)
        .where(audits.c.run_id == found.run_id, audits.c.signed_at.is_(None))
        .values(signed_by=by.name, signed_at=now, pdf=None)
        .returning(audits)
    )
    row = signed.one_or_none()
    if row is None:
        raise CannotDo(f"этот отчёт уже подписан: {found.signed_by}")
    await audit.note(
        session,
        actor=by.name,
        action="audit.sign",
        subject=f"{found.month:%Y-%m}",
        reason="прочитано",
        outcome=found.head,
        now=now,
    )
    return _of(row)


async def of_month(session: Session, month: date | None = None) -> Audit | None:
    """The newest report, of that month where one is named."""
    return await _newest(
        session, audits.c.month == month if month is not None else audits.c.month.is_not(None)
    )


async def unsigned_month(session: Session, *, before: date) -> date | None:
    """The month of the last audit before this one, if nobody has signed any report of it."""
    last = await _newest(session, audits.c.month < before)
    if last is None:
        return None
    is_signed = select(func.count(audits.c.signed_at)).where(audits.c.month == last.month)
    return None if await session.scalar(is_signed) else last.month


async def heads(session: Session) -> list[tuple[date, str]]:
    """What earlier audits saw as the end of the audit log's chain."""
    rows = await session.execute(select(audits.c.month, audits.c.head).order_by(audits.c.run_id))
    return [(row.month, row.head) for row in rows]


async def with_pdf(deps: Deps | IncidentsDeps, found: Audit, *, shop_name: str) -> Audit:
    """The same with its PDF, made where there is none, and kept; a flow. Raises NotDrawn."""
    if found.pdf is not None:
        return found
    made = found.made_at.astimezone(deps.zone)
    pdf = await printed(
        paper.layout(
            signed(found, deps.zone),
            kicker=shop_name,
            short=f"{found.month:%m.%Y}",
            footer=f"{made:%d.%m.%Y %H:%M}, журнал решений до {found.head}",
            author=found.signed_by or shop_name,
            day=made.date(),
        )
    )
    async with deps.db.begin("audit: pdf") as session:
        # Signed meanwhile, it is another paper.
        is_same = audits.c.signed_at.is_not_distinct_from(found.signed_at)
        await session.execute(update(audits).where(audits.c.run_id == found.run_id, is_same).values(pdf=pdf))
    return replace(found, pdf=pdf)


def signed(found: Audit, zone: ZoneInfo) -> str:
    """The report's Markdown with whoever stands for it."""
    if found.signed_by is None or found.signed_at is None:
        words = "Не подписано. Прочитали — подпишите: `2getpro ops audit --sign --by ИМЯ`"
    else:
        words = f"Прочитал и подписал: {found.signed_by}, {found.signed_at.astimezone(zone):%d.%m.%Y %H:%M}"
    return f"{found.markdown}\n## Подпись\n\n{words}\n"


async def send(deps: Deps, run_id: int) -> None:
    """Send the report to the operators' chat, after its summary; a flow, run as a job."""
    async with deps.db.read("audit: report") as session:
        found = await _newest(session, audits.c.run_id == run_id)
    if found is None or deps.chat is None:
        return
    try:
        found = await with_pdf(deps, found, shop_name=deps.shop_name)
    except NotDrawn as error:
        log.error("audit.pdf_not_made", run_id=run_id, error=str(error))
    file = (
        File(found.name("md"), signed(found, deps.zone).encode())
        if found.pdf is None
        else File(found.name("pdf"), found.pdf)
    )
    try:
        await deps.chat.send("", document=file, is_silent=True)
    except TooManyRequests as error:
        raise RetryLater(error.seconds, str(error)) from error
    except BotApiRefused as error:
        log.error("audit.refused", run_id=run_id, error=str(error))


async def _newest(session: Session, which: ColumnElement[bool]) -> Audit | None:
    row = (
        await session.execute(select(audits).where(which).order_by(audits.c.run_id.desc()).limit(1))
    ).one_or_none()
    return None if row is None else _of(row)


async def _findings(session: Session, run_id: int) -> list[Finding] | None:
    """None where the run itself is forgotten."""
    row = (await session.execute(select(check_runs).where(check_runs.c.run_id == run_id))).one_or_none()
    return None if row is None else run_of(row).findings


def _of(row: Any) -> Audit:
    return Audit(
        row.run_id,
        row.month,
        row.made_at,
        row.markdown,
        row.head,
        row.signed_by,
        row.signed_at,
        None if row.pdf is None else bytes(row.pdf),
    )
