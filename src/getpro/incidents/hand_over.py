"""The duty passes on: whoever comes and whoever leaves is told, once, with what is open.

The rows of ``hand_overs`` say whom the shop believes to be on call. Whoever looks and finds somebody else
writes the messages in the same transaction; so it is told once, and late where the shop was down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Select, func, insert, select, update

from getpro.incidents import duty_screens, store, team
from getpro.incidents.deps import Deps
from getpro.incidents.models import hand_overs
from getpro.incidents.other import NotSent
from getpro.incidents.paging import may_have_arrived
from getpro.incidents.team import Person
from getpro.platform.bot_api import BotApiRefused, TooManyRequests
from getpro.platform.database import Session
from getpro.platform.http import ServiceUnavailable
from getpro.platform.jobs import PAGES, JobName, RetryLater

log = structlog.get_logger(__name__)

TELL: Final = JobName("tell_hand_over", PAGES)
_LOCK: Final = 7_201_539
"""Advisory lock: of two who look at once one sees that the other has told."""
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class _Message:
    message_id: int
    to: Person
    shown: duty_screens.HandOver


async def look(deps: Deps) -> None:
    """See whether somebody else is on call than was told last; a flow, run by schedule, late or twice."""
    async with deps.db.begin("hand-over: seen") as session:
        await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        await _send_again(session, deps)
        now = deps.clock()
        left_id: int | None = await session.scalar(_newest(hand_overs.c.came_id))
        members = {one.person_id for one in await team.team(session)}
        turn = await team.turn(session, deps, now=now)
        came_id = turn.person_id if turn is not None and turn.person_id in members else None
        told = {left_id, came_id} & members
        if came_id == left_id or not told:
            return
        for person_id in told:
            message_id: int = (
                await session.execute(
                    insert(hand_overs)
                    .values(at=now, left_id=left_id, came_id=came_id, person_id=person_id)
                    .returning(hand_overs.c.message_id)
                )
            ).scalar_one()
            await _defer(session, deps, message_id)
    log.info("incidents.handed_over", left_id=left_id, came_id=came_id)


def _newest(column: ColumnElement[Any]) -> Select[Any]:
    return select(column).order_by(hand_overs.c.message_id.desc()).limit(1)


async def _send_again(session: Session, deps: Deps) -> None:
    """Give a job to each message that has none, as after the queue was lost."""
    lost = await session.scalars(
        select(hand_overs.c.message_id).where(
            hand_overs.c.sent_at.is_(None),
            hand_overs.c.trouble.is_(None),
            deps.jobs.none_for(TELL, hand_overs.c.message_id),
        )
    )
    for message_id in lost.all():
        await _defer(session, deps, message_id)


async def _defer(session: Session, deps: Deps, message_id: int) -> None:
    await deps.jobs.defer(session, TELL, lock=f"hand_over:{message_id}", message_id=message_id)


async def tell(deps: Deps, message_id: int) -> None:
    """Send one of the messages, with what is open now; a flow, run as a job until it has arrived.

    Killed before that is noted, it is sent once more and says so.
    """
    async with deps.db.begin("hand-over: claimed") as session:
        message = await _claim(session, deps, message_id, now=deps.clock())
    if message is None:
        return
    try:
        await _send(deps, message)
    except TooManyRequests as error:
        await _note(deps, message_id, claimed_at=None)
        raise RetryLater(error.seconds, str(error)) from error
    except BotApiRefused as error:
        log.warning("incidents.hand_over_refused", message_id=message_id, error=str(error))
        await _note(deps, message_id, trouble=str(error))
    except (ServiceUnavailable, NotSent) as error:
        unknown = error.may_have_arrived if isinstance(error, NotSent) else may_have_arrived(error)
        if not unknown:
            await _note(deps, message_id, claimed_at=None)
        raise
    else:
        await _note(deps, message_id, sent_at=deps.clock())


async def _claim(session: Session, deps: Deps, message_id: int, *, now: datetime) -> _Message | None:
    """None: it was sent, or says what is not so any more, or there is nobody to send it to."""
    found = await session.execute(
        select(hand_overs)
        .where(
            hand_overs.c.message_id == message_id,
            hand_overs.c.sent_at.is_(None),
            hand_overs.c.trouble.is_(None),
        )
        .with_for_update()
    )
    if (row := found.one_or_none()) is None:
        return None
    newest = await session.scalar(_newest(hand_overs.c.at))
    members = {one.person_id: one for one in await team.team(session)}
    to = members.get(row.person_id)
    if row.at != newest or to is None or not to.ways:
        why = "ни одного способа связи" if row.at == newest else "смена с тех пор передана дальше"
        await _change(session, message_id, trouble=why)
        return None
    await _change(session, message_id, claimed_at=now)
    turn = await team.turn(session, deps, now=now)
    left, came = (members.get(number) for number in (row.left_id, row.came_id))
    shown = duty_screens.HandOver(
        comes=row.person_id == row.came_id,
        other=left if row.person_id == row.came_id else came,
        until=None if turn is None else turn.until,
        name=to.name,
        open=await store.newest(session, most=_MOST, is_unresolved=True),
        is_repeat=row.claimed_at is not None,
    )
    return _Message(message_id, to, shown)


async def _send(deps: Deps, message: _Message) -> None:
    """By Telegram; where that fails by the person's other ways, if there are any."""
    to, now = message.to, deps.clock()
    if to.telegram_id is not None:
        try:
            await deps.telegram.ask(
                "sendMessage",
                chat_id=to.telegram_id,
                text=duty_screens.hand_over(message.shown, deps.zone, now=now),
                parse_mode="HTML",
            )
        except TooManyRequests:
            raise
        except (BotApiRefused, ServiceUnavailable):
            if not to.other_ways:
                raise
        else:
            return
    title, words = duty_screens.hand_over_in_plain(message.shown, deps.zone, now=now)
    await deps.other.send(_addresses(deps, to), title, words)


def _addresses(deps: Deps, to: Person) -> Sequence[str]:
    opened = (deps.cipher.decrypt(way.sealed) for way in to.other_ways if way.sealed is not None)
    return [address for address in opened if address is not None]


async def _note(deps: Deps, message_id: int, **values: Any) -> None:
    async with deps.db.begin("hand-over: noted") as session:
        await _change(session, message_id, **values)


async def _change(session: Session, message_id: int, **values: Any) -> None:
    await session.execute(update(hand_overs).where(hand_overs.c.message_id == message_id).values(**values))
