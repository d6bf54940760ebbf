"""Customers say that something does not work: kept, weighed against the tables, and many of a kind a signal.

See ``docs/decisions/0027-help.md``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Select, func, insert, select, update

from getpro.customers.models import users
from getpro.incidents import impact
from getpro.incidents.deps import Deps
from getpro.incidents.models import complaints, incident_signals, incidents
from getpro.incidents.signals import Signal, raise_signal, signal_over
from getpro.incidents.states import Complaint, IncidentState, Level, Source
from getpro.platform.database import Session

log = structlog.get_logger(__name__)


class TooManyComplaints(Exception):
    """The customer has said so much today that no more is kept; to be told so."""


MANY: Final = 5
TOGETHER: Final = timedelta(minutes=10)
"""So many customers within so long are one incident; the same customer again within it is no other."""
LONGEST_WORDS: Final = 1000
_MOST_A_DAY: Final = 20
"""Of one customer; each takes as many words."""
_STILL: Final = timedelta(minutes=30)
"""Without a new complaint for so long, what the tables cannot show is over."""
_LOCK: Final = 7_201_540
"""Advisory lock: of the fourth and the fifth at once, each would count four."""
_PAID_RUNBOOK: Final = "docs/operations/runbooks/paid-not-delivered.md"
_PROVED: Final = "proved"
_TITLES: Final = {
    _PROVED: "Клиенты заплатили и ждут доступа, жалуются",
    Complaint.PAID: "Клиенты пишут, что заплатили, а магазин их денег не видит",
    Complaint.CONNECTION: "Клиенты пишут, что VPN не подключается",
    Complaint.OTHER: "Клиенты пишут, что что-то не работает",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What has become of a complaint. ``is_repeat``: of one that the customer has made a moment ago."""

    complaint_id: int
    is_proved: bool
    is_repeat: bool
    incident_id: int | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A complaint for people's eyes."""

    user_id: int
    first_name: str
    kind: Complaint
    words: str
    is_proved: bool
    last_at: datetime
    times: int
    incident_id: int | None


async def complain(session: Session, deps: Deps, user_id: int, kind: Complaint, words: str = "") -> Made:
    """Keep what a customer says; five of a kind within ten minutes are one incident. A step.

    That somebody has paid and waits is not believed but looked up. What is proved so is L2, what is only said
    L1. What the same customer says within ten minutes is added to what they have said. Raises
    TooManyComplaints.
    """
    now = deps.clock()
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    is_proved = kind is Complaint.PAID and await impact.is_waiting(session, user_id)
    known = await _known(session, user_id, kind, since=now - TOGETHER)
    said = words.replace("\0", "").strip()[:LONGEST_WORDS]
    if known is None:
        await _require_room(session, user_id, now=now)
        complaint_id: int = (
            await session.execute(
                insert(complaints)
                .values(user_id=user_id, kind=kind, words=said, is_proved=is_proved, made_at=now, last_at=now)
                .returning(complaints.c.complaint_id)
            )
        ).scalar_one()
    else:
        complaint_id = known.complaint_id
        await session.execute(
            update(complaints)
            .where(complaints.c.complaint_id == complaint_id)
            .values(
                words="\n".join(part for part in (known.words, said) if part),
                is_proved=is_proved,
                last_at=now,
                times=known.times + 1,
            )
        )
    incident_id = await _gather(session, deps, kind, is_proved=is_proved, now=now)
    log.info("complaints.made", user_id=user_id, complaint=kind, is_proved=is_proved, incident_id=incident_id)
    return Made(complaint_id, is_proved, known is not None, incident_id)


async def _require_room(session: Session, user_id: int, *, now: datetime) -> None:
    made = select(func.count()).where(
        complaints.c.user_id == user_id, complaints.c.last_at > now - timedelta(days=1)
    )
    if (await session.scalar(made) or 0) >= _MOST_A_DAY:
        raise TooManyComplaints


async def _known(session: Session, user_id: int, kind: Complaint, *, since: datetime) -> Any:
    """Their latest of the kind, while it can still take more; else a new row begins, and nothing is lost."""
    found = await session.execute(
        select(complaints)
        .where(
            complaints.c.user_id == user_id,
            complaints.c.kind == kind,
            complaints.c.last_at > since,
            func.length(complaints.c.words) <= LONGEST_WORDS,
        )
        .order_by(complaints.c.complaint_id.desc())
        .limit(1)
    )
    return found.one_or_none()


async def _gather(
    session: Session, deps: Deps, kind: Complaint, *, is_proved: bool, now: datetime
) -> int | None:
    """Raise the signal where there are many, or where there were; the incident that these belong to."""
    ours = (
        complaints.c.kind == kind,
        complaints.c.is_proved.is_(is_proved),
        complaints.c.last_at > now - TOGETHER,
        # What was said of trouble that is over makes no new one.
        complaints.c.incident_id.is_(None) | complaints.c.incident_id.in_(_unresolved()),
    )
    group = _PROVED if is_proved else kind
    fingerprint = f"customers:{group}"
    counted = await session.execute(
        select(
            func.count(complaints.c.user_id.distinct()).label("customers"), func.min(complaints.c.made_at)
        ).where(*ours)
    )
    customers, began_at = counted.one()
    if customers < MANY and await _incident_of(session, fingerprint) is None:
        return None
    signal = Signal(
        source=Source.CUSTOMERS,
        fingerprint=fingerprint,
        level=Level.L2 if is_proved else Level.L1,
        title=_TITLES[group],
        began_at=began_at,
        runbook=_PAID_RUNBOOK if kind is Complaint.PAID else None,
        **(await _same_trouble(session) if is_proved else {}),
    )
    await raise_signal(session, deps, signal)
    incident_id = await _incident_of(session, fingerprint)
    await session.execute(
        update(complaints).where(*ours, complaints.c.incident_id.is_(None)).values(incident_id=incident_id)
    )
    return incident_id


def _unresolved() -> Select[tuple[int]]:
    return select(incidents.c.incident_id).where(incidents.c.state != IncidentState.RESOLVED)


async def _incident_of(session: Session, fingerprint: str) -> int | None:
    found: int | None = await session.scalar(
        select(incident_signals.c.incident_id).where(
            incident_signals.c.source == Source.CUSTOMERS,
            incident_signals.c.fingerprint == fingerprint,
            incident_signals.c.is_current,
        )
    )
    return found


async def _same_trouble(session: Session) -> dict[str, Any]:
    """By what an alert or a check that tells of the same is known, so that this joins its incident."""
    found = await session.execute(
        select(incident_signals.c.group_key, incident_signals.c.about)
        .where(incident_signals.c.is_current, incident_signals.c.runbook == _PAID_RUNBOOK)
        .order_by(incident_signals.c.signal_id)
        .limit(1)
    )
    row = found.one_or_none()
    about = "check:money.waiting" if row is None or row.about is None else row.about
    return {"group_key": None if row is None else row.group_key, "about": about}


async def end_what_is_over(session: Session, deps: Deps) -> None:
    """Nobody waits any more for what they have paid, or nobody has complained for half an hour; a step."""
    now = deps.clock()
    firing = await session.scalars(
        select(incident_signals.c.fingerprint).where(
            incident_signals.c.source == Source.CUSTOMERS,
            incident_signals.c.is_firing,
            incident_signals.c.is_current,
        )
    )
    for fingerprint in firing.all():
        group = fingerprint.partition(":")[2]
        if await _is_over(session, group, now=now):
            await signal_over(session, deps, Source.CUSTOMERS, fingerprint)


async def _is_over(session: Session, group: str, *, now: datetime) -> bool:
    if group == _PROVED:
        return await impact.everybody(session) is None
    found = select(complaints.c.complaint_id).where(
        complaints.c.kind == group, complaints.c.is_proved.is_(False), complaints.c.last_at > now - _STILL
    )
    return await session.scalar(found.limit(1)) is None


async def newest(session: Session, *, since: datetime, most: int) -> list[Listed]:
    """The latest complaints, the newest first."""
    rows = await session.execute(
        select(complaints, users.c.first_name)
        .join(users, users.c.user_id == complaints.c.user_id)
        .where(complaints.c.last_at >= since)
        .order_by(complaints.c.last_at.desc(), complaints.c.complaint_id.desc())
        .limit(most)
    )
    return [
        Listed(
            user_id=row.user_id,
            first_name=row.first_name,
            kind=Complaint(row.kind),
            words=row.words,
            is_proved=row.is_proved,
            last_at=row.last_at,
            times=row.times,
            incident_id=row.incident_id,
        )
        for row in rows
    ]
