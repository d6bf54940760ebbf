"""Customers whom an incident touches are told how things stand, and that it works again; once each.

Whom to tell is written first, with the words that a person has chosen and confirmed; their notices follow.
See ``docs/decisions/0027-help.md``.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import structlog
from sqlalchemy import text

from getpro.incidents import impact
from getpro.incidents.deps import Deps
from getpro.incidents.impact import WAITING
from getpro.incidents.states import IncidentState
from getpro.incidents.store import Incident
from getpro.messaging.states import NoticeKind
from getpro.messaging.store import add_notice, withdraw
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 200


class Text(StrEnum):
    """What customers are told where nobody writes words of their own; the bot has them in each language."""

    DELAY = "delay"
    """What they have paid for opens late."""
    CONNECTION = "connection"
    PAYMENTS = "payments"
    OTHER = "other"
    """Something does not work."""


_AUDIENCE: Final = f"""
SELECT touched.user_id FROM (
    SELECT user_id FROM ({WAITING}) AS waiting WHERE roubles > 0 AND since >= :since
    UNION SELECT user_id FROM complaints WHERE incident_id = :incident_id
) AS touched JOIN users USING (user_id)
WHERE users.unreachable_since IS NULL AND users.blocked_at IS NULL
AND NOT EXISTS (
    SELECT FROM told_customers t WHERE t.incident_id = :incident_id AND t.user_id = touched.user_id
)
"""  # noqa: S608 -- our own statement
"""Who waits now for what they have paid, and who complains of it; not who has been told already."""
_COUNT: Final = text(f"SELECT count(*) FROM ({_AUDIENCE}) AS audience")  # noqa: S608 -- likewise
_CHOOSE: Final = text(
    "INSERT INTO told_customers (incident_id, user_id, deed_id)"  # noqa: S608 -- likewise
    f" SELECT :incident_id, user_id, :deed_id FROM ({_AUDIENCE}) AS audience"
    " ON CONFLICT DO NOTHING RETURNING user_id"
)
_MAY_HEAR: Final = """
i.state = 'resolved' AND (
    NOT EXISTS (SELECT FROM incident_events e WHERE e.incident_id = i.incident_id AND e.kind = 'forced')
    OR EXISTS (
        SELECT FROM deeds o WHERE o.incident_id = i.incident_id AND o.kind = 'over' AND o.state = 'done'
    )
)
"""
"""It works again: it was quiet when it was closed, or a person has said so since."""
_OWED: Final = text(
    "SELECT count(*) FROM told_customers t JOIN incidents i USING (incident_id)"  # noqa: S608 -- likewise
    " WHERE t.incident_id = :incident_id AND t.told_at IS NOT NULL AND t.over_at IS NULL"
    f" AND i.state = 'resolved' AND NOT ({_MAY_HEAR})"
)
_LAST_TOLD: Final = text(
    "SELECT argument FROM deeds WHERE incident_id = :incident_id AND kind = 'tell' AND state = 'done'"
    " ORDER BY deed_id DESC LIMIT 1"
)
_TO_TELL: Final = text(
    "SELECT t.incident_id, t.user_id, t.told_at, d.argument, i.state FROM told_customers t"  # noqa: S608 -- likewise
    " JOIN deeds d USING (deed_id) JOIN incidents i ON i.incident_id = t.incident_id"
    f" WHERE t.over_at IS NULL AND (t.told_at IS NULL OR {_MAY_HEAR}"
    f" AND t.user_id NOT IN (SELECT user_id FROM ({WAITING}) AS waiting WHERE roubles > 0))"
    " ORDER BY t.incident_id, t.user_id LIMIT :most FOR UPDATE OF t SKIP LOCKED"
)
_MARK: Final = text(
    "UPDATE told_customers SET told_at = coalesce(told_at, :told_at), over_at = :over_at"
    " WHERE incident_id = :incident_id AND user_id = :user_id"
)


async def audience(session: Session, found: Incident) -> int:
    """How many customers would be told now."""
    return await session.scalar(_COUNT, _whom(found)) or 0


async def owed(session: Session, incident_id: int) -> int:
    """How many have heard of the trouble and hear of its end only when a person says so."""
    return await session.scalar(_OWED, {"incident_id": incident_id}) or 0


async def over_of(session: Session, incident_id: int) -> Mapping[str, str]:
    """What those hear last, by language; without one, what the bot says by itself."""
    found: Mapping[str, Any] | None = await session.scalar(_LAST_TOLD, {"incident_id": incident_id})
    return {} if found is None else found["over"]


async def choose(session: Session, found: Incident, deed_id: int) -> int:
    """Write down whom to tell, each customer once for an incident; a step. Return how many."""
    chosen = await session.execute(_CHOOSE, _whom(found) | {"deed_id": deed_id})
    return len(chosen.all())


def _whom(found: Incident) -> dict[str, Any]:
    return {"incident_id": found.incident_id, "since": found.opened_at - impact.BEFORE}


async def carry_on(deps: Deps) -> None:
    """Write the notices: of the trouble to who was chosen, that it works again once it is resolved; a flow.

    Run by schedule, late or twice. Who still waits for access hears that it works again when they have it.
    """
    while await _some(deps) == _AT_ONCE:
        pass


async def _some(deps: Deps) -> int:
    now = deps.clock()
    async with deps.db.begin("incidents: tell customers") as session:
        rows = (await session.execute(_TO_TELL, {"most": _AT_ONCE})).all()
        for row in rows:
            is_resolved = row.state == IncidentState.RESOLVED
            told_at = None if is_resolved else now
            if is_resolved:
                await _tell_over(session, deps, row, now=now)
            else:
                await _tell(session, deps, row, NoticeKind.TROUBLE, row.argument["words"], now=now)
            await session.execute(
                _MARK,
                {
                    "incident_id": row.incident_id,
                    "user_id": row.user_id,
                    "told_at": told_at,
                    "over_at": now if is_resolved else None,
                },
            )
    if rows:
        log.info("incidents.customers_told", customers=len(rows))
    return len(rows)


async def _tell_over(session: Session, deps: Deps, row: Any, *, now: datetime) -> None:
    """Only to who has heard of the trouble: a notice that is still on its way is called back instead."""
    if row.told_at is None:
        return
    key = _key(NoticeKind.TROUBLE, row)
    if not await withdraw(session, key, trouble="over before it was told", now=now):
        await _tell(session, deps, row, NoticeKind.WORKS_AGAIN, row.argument["over"], now=now)


async def _tell(
    session: Session, deps: Deps, row: Any, kind: NoticeKind, words: dict[str, str], *, now: datetime
) -> None:
    await add_notice(
        session,
        deps.jobs,
        user_id=row.user_id,
        kind=kind,
        key=_key(kind, row),
        now=now,
        about=row.argument["about"],
        words=words,
        until=(now + _USEFUL_FOR).isoformat(),
    )


def _key(kind: NoticeKind, row: Any) -> str:
    return f"{kind}:{row.incident_id}:{row.user_id}"


_USEFUL_FOR: Final = timedelta(hours=12)
"""Telegram may be what is down: later it would be no news."""
