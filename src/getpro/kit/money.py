"""Money as integers with a currency; text and ``numeric`` are met only at the edges."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

MINOR_DIGITS: Final = {
    **dict.fromkeys(["RUB", "EUR", "USD", "KZT", "BYN", "UAH", "UZS", "TRY", "INR", "MDL", "AZN", "AMD"], 2),
    "XTR": 0,
}
"""Digits after the point by currency: those that YooKassa names, and Stars (XTR), which are whole."""


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies were added or compared."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other} do not mix")


class NotMoney(ValueError):
    """A text is no amount of its currency: no number, too many digits, or an unknown currency."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the smallest unit of its currency: Money(19900, "RUB") is 199.00 roubles."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> "Money":
        """Read a provider's decimal text (``"199.00"``) or a table's ``Decimal`` turned into text.

        Raises NotMoney for text that is no finite number, has more digits than the currency, or
        whose currency is unknown: an amount is never rounded on its way in.
        """
        digits = _digits(currency)
        try:
            scaled = Decimal(text).scaleb(digits)
            minor = int(scaled)
        except (InvalidOperation, ValueError, OverflowError) as error:
            raise NotMoney(f"{text!r} is no amount") from error
        if minor != scaled:
            raise NotMoney(f"{text!r} has more digits than {currency} allows")
        return cls(minor, currency)

    @property
    def value(self) -> Decimal:
        """The amount in major units with exactly the currency's digits: for ``numeric`` and for providers."""
        return Decimal(self.minor).scaleb(-_digits(self.currency))

    def __add__(self, other: "Money") -> "Money":
        self._require_same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._require_same(other)
        return Money(self.minor - other.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._require_same(other)
        return self.minor < other.minor

    def __str__(self) -> str:
        return f"{self.value} {self.currency}"

    def _require_same(self, other: "Money") -> None:
        if other.currency != self.currency:
            raise CurrencyMismatch(self.currency, other.currency)


def roubles(amount: Decimal) -> Money:
    """The amount in a column that holds roubles; raises NotMoney for parts of a kopek."""
    return Money.parse(str(amount), "RUB")


def _digits(currency: str) -> int:
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise NotMoney(f"the currency {currency!r} is unknown") from None
