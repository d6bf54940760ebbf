"""The team: who is in it, in which role, how each is reached, who is on call, who may act."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo, NoSuchPerson, NotAllowed
from getpro.incidents.models import contact_ways, holidays, outside_contacts, people, rota_overrides, rotas
from getpro.incidents.rota import Override, Rota, Turn, turn_at
from getpro.incidents.states import Role
from getpro.platform.database import Session

OUTSIDE: Final = {"hosting": "Хостинг", "yookassa": "ЮKassa", "panel": "Панель"}
"""The guide's services outside, whose support must be known before it is needed."""
LONGEST_HOLIDAY: Final = 31


@dataclass(frozen=True, slots=True)
class Actor:
    """A person who acts on an incident; the name stands on the time line."""

    name: str
    telegram_id: int | None = None
    """None for whoever has the machine's command line, and with it everything."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to reach a person."""

    way_id: int
    person_id: int
    telegram_id: int | None
    sealed: bytes | None
    shown: str
    tested_at: datetime | None
    answered_at: datetime | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Person:
    person_id: int
    name: str
    roles: frozenset[Role]
    ways: tuple[Way, ...]

    @property
    def telegram_id(self) -> int | None:
        return next((way.telegram_id for way in self.ways if way.telegram_id is not None), None)

    @property
    def other_ways(self) -> list[Way]:
        return [way for way in self.ways if way.telegram_id is None]


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a step calls. ``role`` is not the one that was asked for where that one has nobody."""

    people: tuple[Person, ...]
    role: Role


_STANDS_IN: Final = {Role.ON_CALL: Role.TECH_LEAD, Role.DEVOPS: Role.TECH_LEAD, Role.TECH_LEAD: Role.EVERYONE}


async def require(session: Session, deps: Deps, by: Actor) -> None:
    """Raises NotAllowed for whoever is not of the team; a removed person is not, whatever settings say."""
    if by.telegram_id is None:
        return
    query = (
        select(people.c.removed_at)
        .join(contact_ways, contact_ways.c.person_id == people.c.person_id)
        .where(contact_ways.c.telegram_id == by.telegram_id)
    )
    known = (await session.execute(query)).one_or_none()
    is_allowed = by.telegram_id in deps.operators if known is None else known.removed_at is None
    if not is_allowed:
        raise NotAllowed


async def team(session: Session) -> list[Person]:
    """Everybody who has not been removed, in the order in which they came."""
    return await _people(session, people.c.removed_at.is_(None))


async def on_rota(session: Session, *, now: datetime) -> list[Person]:
    """Whom the present rota names, also those who have been removed."""
    rota = await present_rota(session, now=now)
    return [] if rota is None else await _people(session, people.c.person_id.in_(rota.people))


async def _people(session: Session, which: ColumnElement[bool]) -> list[Person]:
    found = (await session.execute(select(people).where(which).order_by(people.c.person_id))).all()
    ways: dict[int, list[Way]] = {}
    for way in await session.execute(select(contact_ways).order_by(contact_ways.c.way_id)):
        ways.setdefault(way.person_id, []).append(_way(way))
    return [
        Person(
            row.person_id,
            row.name,
            frozenset(map(Role, row.roles)),
            tuple(ways.get(row.person_id, ())),
        )
        for row in found
    ]


async def audience(session: Session, deps: Deps, role: Role, *, now: datetime) -> Audience:
    """Whom a call of ``role`` reaches; where it has nobody, the next role that has somebody stands in."""
    everyone = await team(session)
    on_call = await turn(session, deps, now=now)
    while True:
        found = _holding(everyone, role, on_call)
        if found or role is Role.EVERYONE:
            return Audience(found, role)
        role = _STANDS_IN[role]


def _holding(everyone: Sequence[Person], role: Role, on_call: Turn | None) -> tuple[Person, ...]:
    if role is Role.EVERYONE:
        return tuple(everyone)
    if role is Role.ON_CALL and on_call is not None:
        return tuple(one for one in everyone if one.person_id == on_call.person_id)
    return tuple(one for one in everyone if role in one.roles)


async def turn(session: Session, deps: Deps, *, now: datetime) -> Turn | None:
    """Whose turn on call it is; None without a rota, when all who have the role are called."""
    rota = await present_rota(session, now=now)
    found = await session.execute(
        select(rota_overrides).where(rota_overrides.c.until > now).order_by(rota_overrides.c.override_id)
    )
    overrides = [Override(one.person_id, one.since, one.until) for one in found]
    return turn_at(rota, overrides, now, deps.zone, await days_off(session))


async def present_rota(session: Session, *, now: datetime) -> Rota | None:
    """The one that has begun last."""
    row = (
        await session.execute(
            select(rotas)
            .where(rotas.c.since <= now)
            .order_by(rotas.c.since.desc(), rotas.c.rota_id.desc())
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else Rota(tuple(row.person_ids), row.since, row.turn_days)


async def days_off(session: Session) -> dict[date, str]:
    """The holidays on which nobody hands over, and what they are, in their order."""
    rows = await session.execute(select(holidays).order_by(holidays.c.day))
    return {row.day: row.title for row in rows}


async def add_days_off(
    session: Session, first: date, last: date, *, title: str, by: str, now: datetime
) -> None:
    """Nobody hands over on these days; a step, harmless when repeated. Raises CannotDo."""
    days = (last - first).days + 1
    if not 0 < days <= LONGEST_HOLIDAY:
        raise CannotDo(f"праздник длится от 1 до {LONGEST_HOLIDAY} дней")
    values = [
        {"day": first + timedelta(days=n), "title": title, "set_at": now, "set_by": by} for n in range(days)
    ]
    statement = upsert(holidays).values(values)
    new = statement.excluded
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["day"], set_={"title": new.title, "set_at": new.set_at, "set_by": new.set_by}
        )
    )


async def drop_days_off(session: Session, first: date, last: date) -> int:
    """The duty is handed over on these days again; a step. Return how many of them were holidays."""
    dropped = await session.execute(delete(holidays).where(holidays.c.day.between(first, last)))
    return dropped.rowcount


async def name_of(session: Session, telegram_id: int) -> str | None:
    """The name of whoever has this number, of the team or not any more."""
    found: str | None = await session.scalar(
        select(people.c.name)
        .join(contact_ways, contact_ways.c.person_id == people.c.person_id)
        .where(contact_ways.c.telegram_id == telegram_id)
    )
    return found


async def person(session: Session, name: str) -> Person:
    """Raises NoSuchPerson."""
    found = next((one for one in await team(session) if one.name == name), None)
    if found is None:
        raise NoSuchPerson(name)
    return found


async def add_person(session: Session, name: str, roles: Sequence[Role], *, now: datetime) -> None:
    """Add somebody, or give them these roles; who was removed comes back."""
    values = {"roles": [role.value for role in roles], "removed_at": None}
    await session.execute(
        upsert(people)
        .values(name=name, added_at=now, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )


async def remove_person(session: Session, name: str, *, now: datetime) -> None:
    """From this moment on nobody calls them, and no button is theirs; raises NoSuchPerson."""
    found = await person(session, name)
    await session.execute(update(people).where(people.c.person_id == found.person_id).values(removed_at=now))
    await session.execute(
        delete(rota_overrides).where(
            rota_overrides.c.person_id == found.person_id, rota_overrides.c.until > now
        )
    )


async def set_telegram(session: Session, name: str, telegram_id: int) -> None:
    """Raises NoSuchPerson, CannotDo where the number is another's."""
    found = await person(session, name)
    owner = await session.scalar(
        select(people.c.name)
        .join(contact_ways, contact_ways.c.person_id == people.c.person_id)
        .where(contact_ways.c.telegram_id == telegram_id, people.c.person_id != found.person_id)
    )
    if owner is not None:
        raise CannotDo(f"номер {telegram_id} уже записан за {owner}")
    await session.execute(
        delete(contact_ways).where(
            contact_ways.c.person_id == found.person_id, contact_ways.c.telegram_id.is_not(None)
        )
    )
    await _add_way(session, found, telegram_id=telegram_id, shown=f"Telegram {telegram_id}")


async def add_way(session: Session, deps: Deps, name: str, address: str, *, shown: str) -> None:
    """Add an address of Apprise's; raises NoSuchPerson."""
    await _add_way(session, await person(session, name), sealed=deps.cipher.encrypt(address), shown=shown)


async def _add_way(session: Session, whose: Person, **values: Any) -> None:
    await session.execute(insert(contact_ways).values(person_id=whose.person_id, **values))


async def drop_ways(session: Session, name: str) -> None:
    """Forget how a person is reached, except by Telegram; raises NoSuchPerson."""
    found = await person(session, name)
    await session.execute(
        delete(contact_ways).where(
            contact_ways.c.person_id == found.person_id, contact_ways.c.telegram_id.is_(None)
        )
    )


async def set_rota(
    session: Session, names: Sequence[str], *, since: datetime, turn_days: int, by: str, now: datetime
) -> None:
    """Who takes turns, from the hand-over at ``since`` on; raises NoSuchPerson."""
    ids = [(await person(session, name)).person_id for name in names]
    await session.execute(
        insert(rotas).values(person_ids=ids, since=since, turn_days=turn_days, set_at=now, set_by=by)
    )


async def stand_in(
    session: Session, name: str, *, since: datetime, until: datetime, reason: str, by: str, now: datetime
) -> None:
    """Somebody is on call instead of whoever's turn it is; raises NoSuchPerson, CannotDo."""
    if since >= until:
        raise CannotDo("замена кончается раньше, чем начинается")
    found = await person(session, name)
    await session.execute(
        insert(rota_overrides).values(
            person_id=found.person_id, since=since, until=until, reason=reason, set_at=now, set_by=by
        )
    )


async def set_outside(session: Session, name: str, how: str, *, by: str, now: datetime) -> None:
    """How a service's support is reached."""
    values = {"how": how, "set_at": now, "set_by": by}
    await session.execute(
        upsert(outside_contacts)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )


async def outside(session: Session) -> dict[str, str | None]:
    """How each service of the guide, and each that was added, is reached; None: nobody has said."""
    rows = await session.execute(select(outside_contacts).order_by(outside_contacts.c.name))
    return dict.fromkeys(OUTSIDE) | {row.name: row.how for row in rows}


async def begin_test(session: Session, way_id: int, *, now: datetime) -> str:
    """Note that a way is tried, and return the code that whoever gets the message is to say back."""
    code = f"{secrets.randbelow(10**6):06}"
    await session.execute(
        update(contact_ways)
        .where(contact_ways.c.way_id == way_id)
        .values(tested_at=now, test_code=code, answered_at=None, trouble=None)
    )
    return code


async def test_failed(session: Session, way_id: int, trouble: str) -> None:
    await session.execute(
        update(contact_ways).where(contact_ways.c.way_id == way_id).values(trouble=trouble, test_code=None)
    )


async def answer_test(session: Session, code: str, *, now: datetime, telegram_id: int | None = None) -> str:
    """Note that the message with ``code`` has been read; return whose and which way. Raises CannotDo.

    ``telegram_id``: who has pressed the button under it.
    """
    query = (
        update(contact_ways)
        .where(contact_ways.c.test_code == code, contact_ways.c.person_id == people.c.person_id)
        .values(answered_at=now, test_code=None)
        .returning(people.c.name, contact_ways.c.shown)
    )
    if telegram_id is not None:
        query = query.where(contact_ways.c.telegram_id == telegram_id)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise CannotDo("такой проверки никто не ждёт: код уже назван, или он от прошлой проверки")
    return f"{found.name}: {found.shown}"


def _way(row: Any) -> Way:
    return Way(
        way_id=row.way_id,
        person_id=row.person_id,
        telegram_id=row.telegram_id,
        sealed=None if row.sealed is None else bytes(row.sealed),
        shown=row.shown,
        tested_at=row.tested_at,
        answered_at=row.answered_at,
        trouble=row.trouble,
    )
