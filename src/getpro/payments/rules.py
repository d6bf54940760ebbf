"""Decisions about money; pure."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from getpro.kit.money import Money

CREATE_REPEATED_FOR: Final = timedelta(hours=23)
"""YooKassa forgets an idempotence key after 24 h; after that the same call would make a second payment."""
FIRST_POLL_AFTER: Final = timedelta(seconds=15)
PENDING_FOR: Final = timedelta(days=3)
"""After this a pending order is canceled on our side; its money is still taken if it comes."""


def accounting_amount(paid: Money, *, asked: Money, price: Money) -> Money:
    """``paid`` in roubles, at the rate at which the order was priced: ``price`` for ``asked``.

    Rounds half up to the kopek. What was paid in roubles is taken as it is.
    """
    if paid.currency == price.currency:
        return paid
    exact = Decimal(price.minor) * paid.minor / asked.minor
    return Money(int(exact.quantize(Decimal(1), ROUND_HALF_UP)), price.currency)


def share(whole: int, *, part: Money, of: Money) -> int:
    """``whole`` in the proportion of ``part`` to ``of``, rounded half up: the kopeks that were given back.

    Asked with growing parts, the differences sum up to the whole.
    """
    exact = Decimal(whole) * part.minor / of.minor
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def days_of(part: Money, *, of: Money, days: int) -> int:
    """The whole days that ``part`` of a price has bought, rounded down: in the customer's favour."""
    return days * part.minor // of.minor


def days_back(part: Money, *, of: Money, free: Money, days: int) -> int:
    """The whole days that go back once ``part`` of what was paid has: the first ``free`` of it costs none."""
    zero = Money(0, of.currency)
    return days_of(max(part - free, zero), of=of - free, days=days)


def overpaid(paid: Money, *, asked: Money) -> Money:
    """What came beyond ``asked``, and bought nothing; zero where it cannot be told, in another currency."""
    zero = Money(0, paid.currency)
    return max(paid - asked, zero) if paid.currency == asked.currency else zero


def next_poll(created_at: datetime, *, now: datetime) -> datetime:
    """When a pending payment is asked for next: often while the customer waits, then seldom."""
    age = now - created_at
    if age < timedelta(minutes=10):
        return now + timedelta(seconds=20)
    if age < timedelta(hours=2):
        return now + timedelta(minutes=3)
    return now + timedelta(minutes=30)
