"""What has to be done after an incident: rows with an owner and a date, edited in the post-mortem as well."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from getpro.incidents import paper
from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo
from getpro.incidents.models import incident_actions
from getpro.incidents.store import SHOP, Incident
from getpro.incidents.team import Actor, require
from getpro.incidents.words import plain
from getpro.platform.database import Session

RUNBOOK: Final = "runbook"
"""Asked for by the shop after L2 and L3; done only with a link, or a reason why there is none."""
POST_MORTEM: Final = "post_mortem"
"""Asked for likewise; done when a person saves one."""
OTHER: Final = "other"
_DAYS: Final = 7
HEADING: Final = "Действия"
_COLUMNS: Final = ("№", "Что сделать", "Кто", "Срок", "Готово")
_LONGEST: Final = 500
_LONGEST_SHOWN: Final = 120
_SHOWN: Final = 10
_OWN_PLACE: Final = re.compile(rf"(?ms)^## {HEADING}\s*$.*?(?=^## |\Z)")


@dataclass(frozen=True, slots=True)
class Action:
    action_id: int
    incident_id: int
    kind: str
    what: str
    owner: str
    due_on: date
    done_at: datetime | None = None
    done_by: str | None = None
    link: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A line of the table as somebody has written it; a new one has no number."""

    action_id: int | None
    what: str
    owner: str
    due_on: date


def section(actions: Sequence[Action]) -> str:
    """The post-mortem's section, with the table that :func:`read` reads."""
    rows = [
        (str(one.action_id), plain(one.what), plain(one.owner), f"{one.due_on:%d.%m.%Y}", _done(one))
        for one in actions
    ]
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {HEADING}\n\n{table}"


def with_actions(markdown: str, actions: Sequence[Action]) -> str:
    """The same document with the section as things stand now, at its place or at the end."""
    own = section(actions)
    if _OWN_PLACE.search(markdown):
        return _OWN_PLACE.sub(lambda _: f"{own}\n\n", markdown, count=1).rstrip() + "\n"
    return f"{markdown.rstrip()}\n\n{own}\n"


def read(markdown: str) -> list[Written]:
    """The lines of the section's table; raises CannotDo, which says what is wrong with which line."""
    place = _OWN_PLACE.search(markdown)
    if place is None:
        return []
    tables = [node for node in paper.read(place[0]).children if node.type == "table"]
    if not tables:
        return []
    rows = [[paper.words(cell).strip() for cell in row] for row in paper.table_rows(tables[0])]
    if len(rows[0]) != len(_COLUMNS):
        raise CannotDo(f"в таблице действий нужны столбцы: {', '.join(_COLUMNS)}")
    return [_written(row) for row in rows[1:] if any(row)]


def _written(row: Sequence[str]) -> Written:
    number, what, owner, due = row[:4]
    if not 0 < len(what) <= _LONGEST:
        raise CannotDo(f"действие {number or 'без номера'}: не сказано, что сделать")
    if not owner:
        raise CannotDo(f"действие «{what}»: не сказано, кто сделает")
    if number and not number.isdecimal():
        raise CannotDo(f"действие «{what}»: номер {number} не прочесть, у нового его нет")
    return Written(int(number) if number else None, what, owner, day_of(due, what))


def day_of(said: str, what: str) -> date:
    """``08.12.2026`` or ``2026-12-08``; raises CannotDo."""
    for form in ("%d.%m.%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(said, form).date()  # noqa: DTZ007 -- a day has no zone
        except ValueError:
            continue
    raise CannotDo(f"действие «{what}»: срок {said or 'не назван'}, нужен день: 08.12.2026")


async def of_incident(session: Session, incident_id: int) -> list[Action]:
    query = select(incident_actions).where(incident_actions.c.incident_id == incident_id)
    rows = await session.execute(query.order_by(incident_actions.c.action_id))
    return [_of(row) for row in rows]


async def waiting(session: Session) -> list[Action]:
    """All that are not done, the longest due first."""
    query = select(incident_actions).where(incident_actions.c.done_at.is_(None))
    rows = await session.execute(query.order_by(incident_actions.c.due_on, incident_actions.c.action_id))
    return [_of(row) for row in rows]


async def ask_for(session: Session, deps: Deps, found: Incident, runbook: str | None) -> None:
    """What the shop asks for after a grave incident, of whoever has resolved it; a step, harmless twice."""
    now = deps.clock()
    owner = found.resolved_by or found.taken_by or "команда"
    page = f" {runbook}" if runbook is not None and runbook.endswith(".md") else ""
    for kind, what in (
        (POST_MORTEM, f"Провести разбор №{found.incident_id}"),
        (RUNBOOK, f"Дополнить страницу «Что делать»{page}: что помогло, чего не хватало"),
    ):
        await session.execute(
            upsert(incident_actions)
            .values(
                incident_id=found.incident_id,
                kind=kind,
                what=what,
                owner=owner,
                due_on=asked_until(deps, now),
                added_by=SHOP,
                added_at=now,
            )
            .on_conflict_do_nothing()
        )


def asked_until(deps: Deps, moment: datetime) -> date:
    """When what the shop asks for at that moment is due."""
    return (moment + timedelta(days=_DAYS)).astimezone(deps.zone).date()


async def add(
    session: Session, deps: Deps, incident_id: int, what: str, *, owner: str, due_on: date, by: Actor
) -> int:
    """Add one and return its number; a step. Raises NotAllowed, CannotDo, NoSuchIncident."""
    await require(session, deps, by)
    what, owner = (" ".join(text.replace("\0", "").split()) for text in (what, owner))
    if not 0 < len(what) <= _LONGEST or not owner:
        raise CannotDo(f"скажите, что сделать (до {_LONGEST} знаков) и кто сделает")
    statement = insert(incident_actions).values(
        incident_id=incident_id,
        kind=OTHER,
        what=what,
        owner=owner,
        due_on=due_on,
        added_by=by.name,
        added_at=deps.clock(),
    )
    made: int = (await session.execute(statement.returning(incident_actions.c.action_id))).scalar_one()
    return made


async def take_over(
    session: Session, deps: Deps, incident_id: int, written: Sequence[Written], *, by: Actor
) -> None:
    """Make the rows as the document has them: new lines are added, known ones changed; none is deleted.

    Raises NotAllowed, and CannotDo for a number of another incident's.
    """
    known = {one.action_id for one in await of_incident(session, incident_id)}
    for one in written:
        if one.action_id is None:
            await add(session, deps, incident_id, one.what, owner=one.owner, due_on=one.due_on, by=by)
            continue
        if one.action_id not in known:
            raise CannotDo(f"действие {one.action_id} не этого инцидента; у нового номера нет")
        await session.execute(
            update(incident_actions)
            .where(incident_actions.c.action_id == one.action_id, incident_actions.c.done_at.is_(None))
            .values(what=one.what, owner=one.owner, due_on=one.due_on)
        )


async def done(
    session: Session,
    deps: Deps,
    action_id: int,
    *,
    by: Actor,
    link: str | None = None,
    reason: str | None = None,
) -> Action:
    """Note that it is done; a step. Raises NotAllowed, CannotDo.

    An update of a runbook needs the link to it, or the reason why there is none.
    """
    await require(session, deps, by)
    query = select(incident_actions).where(incident_actions.c.action_id == action_id).with_for_update()
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise CannotDo(f"действия {action_id} нет")
    if row.done_at is not None:
        raise CannotDo(f"действие {action_id} уже сделано, {row.done_by}")
    link, reason = (None if text is None else text.strip() or None for text in (link, reason))
    if row.kind == RUNBOOK and link is None and reason is None:
        raise CannotDo("нужна ссылка на изменённую страницу, или почему менять нечего")
    await session.execute(
        update(incident_actions)
        .where(incident_actions.c.action_id == action_id)
        .values(done_at=deps.clock(), done_by=by.name, link=link, reason=reason)
    )
    changed = await session.execute(select(incident_actions).where(incident_actions.c.action_id == action_id))
    return _of(changed.one())


async def post_mortem_saved(session: Session, incident_id: int, *, by: Actor, now: datetime) -> None:
    """What was asked for is there: nobody is asked whether it is; a step."""
    await session.execute(
        update(incident_actions)
        .where(
            incident_actions.c.incident_id == incident_id,
            incident_actions.c.kind == POST_MORTEM,
            incident_actions.c.done_at.is_(None),
        )
        .values(done_at=now, done_by=by.name)
    )


def reminder(actions: Sequence[Action], *, today: date) -> str:
    """The week's message about ``actions``, which stand with the longest due first; HTML."""
    late = [one for one in actions if one.due_on < today]
    head = f"🟡 <b>После инцидентов не сделано: {len(actions)}</b>"
    lines = [head if not late else f"{head[:-4]}, просрочено {len(late)}</b>"]
    lines += ["", *(_asked(one, today) for one in actions[:_SHOWN])]
    if len(actions) > _SHOWN:
        lines.append(f"И ещё {len(actions) - _SHOWN}: 2getpro incident actions")
    return "\n".join([*lines, "", "Сделали: 2getpro incident actions done НОМЕР"])


def _asked(one: Action, today: date) -> str:
    mark = "🔴" if one.due_on < today else "•"
    late = f", {(today - one.due_on).days} дн. назад" if one.due_on < today else ""
    what = one.what if len(one.what) <= _LONGEST_SHOWN else f"{one.what[:_LONGEST_SHOWN]}…"
    return f"{mark} {one.action_id}. {escape(what)} — {escape(one.owner)}, до {one.due_on:%d.%m}{late}"


def _done(one: Action) -> str:
    if one.done_at is None:
        return ""
    if one.link is not None:
        is_address = one.link.startswith(("https://", "http://"))
        return f"да: <{one.link}>" if is_address else f"да: {plain(one.link)}"
    return f"да: {plain(one.reason)}" if one.reason is not None else "да"


def _of(row: Any) -> Action:
    return Action(
        action_id=row.action_id,
        incident_id=row.incident_id,
        kind=row.kind,
        what=row.what,
        owner=row.owner,
        due_on=row.due_on,
        done_at=row.done_at,
        done_by=row.done_by,
        link=row.link,
        reason=row.reason,
    )
