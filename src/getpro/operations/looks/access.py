"""Who acted for the shop, by whatever door, and what of it is unusual.

The shop has two doors for people: Telegram, where it knows numbers, and the command line, where it knows the
names of the machine. It has no addresses and no devices of theirs, so it says nothing about these.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Text, cast, func, or_, select, union_all

from getpro.checks.check import Finding, Line
from getpro.incidents.models import contact_ways, incident_events, incidents, people
from getpro.messaging.models import message_logs
from getpro.operations.looks.asking import asks_database
from getpro.platform.audit import audit_log
from getpro.platform.changes import SHOP, ChangeKind, changes
from getpro.platform.database import Database, Session

REVIEW: Final = Line("access.review", "Кто действовал")
ANOMALIES: Final = Line("access.anomalies", "Необычные действия")
CONSOLE: Final = Line("access.console", "Входы в консоль и API")
_REMEDY: Final = "docs/operations/runbooks/unusual-access.md"
SPAN_OF_HABITS: Final = timedelta(days=180)
_HABITS: Final = 20
"""So many deeds before one can say what is usual."""
_APART: Final = 2
"""Hours."""
_AFTERMATH: Final = timedelta(hours=1)
"""Somebody who was fetched tidies up before they go to bed."""
_KNOCKS: Final = 3
_SHOWN: Final = 5
_NUMBER: Final = re.compile(r"(?:.* )?\(?(\d{1,20})\)?")
STAFF_COMMANDS: Final = ("/admin", "/incident", "/report", "/postmortem")
STAFF_BUTTONS: Final = ("desk:", "cust:", "pay:", "stuck:", "inc:", "help:")
"""How the buttons begin that only operators have."""

_NOBODY: Final = frozenset({SHOP, "schedule", "shop", "сверка после восстановления"})
"""The shop itself."""
_IS_STAFFS: Final = or_(
    message_logs.c.content.in_(STAFF_COMMANDS),
    *(message_logs.c.content.startswith(prefix, autoescape=True) for prefix in STAFF_BUTTONS),
)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person did; ``who`` as :func:`name_of` writes it."""

    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """From when until when people were wanted, at whatever hour."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Staff:
    """Who may act: numbers of Telegram, by the name that people know."""

    names: Mapping[int, str]
    """Of the team, and of whoever has been of it."""
    may: Collection[int]
    added: Mapping[str, datetime] = field(default_factory=dict)
    removed: Mapping[int, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Knock:
    """A stranger who tried what only operators have."""

    telegram_id: int
    times: int


def name_of(actor: str, names: Mapping[int, str]) -> str:
    """``@olga (104)``, ``104`` and ``olga`` are one person, where the team knows her number; pure."""
    found = _NUMBER.fullmatch(actor)
    if found is None:
        return actor
    number = int(found[1])
    return names.get(number, f"Telegram {number}")


def newcomers(acts: Sequence[Act], *, since: datetime) -> list[str]:
    """Who acts for the first time, where others have acted before; pure."""
    before = {act.who for act in acts if act.at < since}
    return sorted({act.who for act in acts if act.at >= since} - before) if before else []


def unusual_hours(
    acts: Sequence[Act], calls: Sequence[Call] = (), *, since: datetime, zone: ZoneInfo
) -> dict[str, list[int]]:
    """At which hours of the day somebody acted, uncalled, who has never acted near them before; pure."""
    habits: dict[str, Counter[int]] = {}
    acts = [act for act in acts if not any(call.since <= act.at <= call.until for call in calls)]
    for act in acts:
        if act.at < since:
            habits.setdefault(act.who, Counter())[act.at.astimezone(zone).hour] += 1
    found: dict[str, list[int]] = {}
    for act in acts:
        usual, hour = habits.get(act.who, Counter()), act.at.astimezone(zone).hour
        if act.at < since or usual.total() < _HABITS:
            continue
        is_near = any(min((hour - one) % 24, (one - hour) % 24) <= _APART for one in usual)
        if not is_near and hour not in found.setdefault(act.who, []):
            found[act.who].append(hour)
    return {who: sorted(hours) for who, hours in found.items() if hours}


def _anomalies(
    acts: Sequence[Act],
    calls: Sequence[Call],
    knocks: Sequence[Knock],
    staff: Staff,
    *,
    since: datetime,
    zone: ZoneInfo,
) -> Iterator[Finding]:
    for who in newcomers(acts, since=since):
        line = Line(f"access.new.{who}", f"Впервые действует {who}")
        yield line.attention("раньше не встречался", f"Ваш человек? {_REMEDY}")
    for who, hours in unusual_hours(acts, calls, since=since, zone=zone).items():
        line = Line(f"access.hours.{who}", f"Необычный час у {who}")
        at = ", ".join(f"{hour}:00" for hour in hours)
        yield line.attention(f"действовал около {at}, раньше в это время никогда", f"Это он сам? {_REMEDY}")
    for who, added in sorted(staff.added.items()):
        if added >= since:
            line = Line(f"access.granted.{who}", f"Новые права у {who}")
            yield line.attention(f"в команде с {added.astimezone(zone):%d.%m.%Y}", f"Кто добавил? {_REMEDY}")
    for number, removed in sorted(staff.removed.items()):
        who = staff.names[number]
        if number not in staff.may and any(act.who == who and act.at > removed for act in acts):
            line = Line(f"access.removed.{who}", f"Действует без прав {who}")
            yield line.wrong(f"убран {removed.astimezone(zone):%d.%m.%Y}, а действует", _REMEDY)
    for knock in knocks:
        who = staff.names.get(knock.telegram_id, f"Telegram {knock.telegram_id}")
        line = Line(f"access.refused.{who}", f"Отказано {who}")
        yield line.attention(f"пробовал команды и кнопки операторов, раз: {knock.times}", _REMEDY)


@asks_database(ANOMALIES)
async def look_at_anomalies(
    db: Database, operators: Collection[int], *, now: datetime, span: timedelta, zone: ZoneInfo
) -> AsyncIterator[Finding]:
    """What of the last ``span`` is unlike what was before."""
    since = now - span
    async with db.read("look: access") as session:
        staff = await _staff(session, operators)
        acts = await _acts(session, staff, since=since - SPAN_OF_HABITS, until=now)
        calls = await _calls(session, since=since - SPAN_OF_HABITS, until=now)
        knocks = await _knocks(session, staff, since=since, until=now)
    wanting = list(_anomalies(acts, calls, knocks, staff, since=since, zone=zone))
    for finding in wanting:
        yield finding
    if not wanting:
        recent = sum(act.at >= since for act in acts)
        yield ANOMALIES.ok(f"действий {recent}, все обычные; отказов нет")


@asks_database(REVIEW)
async def look_at_review(
    db: Database, operators: Collection[int], *, now: datetime, span: timedelta
) -> AsyncIterator[Finding]:
    """Who acted, and how often: for a person to read."""
    async with db.read("look: access") as session:
        acts = await _acts(session, await _staff(session, operators), since=now - span, until=now)
    counts = Counter(act.who for act in acts)
    shown = ", ".join(f"{who} {times}" for who, times in counts.most_common(_SHOWN))
    more = f" и ещё {len(counts) - _SHOWN} чел." if len(counts) > _SHOWN else ""
    yield REVIEW.ok(f"{shown}{more}" or "никто")


async def last_acts(
    session: Session, operators: Collection[int], *, now: datetime, span: timedelta
) -> dict[str, datetime]:
    """When each who has acted in that time did so last; a step."""
    staff = await _staff(session, operators)
    return {act.who: act.at for act in await _acts(session, staff, since=now - span, until=now)}


async def _staff(session: Session, operators: Collection[int]) -> Staff:
    rows = (
        await session.execute(
            select(
                people.c.name, people.c.added_at, people.c.removed_at, contact_ways.c.telegram_id
            ).outerjoin(
                contact_ways,
                (contact_ways.c.person_id == people.c.person_id) & contact_ways.c.telegram_id.is_not(None),
            )
        )
    ).all()
    removed = {row.telegram_id: row.removed_at for row in rows if row.telegram_id and row.removed_at}
    names = {row.telegram_id: row.name for row in rows if row.telegram_id}
    return Staff(
        names=names,
        may={*operators, *names} - set(removed),
        added={row.name: row.added_at for row in rows if row.removed_at is None},
        removed=removed,
    )


async def _acts(session: Session, staff: Staff, *, since: datetime, until: datetime) -> list[Act]:
    """By all doors, the oldest first."""
    log = audit_log.c
    sources = [
        select(log.actor.label("who"), log.at).where(log.at.between(since, until)),
        select(changes.c.who, changes.c.at).where(
            changes.c.kind == ChangeKind.COMMAND, changes.c.at.between(since, until)
        ),
        select(incident_events.c.who, incident_events.c.at).where(
            incident_events.c.who != SHOP, incident_events.c.at.between(since, until)
        ),
        select(cast(message_logs.c.user_id, Text), message_logs.c.timestamp).where(
            message_logs.c.user_id.in_(staff.may),
            message_logs.c.timestamp.between(since, until),
            _IS_STAFFS,
        ),
    ]
    rows = (await session.execute(union_all(*sources))).all()
    acts = [Act(name_of(row.who, staff.names), row.at) for row in rows if row.who not in _NOBODY]
    return sorted(acts, key=lambda act: act.at)


async def _calls(session: Session, *, since: datetime, until: datetime) -> list[Call]:
    """Incidents: whoever works on one at night was fetched."""
    own = incidents.c
    rows = await session.execute(
        select(own.opened_at, func.coalesce(own.resolved_at, until).label("until")).where(
            own.called_at.is_not(None), func.coalesce(own.resolved_at, until) >= since
        )
    )
    return [Call(row.opened_at, row.until + _AFTERMATH) for row in rows]


async def _knocks(session: Session, staff: Staff, *, since: datetime, until: datetime) -> list[Knock]:
    own = message_logs.c
    rows = await session.execute(
        select(own.user_id, func.count().label("times"))
        .where(own.timestamp.between(since, until), own.user_id.not_in(staff.may), _IS_STAFFS)
        .group_by(own.user_id)
        .having(func.count() >= _KNOCKS)
        .order_by(func.count().desc(), own.user_id)
    )
    return [Knock(row.user_id, row.times) for row in rows]
