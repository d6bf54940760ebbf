"""What an incident costs, counted in the tables: who has paid and waits, how much, since when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text

from getpro.kit.money import roubles
from getpro.platform.database import Session

_UNDELIVERED: Final = text(
    "SELECT count(DISTINCT s.user_id) AS customers, coalesce(sum(bought.roubles), 0) AS roubles,"
    " min(s.wanted_at) AS since FROM subscriptions s, LATERAL ("
    "SELECT sum(p.amount) AS roubles FROM (SELECT payment_id FROM subscription_changes c"
    " WHERE c.subscription_id = s.subscription_id AND c.refund_id IS NULL ORDER BY change_id DESC"
    " LIMIT s.wanted_version - s.provisioned_version) AS missing"
    " JOIN payments p USING (payment_id)) AS bought"
    " WHERE s.provisioned_version < s.wanted_version AND bought.roubles IS NOT NULL"
)
"""Of each subscription that the panel does not have as it is wanted, the orders among what it lacks."""


@dataclass(frozen=True, slots=True)
class Impact:
    """``since`` is when the first of them began to wait."""

    customers: int
    roubles: str
    since: datetime


async def measure(session: Session) -> Impact | None:
    """None where nobody waits."""
    row = (await session.execute(_UNDELIVERED)).one()
    if not row.customers:
        return None
    amount = str(roubles(row.roubles).value).removesuffix(".00").replace(".", ",")
    return Impact(row.customers, f"{amount}\N{NO-BREAK SPACE}₽", row.since)
