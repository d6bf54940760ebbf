"""The report's money beside the providers': to the kopek, or the difference is a line."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text

from getpro.kit.money import Money
from getpro.operations.month.period import Period
from getpro.platform.database import Session

_BOOKS: Final = """
WITH theirs AS (
    SELECT provider, currency, sum(theirs) AS took, sum(theirs - ours) AS differed
    FROM provider_days WHERE day >= :first AND day <= :last GROUP BY 1, 2
),
reported AS (
    SELECT provider, paid_currency AS currency, sum(paid_amount) AS paid FROM payments
    WHERE status = 'succeeded' AND paid_at >= :since AND paid_at < :until
      AND (recorded_at IS NULL OR recorded_at < :closes_at)
    GROUP BY 1, 2
),
held AS (
    SELECT provider, currency, sum(amount) AS waits FROM (
        SELECT DISTINCT ON (s.provider, s.charge_id) s.provider, s.currency, s.amount
        FROM stuck_payments s
        WHERE s.kind <> 'sum_differs' AND s.taken_at >= :since AND s.taken_at < :until
          AND s.opened_at < :closes_at
          AND NOT EXISTS (SELECT FROM payments p WHERE p.provider = s.provider AND p.charge_id = s.charge_id
                            AND coalesce(p.recorded_at, p.paid_at) < :closes_at)
        ORDER BY s.provider, s.charge_id, s.stuck_id DESC
    ) AS entries GROUP BY 1, 2
)
SELECT provider, currency, coalesce(took, 0) AS took, coalesce(differed, 0) AS differed,
       coalesce(paid, 0) AS paid, coalesce(waits, 0) AS waits
FROM theirs FULL JOIN reported USING (provider, currency) FULL JOIN held USING (provider, currency)
ORDER BY provider, currency
"""
_COMPARED: Final = """
SELECT l.provider,
       greatest((l.since AT TIME ZONE :zone)::date, :first) AS since,
       (SELECT count(DISTINCT day) FROM provider_days d
        WHERE d.provider = l.provider AND day >= :first AND day <= :last) AS days
FROM provider_looks l
"""
"""What an account took before the shop was there is nobody's to compare."""


@dataclass(frozen=True, slots=True)
class Account:
    """One provider's account in one currency, in its smallest unit."""

    provider: str
    currency: str
    theirs: int
    """What the provider says that it took on the days that were compared."""
    reported: int
    """What of the report's payments was paid in the period."""
    held: int
    """What came and waits for a person."""
    differed: int
    """By how much the nightly comparisons, day for day, have found more at the provider's."""
    days_compared: int
    days: int
    """Of the period on which the shop was there to take anything."""

    @property
    def is_compared(self) -> bool:
        return self.days_compared >= self.days

    @property
    def difference(self) -> int:
        return self.theirs - self.reported - self.held

    @property
    def is_of_midnight(self) -> bool:
        """Each day by itself is equal: some payment lies on the other side of midnight for the provider."""
        return self.difference != 0 and self.differed == 0 and self.is_compared


async def compare(session: Session, period: Period, zone: ZoneInfo) -> list[Account]:
    """A step, it only reads. A currency of which nothing is known on either side is left out."""
    days = {"first": period.month, "last": period.last_day}
    span = {"since": period.since, "until": period.until, "closes_at": period.closes_at}
    looked = {
        row.provider: (row.days, _length(row.since, period.last_day))
        for row in await session.execute(text(_COMPARED), days | {"zone": zone.key})
    }
    nothing = (0, _length(period.month, period.last_day))
    rows = await session.execute(text(_BOOKS), days | span)
    found = [_account(row, *looked.get(row.provider, nothing)) for row in rows]
    return [one for one in found if one.theirs or one.reported or one.held]


def _length(first: date, last: date) -> int:
    return max((last - first + timedelta(days=1)).days, 0)


def _account(row: Any, compared: int, days: int) -> Account:
    def minor(amount: Decimal) -> int:
        return Money.parse(str(amount), row.currency).minor

    return Account(
        provider=row.provider,
        currency=row.currency,
        theirs=minor(row.took),
        reported=minor(row.paid),
        held=minor(row.waits),
        differed=minor(row.differed),
        days_compared=compared,
        days=days,
    )
