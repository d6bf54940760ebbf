"""The papers of an incident: drafted, edited as Markdown, kept in versions with their PDF, sent to the team.

See ``docs/decisions/0028-documents.md``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import func, insert, select, update

from getpro.incidents import actions, drafts, impact, paper, store, team
from getpro.incidents.deps import Deps
from getpro.incidents.drafts import POST_MORTEM, REPORT, TITLES, Facts
from getpro.incidents.errors import CannotDo
from getpro.incidents.models import incident_documents
from getpro.incidents.response import response
from getpro.incidents.states import IncidentState, Level
from getpro.incidents.store import SHOP, Incident
from getpro.incidents.team import Actor
from getpro.incidents.words import span
from getpro.platform.bot_api import BotApiRefused, TooManyRequests
from getpro.platform.bot_api import Document as File
from getpro.platform.database import Session
from getpro.platform.jobs import UPKEEP, JobName, RetryLater
from getpro.platform.typesetting import NotDrawn
from getpro.platform.typesetting import paper as printed

log = structlog.get_logger(__name__)

WRITE_UP: Final = JobName("write_up_incident", UPKEEP)
SEND: Final = JobName("send_incident_document", UPKEEP)
LONGEST: Final = 200_000
"""Of a document: more than anybody reads."""
_NAMES: Final = {REPORT: "otchet", POST_MORTEM: "razbor"}
COMMANDS: Final = {REPORT: "report", POST_MORTEM: "postmortem"}


@dataclass(frozen=True, slots=True)
class Document:
    """A version; ``version`` 0 is a draft that nobody has kept."""

    incident_id: int
    kind: str
    version: int
    markdown: str
    made_by: str
    made_at: datetime
    document_id: int | None = None
    pdf: bytes | None = None

    def name(self, suffix: str) -> str:
        """``incident-12-otchet-v3.pdf``."""
        return f"incident-{self.incident_id}-{_NAMES[self.kind]}-v{self.version}.{suffix}"


async def newest(session: Session, deps: Deps, incident_id: int, kind: str) -> Document:
    """The newest version, its actions as they stand; a draft where none is kept. Raises NoSuchIncident."""
    kept = await versions(session, incident_id, kind)
    return await draft(session, deps, incident_id, kind) if not kept else await _current(session, kept[0])


async def versions(session: Session, incident_id: int, kind: str) -> list[Document]:
    """All that are kept, the newest first."""
    query = select(incident_documents).where(
        incident_documents.c.incident_id == incident_id, incident_documents.c.kind == kind
    )
    rows = await session.execute(query.order_by(incident_documents.c.version.desc()))
    return [_of(row) for row in rows]


async def draft(session: Session, deps: Deps, incident_id: int, kind: str) -> Document:
    """Drafted anew of what is known now; raises NoSuchIncident."""
    facts = await known(session, deps, incident_id)
    return Document(incident_id, kind, 0, drafts.draft(kind, facts, deps.zone), SHOP, deps.clock())


async def _current(session: Session, found: Document) -> Document:
    """Whoever opens a post-mortem a month later sees which actions are done."""
    if found.kind != POST_MORTEM:
        return found
    markdown = actions.with_actions(found.markdown, await actions.of_incident(session, found.incident_id))
    if markdown == found.markdown:
        return found
    return replace(found, markdown=markdown, pdf=None)


async def known(session: Session, deps: Deps, incident_id: int) -> Facts:
    """What the shop knows of the incident; a step. Raises NoSuchIncident."""
    one = await store.incident(session, incident_id)
    line = await store.time_line(session, incident_id)
    signals = await store.signals_of(session, incident_id)
    until = one.resolved_at or deps.clock()
    began_at = min([one.opened_at, *(signal.began_at for signal in signals)])
    return Facts(
        incident=one,
        signals=signals,
        line=line,
        response=response(line, await store.policy(session), deps.night),
        actions=await actions.of_incident(session, incident_id),
        impact=await impact.touched(session, incident_id),
        trade=await impact.trade(session, began_at, until),
        purchases=None if deps.purchases is None else await deps.purchases.between(session, began_at, until),
        until=until,
    )


async def save(deps: Deps, incident_id: int, kind: str, markdown: str, *, by: Actor) -> Document:
    """Keep it as the next version, with its actions as rows, then its PDF; a flow.

    Raises NotAllowed, CannotDo, NoSuchIncident; NotDrawn where it is kept and there is no PDF of it yet.
    """
    markdown = markdown.replace("\0", "").replace("\r\n", "\n").strip() + "\n"
    if not 1 < len(markdown) <= LONGEST:
        raise CannotDo(f"в документе может быть от 1 до {LONGEST} знаков")
    async with deps.db.begin("incident: document") as session:
        await store.locked(session, incident_id)
        await team.require(session, deps, by)
        if kind == POST_MORTEM:
            await actions.take_over(session, deps, incident_id, actions.read(markdown), by=by)
            await actions.post_mortem_saved(session, incident_id, by=by, now=deps.clock())
            markdown = actions.with_actions(markdown, await actions.of_incident(session, incident_id))
        kept = await _keep(session, deps, incident_id, kind, markdown, by=by.name)
    return await with_pdf(deps, kept)


async def _keep(
    session: Session, deps: Deps, incident_id: int, kind: str, markdown: str, *, by: str
) -> Document:
    """The next version; the incident is held by the caller, so that no two are the same."""
    own = incident_documents.c
    newest_kept = select(func.coalesce(func.max(own.version), 0)).where(
        own.incident_id == incident_id, own.kind == kind
    )
    made = await session.execute(
        insert(incident_documents)
        .values(
            incident_id=incident_id,
            kind=kind,
            version=newest_kept.scalar_subquery() + 1,
            markdown=markdown,
            made_by=by,
            made_at=deps.clock(),
        )
        .returning(incident_documents)
    )
    return _of(made.one())


async def with_pdf(deps: Deps, found: Document) -> Document:
    """The same with its PDF, which is made where there is none yet, and kept with its version; a flow.

    Raises NotDrawn.
    """
    if found.pdf is not None:
        return found
    async with deps.db.read("incident: title") as session:
        one = await store.incident(session, found.incident_id)
    pdf = await printed(_layout(deps, one, found))
    if found.document_id is not None:
        async with deps.db.begin("incident: pdf") as session:
            own = incident_documents.c
            await session.execute(
                update(incident_documents)
                .where(own.document_id == found.document_id, own.markdown == found.markdown)
                .values(pdf=pdf)
            )
    return replace(found, pdf=pdf)


def _layout(deps: Deps, one: Incident, found: Document) -> str:
    made = found.made_at.astimezone(deps.zone)
    return paper.layout(
        found.markdown,
        kicker=f"{deps.shop_name} · {one.level}",
        short=f"№{one.incident_id}",
        footer=f"{_version(found)}, {made:%d.%m.%Y %H:%M}, {found.made_by}",
        author=found.made_by,
        day=made.date(),
    )


async def after(session: Session, deps: Deps, found: Incident) -> None:
    """What follows a grave incident that a person has resolved: its papers, and what is to be done; a step.

    What went by itself, and the least grave, is written up when somebody asks for it.
    """
    if found.level is Level.L1 or found.resolved_by is None:
        return
    signals = await store.signals_of(session, found.incident_id)
    runbook = next((one.runbook for one in signals if one.runbook), None)
    await actions.ask_for(session, deps, found, runbook)
    lock = f"incident:{found.incident_id}:papers"
    await deps.jobs.defer(session, WRITE_UP, lock=lock, incident_id=found.incident_id)


async def write_up(deps: Deps, incident_id: int) -> None:
    """Keep the drafts as first versions, and send the report to the operators' chat; a flow, run as a job.

    Run again, it keeps nothing twice; killed while it sends, it sends once more.
    """
    async with deps.db.begin("incident: written up") as session:
        one = await store.locked(session, incident_id)
        if one.state is not IncidentState.RESOLVED:
            return
        kept = []
        for kind in (REPORT, POST_MORTEM):
            known_before = await versions(session, incident_id, kind)
            made = await draft(session, deps, incident_id, kind)
            kept.append(
                known_before[0]
                if known_before
                else await _keep(session, deps, incident_id, kind, made.markdown, by=SHOP)
            )
    report, _ = [await _drawn(deps, made) for made in kept]
    if deps.chat_id is not None:
        await _send(deps, deps.chat_id, [_best(report)], _caption(deps, one))


def _caption(deps: Deps, one: Incident) -> str:
    assert one.resolved_at is not None
    until = actions.asked_until(deps, one.resolved_at)
    return (
        f"№{one.incident_id} {one.level} решён за {span(one.resolved_at - one.opened_at)}: отчёт.\n"
        f"Разбор до {until:%d.%m} допишет {one.resolved_by}: /postmortem {one.incident_id}"
    )


async def _drawn(deps: Deps, found: Document) -> Document:
    """Without a PDF where it cannot be made: the Markdown says the same."""
    try:
        return await with_pdf(deps, found)
    except NotDrawn as error:
        log.error("incidents.pdf_not_made", incident_id=found.incident_id, kind=found.kind, error=str(error))
        return found


async def ask_for(session: Session, deps: Deps, incident_id: int, kind: str, *, chat_id: int) -> None:
    """Have the newest version sent to a chat; a step. Raises NoSuchIncident."""
    await store.incident(session, incident_id)
    lock = f"incident:{incident_id}:papers"
    await deps.jobs.defer(session, SEND, lock=lock, incident_id=incident_id, kind=kind, chat_id=chat_id)


async def send(deps: Deps, incident_id: int, kind: str, chat_id: int) -> None:
    """Send the newest version to a chat, to be read and to be edited; a flow, run as a job."""
    async with deps.db.read("incident: document") as session:
        found = await newest(session, deps, incident_id, kind)
    found = await _drawn(deps, found)
    words = f"№{incident_id}: {TITLES[kind].lower()}, {_version(found)}"
    editable = File(found.name("md"), found.markdown.encode())
    await _send(deps, chat_id, [editable] if found.pdf is None else [_best(found), editable], words)


def _best(found: Document) -> File:
    """What is read on a phone: the PDF, if there is one."""
    if found.pdf is not None:
        return File(found.name("pdf"), found.pdf)
    return File(found.name("md"), found.markdown.encode())


def _version(found: Document) -> str:
    return f"версия {found.version}" if found.version else "черновик"


async def _send(deps: Deps, chat_id: int, files: Sequence[File], words: str) -> None:
    """Without a sound; the words are the first one's. What Telegram refuses is told in the log."""
    for number, file in enumerate(files):
        caption = words if number == 0 else ""
        try:
            await deps.telegram.ask(
                "sendDocument",
                files={"document": file},
                chat_id=chat_id,
                caption=caption,
                disable_notification=True,
            )
        except TooManyRequests as error:
            raise RetryLater(error.seconds, str(error)) from error
        except BotApiRefused as error:
            log.error("incidents.document_refused", name=file.name, error=str(error))


def _of(row: Any) -> Document:
    return Document(
        incident_id=row.incident_id,
        kind=row.kind,
        version=row.version,
        markdown=row.markdown,
        made_by=row.made_by,
        made_at=row.made_at,
        document_id=row.document_id,
        pdf=None if row.pdf is None else bytes(row.pdf),
    )
