"""Pages: a row first, then sent, then noted; and the messages that are kept true afterwards.

A page that was claimed and not noted may have arrived: it is sent once more, and says so. What is known not
to have been sent is no repeat. See ``docs/decisions/0026-escalation.md``.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp
import structlog
from sqlalchemy import and_, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from getpro.catalog import closures
from getpro.incidents import impact, screens, store, tellings
from getpro.incidents.closed import closed_in_words
from getpro.incidents.deps import Deps
from getpro.incidents.escalation import Reason
from getpro.incidents.models import contact_ways, pages, people
from getpro.incidents.other import NotSent
from getpro.incidents.response import due_at
from getpro.incidents.states import PAGE_MOVES, EventKind, IncidentState, PageState, Reach, Route
from getpro.incidents.team import Person
from getpro.kit.states import sources_of
from getpro.platform.bot_api import BotApiRefused, TooManyRequests
from getpro.platform.database import Session
from getpro.platform.http import ServiceUnavailable
from getpro.platform.jobs import NOTICES, PAGES, JobName, RetryLater

log = structlog.get_logger(__name__)

SEND: Final = JobName("send_page", PAGES)
SHOW: Final = JobName("show_incident", NOTICES)
_GATHERED: Final = timedelta(seconds=10)
"""What signals change is shown so much later: a storm of them is one edit."""
CHAT: Final = "чат операторов"
_OWNER: Final = "адрес из настроек"
_UNKNOWN: Final = "послано дважды, дошло ли, неизвестно"


@dataclass(frozen=True, slots=True)
class _Page:
    page_id: int
    incident_id: int
    turn: int
    person_id: int | None
    route: Route
    reason: Reason
    is_repeat: bool
    instead_of: int | None
    chat_id: int | None


async def write(
    session: Session,
    deps: Deps,
    incident_id: int,
    whom: Sequence[Person],
    reach: Reach,
    *,
    turn: int,
    reason: Reason,
    now: datetime,
) -> None:
    """Write the pages of one turn of the escalation and defer their sending; a step."""
    common = {"incident_id": incident_id, "turn": turn, "reason": reason, "created_at": now}
    if deps.chat_id is not None:
        await _add(session, deps, common, route=Route.TELEGRAM, chat_id=deps.chat_id)
    for person in whom:
        own = common | {"person_id": person.person_id}
        if person.telegram_id is not None:
            await _add(session, deps, own, route=Route.TELEGRAM, chat_id=person.telegram_id)
        if person.other_ways and (reach is Reach.ALL or person.telegram_id is None):
            await _add(session, deps, own, route=Route.OTHER)
        if not person.ways:
            words = f"{person.name}: ни одного способа связи"
            await store.note(session, incident_id, EventKind.NOT_PAGED, words, now=now)
    if deps.chat_id is None and not any(person.ways for person in whom):
        log.error("incidents.nobody_to_call", incident_id=incident_id)
        await store.note(session, incident_id, EventKind.NOT_PAGED, "Позвать некого", now=now)
        if deps.mail is not None:
            await _add(session, deps, common, route=Route.OTHER)


async def _add(session: Session, deps: Deps, common: dict[str, Any], **values: Any) -> None:
    """Once for each turn, recipient and route."""
    page_id = await session.scalar(
        insert(pages)
        .values(state=PageState.WAITING, **common, **values)
        .on_conflict_do_nothing()
        .returning(pages.c.page_id)
    )
    if page_id is not None:
        await _defer(session, deps, page_id)


async def send_again(session: Session, deps: Deps, *, now: datetime) -> None:
    """Give a job to each page that waits and has none, as after the queue was lost; a step."""
    lost = await session.scalars(
        select(pages.c.page_id).where(
            pages.c.state.in_([PageState.WAITING, PageState.SENDING]),
            pages.c.created_at < now - _GATHERED,
            deps.jobs.none_for(SEND, pages.c.page_id),
        )
    )
    for page_id in lost.all():
        log.warning("incidents.page_without_job", page_id=page_id)
        await _defer(session, deps, page_id)


async def _defer(session: Session, deps: Deps, page_id: int) -> None:
    await deps.jobs.defer(session, SEND, lock=f"page:{page_id}", page_id=page_id)


async def send(deps: Deps, page_id: int) -> None:
    """Send one page; a flow, run as a job until it has arrived, or nobody needs it any more."""
    async with deps.db.begin("page: claimed") as session:
        page = await _claim(session, deps, page_id, now=deps.clock())
        if page is None:
            return
        whom = await _recipient(session, page)
        shown = await _shown(session, deps, page.incident_id)
    if page.route is Route.OTHER:
        await _send_other(deps, page, whom, shown)
    else:
        await _send_telegram(deps, page, whom, shown)


async def _claim(session: Session, deps: Deps, page_id: int, *, now: datetime) -> _Page | None:
    """Take the page to send it; one that was taken before and not noted is a repeat. None: not needed.

    It is repeated once: a line that loses each answer would carry one every minute.
    """
    row = (
        await session.execute(select(pages).where(pages.c.page_id == page_id).with_for_update())
    ).one_or_none()
    if row is None or row.state not in {PageState.WAITING, PageState.SENDING}:
        return None
    newer = pages.alias()
    is_needless = await session.scalar(
        select(
            or_(
                exists().where(
                    newer.c.incident_id == row.incident_id,
                    newer.c.turn > row.turn,
                    newer.c.route == row.route,
                    newer.c.person_id.is_not_distinct_from(row.person_id),
                ),
                exists().where(newer.c.page_id == row.instead_of, newer.c.state == PageState.SENT),
            )
        )
    )
    found = await store.incident(session, row.incident_id)
    wanted_in = IncidentState.TAKEN if row.reason == Reason.STILL else IncidentState.OPEN
    if is_needless or found.state is not wanted_in:
        await _move(session, page_id, PageState.DROPPED)
        return None
    may_have_arrived = row.state == PageState.SENDING
    page = _Page(
        page_id=page_id,
        incident_id=row.incident_id,
        turn=row.turn,
        person_id=row.person_id,
        route=Route(row.route),
        reason=Reason(row.reason),
        is_repeat=row.is_repeat or may_have_arrived,
        instead_of=row.instead_of,
        chat_id=row.chat_id,
    )
    if row.is_repeat and may_have_arrived:
        await _give_up(session, deps, page, now=now)
        return None
    await _move(session, page_id, PageState.SENDING, claimed_at=now, is_repeat=page.is_repeat)
    return page


async def _give_up(session: Session, deps: Deps, page: _Page, *, now: datetime) -> None:
    """Sent twice, and nobody has said that it arrived: the next step calls again."""
    await _move(session, page.page_id, PageState.REFUSED, trouble=_UNKNOWN)
    words = f"{await _recipient(session, page)}, {_WAYS[page.route]}: {_UNKNOWN}"
    await store.note(session, page.incident_id, EventKind.NOT_PAGED, words, now=now)
    if page.route is Route.TELEGRAM:
        await _by_the_other_route(session, deps, page, now=now)


async def _move(session: Session, page_id: int, to: PageState, **values: Any) -> bool:
    moved = await session.execute(
        update(pages)
        .where(pages.c.page_id == page_id, pages.c.state.in_(sources_of(to, PAGE_MOVES)))
        .values(state=to, **values)
    )
    return moved.rowcount == 1


async def _recipient(session: Session, page: _Page) -> str:
    if page.person_id is None:
        return CHAT if page.route is Route.TELEGRAM else _OWNER
    name = await session.scalar(select(people.c.name).where(people.c.person_id == page.person_id))
    return str(name)


async def _shown(session: Session, deps: Deps, incident_id: int) -> screens.Shown:
    found = await store.incident(session, incident_id)
    return screens.Shown(
        incident=found,
        signals=await store.signals_of(session, incident_id),
        impact=await impact.of(session, found, now=deps.clock()),
        answer_by=None
        if found.called_at is None
        else due_at(await store.policy(session), found.level, found.called_at, deps.night),
        is_asked_still=await store.is_asked_still(session, found),
        runbooks_url=deps.runbooks_url,
        before=await store.shortly_before(session, found.opened_at),
        complaints=await impact.complaints_of(session, incident_id),
        told=await impact.told_of(session, incident_id),
        owed=await tellings.owed(session, incident_id),
        closed=closed_in_words(deps, await closures.read(session), now=deps.clock()),
    )


async def _send_telegram(deps: Deps, page: _Page, whom: str, shown: screens.Shown) -> None:
    words = screens.page(shown, deps.zone, now=deps.clock(), reason=page.reason, is_repeat=page.is_repeat)
    try:
        message = await deps.telegram.ask(
            "sendMessage",
            chat_id=page.chat_id,
            text=words,
            parse_mode="HTML",
            link_preview_options={"is_disabled": True},
            reply_markup=screens.keyboard(shown),
        )
    except TooManyRequests as error:
        await _not_yet(deps, page, str(error))
        raise RetryLater(error.seconds, str(error)) from error
    except BotApiRefused as error:
        if error.moved_to is not None:
            log.error("operators.chat_moved", setting="OPERATIONSCHAT", to=error.moved_to)
            await _not_yet(deps, page, str(error), chat_id=error.moved_to)
            raise RetryLater(1, str(error)) from error
        await _failed(deps, page, whom, str(error), for_good=True)
    except ServiceUnavailable as error:
        await _failed(deps, page, whom, str(error), was_sent=may_have_arrived(error))
        raise
    else:
        await _delivered(deps, page, whom, message_id=message["message_id"], shown=_hash(words))


def may_have_arrived(error: ServiceUnavailable) -> bool:
    """Whether the call had left us when the line was lost; an answer that was no success is an answer."""
    cause = error.__cause__
    return cause is not None and not isinstance(
        cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
    )


async def _send_other(deps: Deps, page: _Page, whom: str, shown: screens.Shown) -> None:
    title, words = screens.in_plain(
        shown, deps.zone, now=deps.clock(), reason=page.reason, is_repeat=page.is_repeat
    )
    async with deps.db.read("page: ways") as session:
        addresses = await _addresses(session, deps, page.person_id)
    try:
        lost = await deps.other.send(addresses, title, words)
    except NotSent as error:
        await _failed(deps, page, whom, str(error), was_sent=error.may_have_arrived)
        raise
    await _delivered(deps, page, whom, lost=lost)


async def _addresses(session: Session, deps: Deps, person_id: int | None) -> list[str]:
    if person_id is None:
        return [] if deps.mail is None else [deps.mail]
    sealed = await session.scalars(
        select(contact_ways.c.sealed).where(
            contact_ways.c.person_id == person_id, contact_ways.c.sealed.is_not(None)
        )
    )
    opened = (deps.cipher.decrypt(bytes(one)) for one in sealed)
    return [address for address in opened if address is not None]


async def _delivered(
    deps: Deps,
    page: _Page,
    whom: str,
    *,
    message_id: int | None = None,
    shown: str | None = None,
    lost: Sequence[str] = (),
) -> None:
    """``lost``: by which of the person's other ways it did not arrive."""
    now = deps.clock()
    async with deps.db.begin("page: delivered") as session:
        if not await _move(
            session,
            page.page_id,
            PageState.SENT,
            sent_at=now,
            message_id=message_id,
            shown=shown,
            trouble=None,
        ):
            return
        but = f"; не приняли: {', '.join(lost)}" if lost else ""
        words = f"Дошло: {whom}, {_WAYS[page.route]}{', повтор' if page.is_repeat else ''}{but}"
        await store.note(session, page.incident_id, EventKind.DELIVERED, words, now=now)
        await ask_to_show(session, deps, page.incident_id, is_urgent=False)
    log.info("incidents.page_sent", page_id=page.page_id, incident_id=page.incident_id, route=page.route)


_WAYS: Final = {Route.TELEGRAM: "Telegram", Route.OTHER: "почта, SMS, push"}


async def _not_yet(deps: Deps, page: _Page, trouble: str, **values: Any) -> None:
    """It was surely not sent: the next try is no repeat, unless an earlier one was."""
    async with deps.db.begin("page: not yet") as session:
        await _move(session, page.page_id, PageState.WAITING, trouble=trouble, **values)


async def _failed(
    deps: Deps, page: _Page, whom: str, trouble: str, *, for_good: bool = False, was_sent: bool = False
) -> None:
    """Note the trouble once, and have the other route used at once."""
    now = deps.clock()
    log.warning("incidents.page_failed", page_id=page.page_id, route=page.route, trouble=trouble)
    async with deps.db.begin("page: failed") as session:
        to = PageState.REFUSED if for_good else PageState.SENDING if was_sent else PageState.WAITING
        await _move(session, page.page_id, to, trouble=trouble)
        words = f"Не дошло: {whom}, {_WAYS[page.route]}: {trouble}"
        await store.note(
            session, page.incident_id, EventKind.NOT_PAGED, words, now=now, key=f"page:{page.page_id}:trouble"
        )
        if page.route is Route.TELEGRAM:
            await _by_the_other_route(session, deps, page, now=now)


async def _by_the_other_route(session: Session, deps: Deps, page: _Page, *, now: datetime) -> None:
    """Once, however often this one is tried; whoever has no other way is reached when Telegram is back."""
    if page.person_id is None and await _has_people(session, page):
        return  # they are called by pages of their own
    if not await _addresses(session, deps, page.person_id):
        return
    common = {
        "incident_id": page.incident_id,
        "turn": page.turn,
        "person_id": page.person_id,
        "reason": page.reason,
        "instead_of": page.page_id,
        "created_at": now,
    }
    await _add(session, deps, common, route=Route.OTHER)


async def _has_people(session: Session, page: _Page) -> bool:
    found = select(pages.c.page_id).where(
        pages.c.incident_id == page.incident_id, pages.c.turn == page.turn, pages.c.person_id.is_not(None)
    )
    return await session.scalar(found.limit(1)) is not None


async def ask_to_show(session: Session, deps: Deps, incident_id: int, *, is_urgent: bool = True) -> None:
    """Have the incident's messages brought up to date; what is not urgent waits for more of its kind."""
    if is_urgent:
        # A lock is served in its order: what waits for more of its kind would hold this one back.
        await deps.jobs.bring_forward(session, f"incident:{incident_id}")
        await deps.jobs.defer(session, SHOW, lock=f"incident:{incident_id}", incident_id=incident_id)
        return
    is_asked = await session.scalar(
        text("SELECT true FROM procrastinate_jobs WHERE lock = :lock AND status = 'todo' LIMIT 1"),
        {"lock": f"incident:{incident_id}"},
    )
    if not is_asked:
        at = deps.clock() + _GATHERED
        await deps.jobs.defer(session, SHOW, lock=f"incident:{incident_id}", at=at, incident_id=incident_id)


async def show(deps: Deps, incident_id: int) -> None:
    """Bring every message of the incident up to date, silently; a flow, run as a job.

    The newest of each recipient's shows how things stand; an older one says where that is. What a message
    shows already is not sent again, so it may run twice.
    """
    async with deps.db.read("incident: shown") as session:
        shown = await _shown(session, deps, incident_id)
        rows = await session.execute(
            select(
                pages,
                (
                    func.row_number().over(
                        partition_by=pages.c.chat_id, order_by=(pages.c.turn.desc(), pages.c.page_id.desc())
                    )
                    == 1
                ).label("is_newest"),
            ).where(pages.c.incident_id == incident_id, pages.c.message_id.is_not(None))
        )
        messages = rows.all()
    now = deps.clock()
    for message in messages:
        words = (
            screens.page(
                shown, deps.zone, now=now, reason=Reason(message.reason), is_repeat=message.is_repeat
            )
            if message.is_newest
            else screens.superseded(shown.incident)
        )
        if message.shown == _hash(words):
            continue
        buttons = screens.keyboard(shown) if message.is_newest else {"inline_keyboard": []}
        await _edit(deps, message, words, buttons)


async def _edit(deps: Deps, message: Any, words: str, buttons: dict[str, Any] | None) -> None:
    try:
        await deps.telegram.ask(
            "editMessageText",
            chat_id=message.chat_id,
            message_id=message.message_id,
            text=words,
            parse_mode="HTML",
            link_preview_options={"is_disabled": True},
            reply_markup=buttons,
        )
    except TooManyRequests as error:
        raise RetryLater(error.seconds, str(error)) from error
    except BotApiRefused as error:
        # It shows that already, or is too old, or was deleted: there is nothing to be done about either.
        log.info("incidents.not_edited", page_id=message.page_id, error=str(error))
    async with deps.db.begin("page: shown") as session:
        await session.execute(
            update(pages).where(pages.c.page_id == message.page_id).values(shown=_hash(words))
        )


def _hash(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


async def incident_of(session: Session, chat_id: int, message_id: int) -> int | None:
    """The incident whose page this message is."""
    found: int | None = await session.scalar(
        select(pages.c.incident_id).where(and_(pages.c.chat_id == chat_id, pages.c.message_id == message_id))
    )
    return found
