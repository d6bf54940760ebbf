"""A year of a believable business: customers who come, try, pay, renew, ask their money back, and leave.

Seeded, so that each number is known beforehand: whoever lives it writes its tally, month by month, as it
goes. The rows are those that the shop itself would have written.
"""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

PLANS: Final = {1: (30, 19900, 120), 3: (90, 49900, 300), 6: (180, 89900, 540), 12: (365, 159000, 950)}
"""By months: days, kopeks, stars."""
_ENOUGH: Final = timedelta(seconds=1)
_TRY, _BUY, _RENEW, _REGRET, _LEARNED_LATE = 0.7, 0.4, 0.75, 0.0006, 0.01
"""How often a newcomer does the first two, a customer at a period's end the third, each day the fourth."""
_HOURS: Final = (2, 1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 6, 6, 6, 6, 6, 7, 8, 9, 9, 8, 7, 5, 3)
_FRIDAY: Final = 4
_DIGITS: Final = {"RUB": 2, "XTR": 0}


@dataclass(frozen=True, slots=True)
class Deal:
    """A payment; ``amount`` in kopeks, ``paid`` in the smallest unit of ``currency``."""

    number: int
    user: int
    provider: str
    months: int
    days: int
    amount: int
    currency: str
    paid: int
    ordered_at: datetime
    paid_at: datetime
    recorded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Back:
    """Money given back of a deal."""

    number: int
    deal: Deal
    amount: int
    paid: int
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """Of a customer's one subscription."""

    user: int
    at: datetime
    cause: str
    deal: Deal | None
    back: Back | None
    days: int
    end_before: datetime | None
    end_after: datetime
    delivered_at: datetime | None


@dataclass
class History:
    """What has happened, in the order in which it did; each method is one thing that happens."""

    users: dict[int, datetime] = field(default_factory=dict)
    deals: list[Deal] = field(default_factory=list)
    backs: list[Back] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    ends: dict[int, datetime] = field(default_factory=dict)

    def join(self, user: int, at: datetime) -> None:
        self.users[user] = at

    def give(self, user: int, at: datetime, days: int, *, cause: str, waited: timedelta = _ENOUGH) -> None:
        """A trial or a gift."""
        self._extend(user, at, cause, None, days, at + waited)

    def pay(
        self,
        user: int,
        at: datetime,
        months: int,
        *,
        provider: str = "yookassa",
        learned: timedelta | None = _ENOUGH,
        waited: timedelta | None = _ENOUGH,
        amount: int | None = None,
        ordered: timedelta = timedelta(minutes=1),
    ) -> Deal:
        """``at`` is when it is learned of; ``learned`` after it was paid, None: as rows of old releases.

        ``waited`` from then on until the panel has it; None: it never has.
        """
        days, price, stars = PLANS[months]
        price = price if amount is None else amount
        currency, paid = ("XTR", stars) if provider == "stars" else ("RUB", price)
        paid_at = at - (learned or timedelta())
        deal = Deal(
            number=len(self.deals) + 1,
            user=user,
            provider=provider,
            months=months,
            days=days,
            amount=price,
            currency=currency,
            paid=paid,
            ordered_at=paid_at - ordered,
            paid_at=paid_at,
            recorded_at=None if learned is None else at,
        )
        self.deals.append(deal)
        self._extend(user, at, "payment", deal, days, None if waited is None else at + waited)
        return deal

    def give_back(self, deal: Deal, at: datetime, *, hundredths: int = 100) -> Back:
        """A share of the money goes back, and as much of the days as lies ahead."""
        amount, paid = deal.amount * hundredths // 100, deal.paid * hundredths // 100
        back = Back(len(self.backs) + 1, deal, amount, paid, at)
        self.backs.append(back)
        end = self.ends[deal.user]
        taken = min(timedelta(days=deal.days * hundredths // 100), max(end - at, timedelta()))
        if taken:
            after = end - taken
            self.ends[deal.user] = after
            days = -(taken.days or 1)
            self.changes.append(Change(deal.user, at, "refund", deal, back, days, end, after, at + _ENOUGH))
        return back

    def _extend(
        self,
        user: int,
        at: datetime,
        cause: str,
        deal: Deal | None,
        days: int,
        delivered_at: datetime | None,
    ) -> None:
        before = self.ends.get(user)
        start = before if before is not None and before > at else at
        self.ends[user] = start + timedelta(days=days)
        self.changes.append(Change(user, at, cause, deal, None, days, before, self.ends[user], delivered_at))


@dataclass
class Tally:
    """What a month brought, counted while it was lived; money in kopeks."""

    gross: int = 0
    count: int = 0
    back: int = 0
    new_users: int = 0
    trials: int = 0
    first_paid: int = 0
    renewals: int = 0
    late: int = 0


def live(
    seed: int, zone: ZoneInfo, *, since: date, days: int = 365, newcomers: int = 4
) -> tuple[History, dict[date, Tally]]:
    """So many days; ``newcomers`` come on the first of them, twice as many on the last."""
    chance, history = random.Random(seed), History()  # noqa: S311 -- the same seed, the same year
    tallies: dict[date, Tally] = defaultdict(Tally)
    waiting: dict[date, list[int]] = defaultdict(list)
    """Who comes to pay on a day."""
    paid_before: set[int] = set()
    last: dict[int, Deal] = {}
    gone: set[int] = set()
    """Numbers of the deals of which money was given back."""
    for number in range(days):
        day = since + timedelta(days=number)
        tally = tallies[day.replace(day=1)]
        for moment in _moments(chance, day, zone, round(newcomers * (1 + number / days) * _week(day))):
            user = len(history.users) + 1
            history.join(user, moment)
            tally.new_users += 1
            after = 0
            if chance.random() < _TRY:
                history.give(user, moment + timedelta(seconds=30), 3, cause="trial")
                tally.trials += 1
                after = chance.choice((2, 3, 3, 4))
            if chance.random() < _BUY:
                waiting[day + timedelta(days=after + 1)].append(user)
        buyers = waiting.pop(day, [])
        for user, moment in zip(buyers, _moments(chance, day, zone, len(buyers)), strict=True):
            deal = _buy(chance, history, user, moment)
            last[user] = deal
            booked = _month_of(deal, zone)
            tallies[booked].gross += deal.amount
            tallies[booked].count += 1
            tallies[booked].late += booked != _month(deal.paid_at, zone)
            if user in paid_before:
                tally.renewals += 1
            else:
                tally.first_paid += 1
                paid_before.add(user)
            if chance.random() < _RENEW:
                comes = history.ends[user].astimezone(zone).date() + timedelta(days=chance.randint(-3, 6))
                waiting[max(comes, day + timedelta(days=1))].append(user)
        for user, moment in zip(last, _moments(chance, day, zone, len(last)), strict=True):
            deal = last[user]
            is_asked = chance.random() < _REGRET and deal.number not in gone
            if is_asked and (deal.recorded_at or deal.paid_at) < moment:
                gone.add(deal.number)
                back = history.give_back(deal, moment, hundredths=chance.choice((100, 50)))
                tally.back += back.amount
    history.changes.sort(key=lambda one: one.at)
    return history, dict(tallies)


def _buy(chance: random.Random, history: History, user: int, moment: datetime) -> Deal:
    is_late = chance.random() < _LEARNED_LATE
    learned = timedelta(days=chance.randint(2, 12)) if is_late else timedelta(seconds=chance.randint(1, 40))
    return history.pay(
        user,
        moment,
        chance.choices((1, 3, 6, 12), (60, 22, 11, 7))[0],
        provider=chance.choices(("yookassa", "cryptopay", "stars"), (70, 12, 18))[0],
        learned=learned,
        waited=timedelta(seconds=chance.choice((1, 1, 2, 3, 5, 40))),
    )


def _moments(chance: random.Random, day: date, zone: ZoneInfo, count: int) -> list[datetime]:
    """Moments of a day, the evening more often, oldest first."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    hours = chance.choices(range(24), _HOURS, k=count)
    return sorted(midnight + timedelta(hours=hour, seconds=chance.randrange(3600)) for hour in hours)


def _week(day: date) -> float:
    """Of a weekend more come."""
    return 1.3 if day.weekday() > _FRIDAY else 1


def _month(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date().replace(day=1)


def _month_of(deal: Deal, zone: ZoneInfo) -> date:
    """To which month's report it belongs: learned of after the third day of the next, to that."""
    month = _month(deal.paid_at, zone)
    if deal.recorded_at is None:
        return month
    closes = (month + timedelta(days=31)).replace(day=4)
    learned = deal.recorded_at.astimezone(zone)
    return month if learned.date() < closes else learned.date().replace(day=1)


def write(url: str, history: History) -> None:
    """Into a migrated database without customers, as the shop would have written it."""
    with psycopg.connect(url) as connection:
        cursor = connection.cursor()
        _copy(cursor, "users (user_id, first_name, registration_date)", _users(history))
        _copy(
            cursor,
            "payments (payment_id, order_key, user_id, provider, amount, status, created_at, paid_at,"
            " recorded_at, charge_id, days, subscription_duration_months, asked_amount, asked_currency,"
            " paid_amount, paid_currency)",
            _payments(history),
        )
        _copy(
            cursor,
            "refunds (refund_id, payment_id, refund_key, status, origin, amount, refunded_amount,"
            " refunded_currency, days, asked_by, reason, created_at, finished_at)",
            _refunds(history),
        )
        _copy(
            cursor,
            "subscriptions (subscription_id, user_id, provider, is_active, start_date, end_date,"
            " first_paid_at)",
            _subscriptions(history),
        )
        _copy(
            cursor,
            "subscription_changes (subscription_id, changed_at, cause, payment_id, refund_id, days,"
            " end_before, end_after, delivered_at)",
            _changes(history),
        )


def _copy(cursor: "psycopg.Cursor[Any]", into: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with cursor.copy(f"COPY {into} FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _users(history: History) -> Iterable[tuple[Any, ...]]:
    return ((user, f"Клиент {user}", at) for user, at in history.users.items())


def _payments(history: History) -> Iterable[tuple[Any, ...]]:
    for deal in history.deals:
        amount, paid = _major(deal.amount, "RUB"), _major(deal.paid, deal.currency)
        yield (
            *(deal.number, UUID(int=deal.number), deal.user, deal.provider, amount, "succeeded"),
            *(deal.ordered_at, deal.paid_at, deal.recorded_at, f"c{deal.number}", deal.days, deal.months),
            *(paid, deal.currency, paid, deal.currency),
        )


def _refunds(history: History) -> Iterable[tuple[Any, ...]]:
    for back in history.backs:
        yield (
            *(back.number, back.deal.number, UUID(int=back.number), "succeeded", "shop"),
            *(_major(back.amount, "RUB"), _major(back.paid, back.deal.currency), back.deal.currency),
            *(1, "ольга", "просил", back.finished_at, back.finished_at),
        )


def _subscriptions(history: History) -> Iterable[tuple[Any, ...]]:
    first: dict[int, datetime] = {}
    first_paid: dict[int, datetime] = {}
    for change in history.changes:
        first.setdefault(change.user, change.at)
        if change.deal is not None and change.back is None:
            first_paid.setdefault(change.user, change.at)
    for user, end in history.ends.items():
        yield user, user, "yookassa", False, min(first[user], end), end, first_paid.get(user)


def _changes(history: History) -> Iterable[tuple[Any, ...]]:
    for one in history.changes:
        deal = None if one.deal is None else one.deal.number
        back = None if one.back is None else one.back.number
        span = (one.end_before, one.end_after, one.delivered_at)
        yield one.user, one.at, one.cause, deal, back, one.days, *span


def _major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-_DIGITS[currency])
