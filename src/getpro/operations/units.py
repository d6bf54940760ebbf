"""Figures in words: sizes, counts, rates."""

from dataclasses import dataclass
from typing import Final

NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_WHOLE: Final = 100
"""From here on a scaled figure needs no digit after the comma."""


@dataclass(frozen=True, slots=True)
class Unit:
    """``names`` of the figure itself, of ``base`` of it, of ``base`` of those …; ``after`` follows any."""

    base: int
    names: tuple[str, ...]
    after: str = ""
    whole_until: float = 0
    """Up to here it is written out: 12 345."""
    digits: int = 1
    """After the comma, of a small one."""

    def scale(self, value: float) -> tuple[float, str]:
        """By what to divide figures of that size, and what they are then called, without what follows."""
        power = 0
        while abs(value) >= max(self.whole_until, self.base ** (power + 1)) and power < len(self.names) - 1:
            power += 1
        return float(self.base**power), self.names[power]

    def words(self, value: float, *, sign: bool = False) -> str:
        """``12,4 ГБ``, ``3 в секунду``; with ``sign`` ``+12,4 ГБ``."""
        return NO_BREAK.join(filter(None, (self.short(value, sign=sign), self.after)))

    def short(self, value: float, *, sign: bool = False) -> str:
        """The same without what follows any."""
        divisor, name = self.scale(value)
        scaled = value / divisor
        digits = 0 if abs(scaled) >= _WHOLE or (divisor == 1 and self.digits == 1) else self.digits
        rounded = round(scaled, digits) + 0.0  # or there would be a negative nothing
        number = f"{rounded:{'+' if sign and rounded else ''},.{digits}f}"
        if "." in number:
            number = number.rstrip("0").rstrip(".")
        number = number.replace(",", NO_BREAK).replace(".", ",").replace("-", "−")
        return f"{number}{NO_BREAK}{name}" if name else number


BYTES: Final = Unit(1024, ("Б", "КБ", "МБ", "ГБ", "ТБ"))
COUNT: Final = Unit(1000, ("", "тыс", "млн", "млрд"), whole_until=100_000)
PER_SECOND: Final = Unit(1000, ("", "тыс"), "в секунду", digits=2)
CORES: Final = Unit(1000, ("",), digits=2)
SECONDS: Final = Unit(1000, ("с",))
