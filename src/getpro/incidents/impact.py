"""What an incident costs, counted in the tables: who has paid and waits, how much, since when.

See ``docs/decisions/0027-help.md``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, text

from getpro.incidents.models import complaints, told_customers
from getpro.incidents.states import IncidentState, Level
from getpro.incidents.store import Incident
from getpro.kit.money import Money, roubles
from getpro.platform.database import Session

BEFORE: Final = timedelta(hours=1)
"""Who began to wait earlier than so long before an incident was opened does not wait because of it."""
WAITING: Final = """
SELECT s.user_id, p.payment_id, missing.changed_at AS since, p.amount - coalesce(
    (SELECT sum(r.amount) FROM refunds r WHERE r.payment_id = p.payment_id AND r.status = 'succeeded'), 0
) AS roubles
FROM subscriptions s
CROSS JOIN LATERAL (
    SELECT payment_id, refund_id, changed_at FROM subscription_changes c
    WHERE c.subscription_id = s.subscription_id ORDER BY change_id DESC
    LIMIT s.wanted_version - s.provisioned_version
) AS missing
JOIN payments p ON p.payment_id = missing.payment_id
WHERE s.provisioned_version < s.wanted_version AND missing.refund_id IS NULL
"""
"""A row for each order among what the panel lacks: one change made each version. Less what was given back."""
_LATE: Final = timedelta(minutes=1)
"""What is delivered within it is in time (SLO B); who waits no longer than that waits for nothing."""
_FIGURES: Final = (
    "SELECT count(DISTINCT user_id) AS customers, count(*) AS payments, coalesce(sum(roubles), 0) AS roubles,"
    " min(since) AS since"
)
_MEASURE: Final = text(
    f"{_FIGURES} FROM ({WAITING}) AS waiting WHERE roubles > 0 AND since >= :since AND since <= :until"
)
_IS_WAITING: Final = text(
    f"SELECT EXISTS (SELECT FROM ({WAITING}) AS waiting WHERE roubles > 0 AND user_id = :user_id)"  # noqa: S608 -- likewise
)
_KEEP: Final = text(
    f"""
INSERT INTO touched_payments (incident_id, payment_id, user_id, roubles, since)
SELECT :incident_id, payment_id, user_id, roubles, since FROM ({WAITING}) AS waiting
WHERE roubles > 0 AND since >= :since AND since <= :until ON CONFLICT DO NOTHING RETURNING payment_id
"""  # noqa: S608 -- likewise
)
_KEPT: Final = text(f"{_FIGURES} FROM touched_payments WHERE incident_id = :incident_id")


_TRADE: Final = text(
    "SELECT count(*) FILTER (WHERE paid_at BETWEEN :since AND :until) AS paid,"
    " coalesce(sum(amount) FILTER (WHERE paid_at BETWEEN :since AND :until), 0) AS amount,"
    " count(*) FILTER (WHERE created_at BETWEEN :since AND :until AND status <> 'succeeded') AS unpaid"
    " FROM payments WHERE paid_at BETWEEN :since AND :until OR created_at BETWEEN :since AND :until"
)


@dataclass(frozen=True, slots=True)
class Impact:
    """``since`` is when the first of them began to wait."""

    customers: int
    payments: int
    amount: Money
    since: datetime

    @property
    def roubles(self) -> str:
        return in_roubles(self.amount)


@dataclass(frozen=True, slots=True)
class _Grave:
    """What asks for a level: so many customers, roubles, or one who has waited for so long."""

    customers: int
    amount: Money
    wait: timedelta


GRAVE: Final = {
    Level.L3: _Grave(21, Money(20_000_00, "RUB"), timedelta(hours=1)),
    Level.L2: _Grave(5, Money(2_500_00, "RUB"), timedelta(minutes=15)),
}
"""The gravest first; L3 is what the rule ManyPaidNotDelivered says."""


def asked_level(impact: Impact, *, now: datetime) -> Level | None:
    """The level that the figures ask for; None where they ask for none."""
    for level, grave in GRAVE.items():
        if (
            impact.customers >= grave.customers
            or impact.amount.minor >= grave.amount.minor
            or now - impact.since >= grave.wait
        ):
            return level
    return None


async def measure(session: Session, found: Incident, *, now: datetime) -> Impact | None:
    """Who waits now, longer than usual, and perhaps because of this incident; None where nobody does."""
    return _impact((await session.execute(_MEASURE, _late(found, now))).one())


async def everybody(session: Session) -> Impact | None:
    """All who have paid for what the panel does not have yet, however long ago."""
    ever = {"since": datetime.min.replace(tzinfo=UTC), "until": datetime.max.replace(tzinfo=UTC)}
    return _impact((await session.execute(_MEASURE, ever)).one())


async def is_waiting(session: Session, user_id: int) -> bool:
    """Whether this customer has paid for what the panel does not have yet."""
    return bool(await session.scalar(_IS_WAITING, {"user_id": user_id}))


async def keep(session: Session, found: Incident, *, now: datetime) -> bool:
    """Remember each payment that :func:`measure` counts as touched by it; a step. True where one is new."""
    kept = await session.execute(_KEEP, _late(found, now) | {"incident_id": found.incident_id})
    return kept.first() is not None


def _late(found: Incident, now: datetime) -> dict[str, Any]:
    return {"since": found.opened_at - BEFORE, "until": now - _LATE}


async def touched(session: Session, incident_id: int) -> Impact | None:
    """All that the incident has touched, also what has been delivered since; None where that is nothing."""
    return _impact((await session.execute(_KEPT, {"incident_id": incident_id})).one())


async def of(session: Session, found: Incident, *, now: datetime) -> Impact | None:
    """What its page shows: who waits now; of one that is over, all whom it has touched."""
    if found.state is IncidentState.RESOLVED:
        return await touched(session, found.incident_id)
    return await measure(session, found, now=now)


async def complaints_of(session: Session, incident_id: int) -> int:
    """How many customers complain of it."""
    query = select(func.count(complaints.c.user_id.distinct())).where(complaints.c.incident_id == incident_id)
    return await session.scalar(query) or 0


async def told_of(session: Session, incident_id: int) -> int:
    """How many customers have been told of it, or are about to be."""
    query = select(func.count()).where(told_customers.c.incident_id == incident_id)
    return await session.scalar(query) or 0


def _impact(row: Any) -> Impact | None:
    if not row.customers:
        return None
    return Impact(row.customers, row.payments, roubles(row.roubles), row.since)


def in_roubles(amount: Money) -> str:
    """``1 393 ₽``, ``198,50 ₽``."""
    return (
        f"{amount.value:,}".replace(",", "\N{NO-BREAK SPACE}").removesuffix(".00").replace(".", ",")
        + "\N{NO-BREAK SPACE}₽"
    )


@dataclass(frozen=True, slots=True)
class Trade:
    """What was sold while an incident lasted."""

    paid: int
    amount: Money
    unpaid: int
    """Orders that were made and have not been paid."""


async def trade(session: Session, since: datetime, until: datetime) -> Trade:
    row = (await session.execute(_TRADE, {"since": since, "until": until})).one()
    return Trade(row.paid, roubles(row.amount), row.unpaid)
