"""What is done to the shop from an incident: proposed, confirmed once however often pressed, and noted.

What changes something for customers is proposed first and shown as they will see it; whoever confirms it
within a quarter of an hour does it. What undoes it, and what they do not see, is done at once. Each asks by
itself whether whoever wants it may. See ``docs/decisions/0027-help.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import insert, select, update

from getpro.catalog import closures
from getpro.incidents import paging, store, tellings
from getpro.incidents.closed import title
from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo
from getpro.incidents.models import deeds
from getpro.incidents.states import DEED_MOVES, DeedKind, DeedState, EventKind, IncidentState
from getpro.incidents.store import Incident
from getpro.incidents.team import Actor, require
from getpro.incidents.tellings import Text
from getpro.incidents.words import clock
from getpro.kit.states import sources_of
from getpro.platform.database import Session
from getpro.sales import closing
from getpro.sales.delivery import retry_undelivered
from getpro.sales.errors import SaleError
from getpro.sales.staff import Operator

log = structlog.get_logger(__name__)

GOOD_FOR: Final = timedelta(minutes=15)
"""An older proposal is made anew: it shows what was so then."""
_RETRIED_FOR: Final = timedelta(minutes=1)
"""A second press within it does nothing."""
_AFTERWARDS: Final = frozenset({DeedKind.WAY_ON, DeedKind.SHOP_ON, DeedKind.OVER})
"""Also of an incident that is resolved: what was closed must not stay so for want of a button."""
WITH_WORDS: Final = frozenset({DeedKind.TELL, DeedKind.WAY_OFF, DeedKind.SHOP_OFF})
RESTART_ADVICE: Final = (
    "Сначала причина: 2getpro doctor, затем 2getpro logs --since 10m --level error.",
    "В контейнерах: docker-compose restart bot. Служба systemd: systemctl restart 2getpro.",
    "Оплаты не потеряются: всё принятое лежит в базе и доделается после запуска.",
    "Базу перезапускайте, только если так говорит страница «что делать».",
)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that somebody of the team wants, or has done."""

    deed_id: int
    incident_id: int
    kind: DeedKind
    argument: Mapping[str, Any]
    """``provider`` of a way to pay; ``words`` to customers and ``over``, by language; ``about``: a Text."""
    state: DeedState
    proposed_at: datetime
    proposed_by: str
    done_at: datetime | None
    done_by: str | None
    outcome: str | None

    @property
    def words(self) -> Mapping[str, str]:
        """To customers, by language; without one, what the bot says by itself."""
        found: Mapping[str, str] = self.argument.get("words", {})
        return found


async def propose(
    session: Session,
    deps: Deps,
    incident_id: int,
    kind: DeedKind,
    *,
    by: Actor,
    provider: str | None = None,
    about: Text | None = None,
    words: Mapping[str, str] | None = None,
    over: Mapping[str, str] | None = None,
    message: tuple[int, int] | None = None,
) -> Deed:
    """Write down what somebody wants; nothing is done yet. A step.

    ``message``: the chat and the number of the message that asks whether to do it; a reply to that is words.
    Raises NotAllowed, NoSuchIncident, CannotDo.
    """
    found = await store.incident(session, incident_id)
    await require(session, deps, by)
    if found.state is IncidentState.RESOLVED and kind not in _AFTERWARDS:
        raise CannotDo(f"№{incident_id} уже решён")
    argument: dict[str, Any] = {}
    if kind is DeedKind.WAY_OFF:
        argument["provider"] = _known_provider(deps, provider)
    if kind is DeedKind.WAY_ON:
        argument["provider"] = provider or ""  # also one that the shop has no more: closed it stays closed
    if kind in WITH_WORDS:
        argument["words"] = _checked(words)
    if kind is DeedKind.TELL:
        argument |= {"about": about or Text.OTHER, "over": _checked(over)}
    chat_id, message_id = message or (None, None)
    row = await session.execute(
        insert(deeds)
        .values(
            incident_id=incident_id,
            kind=kind,
            argument=argument,
            state=DeedState.PROPOSED,
            proposed_at=deps.clock(),
            proposed_by=by.name,
            chat_id=chat_id,
            message_id=message_id,
        )
        .returning(deeds)
    )
    return _deed(row.one())


async def set_words(
    session: Session, deps: Deps, deed_id: int, words: Mapping[str, str], *, by: Actor
) -> Deed:
    """Say it in these words instead; a step. Raises NotAllowed, CannotDo."""
    found = await _proposed(session, deps, deed_id, by=by)
    argument = dict(found.argument) | {"words": _checked(words)}
    row = await session.execute(
        update(deeds).where(deeds.c.deed_id == deed_id).values(argument=argument).returning(deeds)
    )
    return _deed(row.one())


async def confirm(session: Session, deps: Deps, deed_id: int, *, by: Actor) -> Deed:
    """Do it, once however often it is pressed; a step. Raises NotAllowed, CannotDo."""
    found = await _proposed(session, deps, deed_id, by=by)
    now = deps.clock()
    if now - found.proposed_at > GOOD_FOR:
        raise CannotDo("предложение устарело, начните заново")
    incident = await store.locked(session, found.incident_id)
    if incident.state is IncidentState.RESOLVED and found.kind not in _AFTERWARDS:
        raise CannotDo(f"№{found.incident_id} уже решён")
    try:
        outcome = await _carried_out(session, deps, incident, found, by)
    except SaleError as error:
        raise CannotDo(str(error)) from error
    await _move(session, deed_id, DeedState.DONE, done_at=now, done_by=by.name, outcome=outcome)
    await store.note(
        session, found.incident_id, EventKind.DEED, outcome, now=now, who=by.name, key=f"deed:{deed_id}"
    )
    await paging.ask_to_show(session, deps, found.incident_id)
    log.info("incidents.deed", incident_id=found.incident_id, deed=found.kind, deed_id=deed_id)
    return await deed(session, deed_id)


async def do(
    session: Session,
    deps: Deps,
    incident_id: int,
    kind: DeedKind,
    *,
    by: Actor,
    provider: str | None = None,
    about: Text | None = None,
    words: Mapping[str, str] | None = None,
    over: Mapping[str, str] | None = None,
) -> Deed:
    """Propose and confirm in one: for what needs no second look, and for commands. Raises as these do."""
    made = await propose(
        session, deps, incident_id, kind, by=by, provider=provider, about=about, words=words, over=over
    )
    return await confirm(session, deps, made.deed_id, by=by)


async def drop(session: Session, deps: Deps, deed_id: int, *, by: Actor) -> Deed:
    """Not this, after all; a step. Raises NotAllowed, CannotDo."""
    found = await _proposed(session, deps, deed_id, by=by)
    await _move(session, deed_id, DeedState.DROPPED)
    return found


async def deed(session: Session, deed_id: int) -> Deed:
    """Raises CannotDo where there is none."""
    row = (await session.execute(select(deeds).where(deeds.c.deed_id == deed_id))).one_or_none()
    if row is None:
        raise CannotDo("такого предложения нет")
    return _deed(row)


async def of_message(session: Session, chat_id: int, message_id: int) -> Deed | None:
    """What this message asks about, while it waits for words or a press."""
    row = await session.execute(
        select(deeds)
        .where(
            deeds.c.chat_id == chat_id,
            deeds.c.message_id == message_id,
            deeds.c.state == DeedState.PROPOSED,
        )
        .order_by(deeds.c.deed_id.desc())
        .limit(1)
    )
    found = row.one_or_none()
    return None if found is None else _deed(found)


async def _proposed(session: Session, deps: Deps, deed_id: int, *, by: Actor) -> Deed:
    """The proposal, held; of two who press at once the second finds it done."""
    await require(session, deps, by)
    row = await session.execute(select(deeds).where(deeds.c.deed_id == deed_id).with_for_update())
    known = row.one_or_none()
    if known is None:
        raise CannotDo("такого предложения нет")
    found = _deed(known)
    if found.state is DeedState.DONE:
        assert found.done_at is not None
        at = clock(found.done_at, deps.zone, now=deps.clock())
        raise CannotDo(f"уже сделано: {found.done_by}, {at}")
    if found.state is DeedState.DROPPED:
        raise CannotDo("это отменили")
    return found


async def _move(session: Session, deed_id: int, to: DeedState, **values: Any) -> None:
    moved = await session.execute(
        update(deeds)
        .where(deeds.c.deed_id == deed_id, deeds.c.state.in_(sources_of(to, DEED_MOVES)))
        .values(state=to, **values)
    )
    assert moved.rowcount == 1, "it is held"


async def _carried_out(session: Session, deps: Deps, incident: Incident, found: Deed, by: Actor) -> str:
    """Do it, and return what came of it; raises CannotDo, SaleError."""
    # Whether they may was asked here: whoever is of the team need not be in the shop's settings.
    operator, reason = Operator(by.name), f"инцидент №{incident.incident_id}"
    code = found.argument.get("provider", "")
    of_way = found.kind in {DeedKind.WAY_OFF, DeedKind.WAY_ON}
    what = closures.way(code) if of_way else closures.SHOP
    match found.kind:
        case DeedKind.RETRY:
            return await _retry(session, deps, operator, reason)
        case DeedKind.TELL:
            return await _tell(session, incident, found)
        case DeedKind.OVER:
            return await _tell_over(session, incident)
        case DeedKind.RESTART:
            return "Посмотрел, как перезапустить"
        case DeedKind.WAY_OFF | DeedKind.SHOP_OFF:
            await closing.close(session, deps.sales, what, by=operator, reason=reason, words=found.words)
            done = f"Новые оплаты выключены: {title(deps, code)}" if of_way else "Магазин закрыт на работы"
            return f"{done}{_in_words(found)}"
        case DeedKind.WAY_ON | DeedKind.SHOP_ON:
            await closing.reopen(session, deps.sales, what, by=operator, reason=reason)
            return f"Оплаты снова включены: {title(deps, code)}" if of_way else "Магазин снова открыт"


async def _retry(session: Session, deps: Deps, operator: Operator, reason: str) -> str:
    last = (
        await session.execute(
            select(deeds.c.done_by, deeds.c.done_at)
            .where(deeds.c.kind == DeedKind.RETRY, deeds.c.done_at > deps.clock() - _RETRIED_FOR)
            .order_by(deeds.c.done_at.desc())
            .limit(1)
        )
    ).one_or_none()
    if last is not None:
        at = clock(last.done_at, deps.zone, now=deps.clock())
        raise CannotDo(f"выдачу уже повторяем: {last.done_by}, {at}")
    count = await retry_undelivered(session, deps.sales, by=operator, reason=reason)
    return f"Повторяем выдачу: {count}" if count else "Повторить выдачу: ждущих нет"


async def _tell(session: Session, incident: Incident, found: Deed) -> str:
    count = await tellings.choose(session, incident, found.deed_id)
    if not count:
        raise CannotDo("писать некому: никто не ждёт, или им уже написали")
    words = _in_words(found) or f", готовый текст «{found.argument['about']}»"
    return f"Пишем клиентам: {count}{words}"


async def _tell_over(session: Session, incident: Incident) -> str:
    """The notices go when this is done."""
    if not (count := await tellings.owed(session, incident.incident_id)):
        raise CannotDo("писать некому: все, кому писали, узнают или уже узнали")
    return f"Пишем, что снова работает: {count}"


def _known_provider(deps: Deps, code: str | None) -> str:
    if code is None or code not in deps.sales.providers.by_code:
        known = ", ".join(deps.sales.providers.by_code)
        raise CannotDo(f"такого способа оплаты нет; есть: {known}")
    return code


def _checked(words: Mapping[str, str] | None) -> dict[str, str]:
    try:
        return closing.checked(words or {})
    except SaleError as error:
        raise CannotDo(str(error)) from error


def _in_words(found: Deed) -> str:
    return f". Клиентам: «{found.words['ru']}»" if "ru" in found.words else ""


def _deed(row: Any) -> Deed:
    return Deed(
        deed_id=row.deed_id,
        incident_id=row.incident_id,
        kind=DeedKind(row.kind),
        argument=row.argument,
        state=DeedState(row.state),
        proposed_at=row.proposed_at,
        proposed_by=row.proposed_by,
        done_at=row.done_at,
        done_by=row.done_by,
        outcome=row.outcome,
    )
