"""What a period brought, out of rows that nobody changes: asked later, it gives the same.

A payment belongs to the month in which it was paid, if that was known before the month was closed, else to
the month in which it was learned. People are counted by the changes of subscriptions, whose time is our own
clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text

from getpro.kit.money import Money, roubles
from getpro.operations.month.period import Period
from getpro.platform.database import Session

MONTH_DAYS: Final = 30
"""Of which a month's revenue is reckoned, whatever a customer has paid for."""
WEEKS: Final = 5
"""Of a month: its days 1–7, 8–14, 15–21, 22–28, and the rest."""
_BOOKED: Final = """
SELECT payment_id, user_id, provider, subscription_duration_months AS months, amount, paid_amount,
       paid_currency, paid_at, paid_at AS booked_at, false AS is_late
FROM payments
WHERE status = 'succeeded' AND paid_at >= :since AND paid_at < :until
  AND (recorded_at IS NULL OR recorded_at < :closes_at)
UNION ALL
SELECT payment_id, user_id, provider, subscription_duration_months, amount, paid_amount,
       paid_currency, paid_at, recorded_at, true
FROM payments
WHERE status = 'succeeded' AND recorded_at - paid_at > interval '1 day'
  AND recorded_at >= :since AND recorded_at < :until AND paid_at < :since
  AND (paid_at < :earlier_since OR recorded_at >= :earlier_closes_at)
"""
"""The payments of a period. What was recorded within a day was known before its month was closed."""
_SOLD: Final = f"""
WITH booked AS ({_BOOKED})
SELECT provider, months, paid_currency, is_late,
       (extract(day FROM booked_at AT TIME ZONE :zone)::int - 1) / 7 AS week,
       count(*) AS count, sum(amount) AS amount, sum(paid_amount) AS paid
FROM booked GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""  # noqa: S608 -- our own statement
_PATH: Final = f"""
WITH booked AS ({_BOOKED}),
path AS (
    SELECT b.user_id, b.amount, c.change_id,
           CASE WHEN c.delivered_at < :closes_at
                THEN greatest(extract(epoch FROM c.delivered_at - b.paid_at), 0) END AS waited
    FROM booked b
    LEFT JOIN subscription_changes c ON c.payment_id = b.payment_id AND c.refund_id IS NULL
        AND c.changed_at >= CAST(:since AS timestamptz) - interval '1 day'
        AND c.changed_at < CAST(:closes_at AS timestamptz) + interval '1 day'
)
SELECT count(DISTINCT user_id) AS payers,
       count(*) FILTER (WHERE change_id IS NULL) AS ungranted,
       coalesce(sum(amount) FILTER (WHERE change_id IS NULL), 0) AS ungranted_amount,
       count(waited) AS measured,
       percentile_disc(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (ORDER BY waited) AS waits
FROM path
"""  # noqa: S608 -- our own statement
"""A payment is written down together with the days that it gives, so these are of about the same time."""
_BACK: Final = """
SELECT p.provider, r.refunded_currency, count(*), sum(r.amount), sum(r.refunded_amount)
FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
WHERE r.status = 'succeeded' AND r.finished_at >= :since AND r.finished_at < :until
GROUP BY 1, 2 ORDER BY 1, 2
"""
_COUNTS: Final = """
SELECT (SELECT count(*) FROM users WHERE registration_date < :until) AS users,
       (SELECT count(*) FROM users
            WHERE registration_date >= :since AND registration_date < :until) AS new_users,
       (SELECT coalesce(sum(amount), 0) FROM payments WHERE status = 'succeeded'
            AND created_at >= :since AND created_at < :until
            AND coalesce(recorded_at, paid_at) < :closes_at) AS by_order_day,
       (SELECT count(*) FROM subscriptions
            WHERE first_paid_at >= :since AND first_paid_at < :until) AS first_paid,
       (SELECT count(*) FROM subscription_changes WHERE payment_id IS NOT NULL AND refund_id IS NULL
            AND changed_at >= :since AND changed_at < :until) AS granted,
       trial.begun AS trials, trial.paid AS trials_paid
FROM (SELECT count(*) AS begun, count(*) FILTER (WHERE s.first_paid_at < :until) AS paid
      FROM subscription_changes c JOIN subscriptions s ON s.subscription_id = c.subscription_id
      WHERE c.cause = 'trial' AND c.changed_at >= :since AND c.changed_at < :until) AS trial
"""
_AFTER: Final = """
    SELECT DISTINCT ON (subscription_id) subscription_id, end_before FROM subscription_changes
    WHERE changed_at >= :{moment} ORDER BY subscription_id, change_id
"""
"""The first change of each subscription since a moment: it tells the end that it had then."""
_ALIVE: Final = """coalesce(
    CASE WHEN {after}.subscription_id IS NULL THEN s.start_date < :{moment} AND s.end_date > :{moment}
         ELSE {after}.end_before > :{moment} END, false)
"""
"""Whether a subscription was active at a moment; what was not changed since then stands as it stood.

So a recent month costs what has happened since, not the whole past.
"""
_STANDING: Final = f"""
WITH after_since AS ({_AFTER.format(moment="since")}), after_until AS ({_AFTER.format(moment="until")}),
state AS MATERIALIZED (
    SELECT s.first_paid_at,
           {_ALIVE.format(after="a", moment="since")} AS at_since,
           {_ALIVE.format(after="b", moment="until")} AS at_until
    FROM subscriptions s
    LEFT JOIN after_since a ON a.subscription_id = s.subscription_id
    LEFT JOIN after_until b ON b.subscription_id = s.subscription_id
),
people AS (
    SELECT at_until, first_paid_at >= :since AS is_new,
           coalesce(at_since AND first_paid_at < :since, false) AS paid_since,
           coalesce(at_until AND first_paid_at < :until, false) AS paid_until
    FROM state
)
SELECT 'people' AS what, NULL::date AS month,
       count(*) FILTER (WHERE at_until) AS a,
       count(*) FILTER (WHERE paid_since AND paid_until) AS b,
       count(*) FILTER (WHERE paid_since AND NOT paid_until) AS c,
       count(*) FILTER (WHERE paid_until AND NOT paid_since AND is_new) AS d,
       count(*) FILTER (WHERE paid_until AND NOT paid_since AND NOT is_new) AS e
FROM people
UNION ALL
SELECT 'cohort', date_trunc('month', first_paid_at AT TIME ZONE :zone)::date,
       count(*), count(*) FILTER (WHERE at_until), 0, 0, 0
FROM state WHERE first_paid_at < :until GROUP BY 2
"""  # noqa: S608 -- our own statement
"""How subscriptions stood at both ends of a period."""
_RECURRING: Final = f"""
WITH after_one AS ({_AFTER.format(moment="one")}), after_other AS ({_AFTER.format(moment="other")}),
state AS (
    SELECT s.subscription_id,
           s.first_paid_at < :one AND {_ALIVE.format(after="a", moment="one")} AS at_one,
           s.first_paid_at < :other AND {_ALIVE.format(after="b", moment="other")} AS at_other
    FROM subscriptions s
    LEFT JOIN after_one a ON a.subscription_id = s.subscription_id
    LEFT JOIN after_other b ON b.subscription_id = s.subscription_id
    WHERE s.first_paid_at IS NOT NULL
),
newest AS (
    SELECT subscription_id, max(change_id) FILTER (WHERE changed_at < :one) AS one,
           max(change_id) FILTER (WHERE changed_at < :other) AS other
    FROM subscription_changes WHERE payment_id IS NOT NULL AND refund_id IS NULL GROUP BY subscription_id
),
wanted AS MATERIALIZED (
    SELECT CASE WHEN at_one THEN newest.one END AS one, CASE WHEN at_other THEN newest.other END AS other
    FROM state JOIN newest ON newest.subscription_id = state.subscription_id WHERE at_one OR at_other
),
counted AS (
    SELECT one AS change_id, true AS at_one, coalesce(one = other, false) AS at_other
    FROM wanted WHERE one IS NOT NULL
    UNION ALL
    SELECT other, false, true FROM wanted WHERE other IS NOT NULL AND one IS DISTINCT FROM other
),
back AS (
    SELECT payment_id, sum(amount) FILTER (WHERE finished_at < :one) AS by_one,
           sum(amount) FILTER (WHERE finished_at < :other) AS by_other
    FROM refunds WHERE status = 'succeeded' GROUP BY payment_id
)
SELECT c.days, sum(p.amount - coalesce(back.by_one, 0)) FILTER (WHERE counted.at_one) AS one,
       sum(p.amount - coalesce(back.by_other, 0)) FILTER (WHERE counted.at_other) AS other
FROM counted
JOIN subscription_changes c ON c.change_id = counted.change_id
JOIN payments p ON p.payment_id = c.payment_id AND p.status = 'succeeded'
LEFT JOIN back ON back.payment_id = p.payment_id
GROUP BY c.days
"""  # noqa: S608 -- our own statement
"""What was paid last for each subscription that is active at one or at another moment, by the days it bought.

Two moments at once, and one pass over each table: to look up each subscription's last payment by its number
takes ten times as long. An index has all that is needed of ``payments``.
"""


@dataclass(frozen=True, slots=True)
class Sold:
    """What was sold alike. ``amount`` is in kopeks, ``paid`` in the smallest unit of ``currency``."""

    provider: str
    months: int
    currency: str
    count: int
    amount: int
    paid: int


@dataclass(frozen=True, slots=True)
class GivenBack:
    provider: str
    currency: str
    count: int
    amount: int
    paid: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """Those who first paid in ``month``, and how many of them are active at the period's end."""

    month: date
    size: int
    active: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one period; money in kopeks, times in seconds."""

    sold: list[Sold]
    given_back: list[GivenBack]
    weeks: list[int]
    """What was sold, by the month's weeks."""
    late_count: int
    """Payments of earlier months that were learned of after these were closed; among ``sold``."""
    late_amount: int
    by_order_day: int
    """What the guide's query counts: by the day of the order."""
    payers: int
    ungranted: int
    """Payments for which no days were given."""
    ungranted_amount: int
    measured: int
    """Payments of which it is known when the panel had what they bought."""
    waits: list[float]
    """From paid to delivered: half waited no longer, 95 of a hundred, all. Empty where nothing is known."""
    users: int
    new_users: int
    trials: int
    trials_paid: int
    """Of those begun in the period, paid for before its end."""
    first_paid: int
    renewals: int
    active: int
    """At the end, trials and gifts too; those below are of subscriptions that were ever paid for."""
    stayed: int
    lost: int
    new: int
    returned: int
    cohorts: list[Cohort]
    monthly: int
    """Monthly recurring revenue at the end."""

    @property
    def gross(self) -> int:
        return sum(one.amount for one in self.sold)

    @property
    def count(self) -> int:
        return sum(one.count for one in self.sold)

    @property
    def back(self) -> int:
        return sum(one.amount for one in self.given_back)

    @property
    def net(self) -> int:
        return self.gross - self.back

    @property
    def average(self) -> int | None:
        """Of a payment."""
        return rounded(Fraction(self.gross, self.count)) if self.count else None

    @property
    def paid_at_start(self) -> int:
        return self.stayed + self.lost

    @property
    def paid_at_end(self) -> int:
        return self.stayed + self.new + self.returned

    @property
    def churn(self) -> Fraction | None:
        """Of those who were active at the start, who are not at the end; None where there was nobody."""
        return Fraction(self.lost, self.paid_at_start) if self.paid_at_start else None

    @property
    def trial_share(self) -> Fraction | None:
        return Fraction(self.trials_paid, self.trials) if self.trials else None

    @property
    def per_customer(self) -> int | None:
        """ARPU: net revenue for each paid subscription, the mean of both ends."""
        per = self._per_customer()
        return None if per is None else rounded(per)

    @property
    def lifetime(self) -> int | None:
        """LTV: ARPU by churn; None where nobody has gone, or nobody was there to go."""
        per = self._per_customer()
        return None if per is None or not self.churn else rounded(per / self.churn)

    def _per_customer(self) -> Fraction | None:
        both = self.paid_at_start + self.paid_at_end
        return Fraction(2 * self.net, both) if both else None


def rounded(exact: Fraction) -> int:
    """To the nearest whole, halves up."""
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


async def collect(session: Session, periods: Sequence[Period], zone: ZoneInfo) -> list[Figures]:
    """Count one or two periods; a step, it only reads."""
    monthly = await _recurring(session, periods)
    return [
        await _collect(session, period, zone, monthly=each)
        for period, each in zip(periods, monthly, strict=False)
    ]


async def _recurring(session: Session, periods: Sequence[Period]) -> tuple[int, int]:
    """Monthly recurring revenue at the end of the first and of the last."""
    moments = {"one": periods[0].until, "other": periods[-1].until}
    rows = (await session.execute(text(_RECURRING), moments)).all()

    def of(name: str) -> int:
        amounts = ((getattr(row, name), row.days) for row in rows)
        parts = (Fraction(roubles(sum_).minor * MONTH_DAYS, days) for sum_, days in amounts if sum_)
        return rounded(sum(parts, Fraction()))

    return of("one"), of("other")


async def _collect(session: Session, period: Period, zone: ZoneInfo, *, monthly: int) -> Figures:
    given = {
        "since": period.since,
        "until": period.until,
        "closes_at": period.closes_at,
        "earlier_since": period.earlier_since,
        "earlier_closes_at": period.earlier_closes_at,
        "zone": zone.key,
    }

    async def rows(sql: str) -> Sequence[Any]:
        used = {name: value for name, value in given.items() if f":{name}" in sql}
        return (await session.execute(text(sql), used)).all()

    sold = await rows(_SOLD)
    [path] = await rows(_PATH)
    [counts] = await rows(_COUNTS)
    standing = await rows(_STANDING)
    [people] = [row for row in standing if row.what == "people"]
    return Figures(
        sold=_sold(sold),
        given_back=[
            GivenBack(provider, currency, count, roubles(amount).minor, _minor(paid, currency))
            for provider, currency, count, amount, paid in await rows(_BACK)
        ],
        weeks=[sum(roubles(row.amount).minor for row in sold if row.week == week) for week in range(WEEKS)],
        late_count=sum(row.count for row in sold if row.is_late),
        late_amount=sum(roubles(row.amount).minor for row in sold if row.is_late),
        by_order_day=roubles(counts.by_order_day).minor,
        payers=path.payers,
        ungranted=path.ungranted,
        ungranted_amount=roubles(path.ungranted_amount).minor,
        measured=path.measured,
        waits=[float(wait) for wait in path.waits or [] if wait is not None],
        users=counts.users,
        new_users=counts.new_users,
        trials=counts.trials,
        trials_paid=counts.trials_paid,
        first_paid=counts.first_paid,
        renewals=counts.granted - counts.first_paid,
        active=people.a,
        stayed=people.b,
        lost=people.c,
        new=people.d,
        returned=people.e,
        cohorts=sorted(
            (Cohort(row.month, row.a, row.b) for row in standing if row.what == "cohort"),
            key=lambda one: one.month,
        ),
        monthly=monthly,
    )


def _sold(rows: Sequence[Any]) -> list[Sold]:
    """The weeks, and what was late, added up."""
    sums: dict[tuple[str, int, str], tuple[int, int, int]] = {}
    for row in rows:
        key = (row.provider, row.months, row.paid_currency)
        count, amount, paid = sums.get(key, (0, 0, 0))
        sums[key] = (
            count + row.count,
            amount + roubles(row.amount).minor,
            paid + _minor(row.paid, row.paid_currency),
        )
    return [Sold(*key, *found) for key, found in sums.items()]


def _minor(amount: Decimal, currency: str) -> int:
    return Money.parse(str(amount), currency).minor
