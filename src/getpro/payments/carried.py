"""An order as it travels with its payment: enough to write it again where the database has lost it.

Source: docs/decisions/0022-back-in-time.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from getpro.kit.money import Money

LONGEST: Final = 128
"""Bytes, what Telegram takes as an invoice's payload; the others take more."""


@dataclass(frozen=True, slots=True)
class CarriedOrder:
    """Written as its key, a colon, and the rest in hexadecimal: as short as it must be."""

    order_key: UUID
    bot_id: int
    """Whose order it is: several shops may share an account at a provider."""
    user_id: int
    language: str
    plan_id: int
    days: int
    duration_months: int
    price: Money
    """In roubles."""
    asked: Money
    created_at: datetime
    """Whole seconds."""

    def __str__(self) -> str:
        numbers = (
            *(self.bot_id, self.user_id, self.plan_id, self.days, self.duration_months),
            *(self.price.minor, self.asked.minor, int(self.created_at.timestamp())),
        )
        written = ":".join(f"{number:x}" for number in numbers)
        return f"{self.order_key}:{written}:{self.asked.currency}:{self.language[:2]}"

    @classmethod
    def parse(cls, written: Any) -> "CarriedOrder | None":
        """None for anything else, such as the bare key that older releases have sent."""
        try:
            key, *numbers, currency, language = written.split(":")
            bot_id, user_id, plan_id, days, months, price, asked, created = (int(one, 16) for one in numbers)
            return cls(
                order_key=UUID(key),
                bot_id=bot_id,
                user_id=user_id,
                language=language,
                plan_id=plan_id,
                days=days,
                duration_months=months,
                price=Money(price, "RUB"),
                asked=Money(asked, currency),
                created_at=datetime.fromtimestamp(created, UTC),
            )
        except (AttributeError, TypeError, ValueError, OverflowError):
            return None


def order_key_in(written: Any) -> UUID | None:
    """Our id in what an object carries for us; None for anything else: it may be another shop's object."""
    try:
        return UUID(written.partition(":")[0])
    except (TypeError, ValueError, AttributeError):
        return None
