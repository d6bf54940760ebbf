"""Figures as people read them."""

from decimal import Decimal
from fractions import Fraction


def roubles(value: Decimal) -> str:
    """``12 345 ₽``; kopeks only where there are some."""
    return f"{grouped(value).removesuffix(',00')}\u00a0₽"


def grouped(value: Decimal) -> str:
    """``12 345,60``."""
    return f"{value:,.2f}".replace(",", "\u00a0").replace(".", ",").replace("-", "−")


def whole(value: int) -> str:
    """``12 345``."""
    return f"{value:,}".replace(",", "\u00a0").replace("-", "−")


def share(value: Fraction) -> str:
    """``4,2 %``."""
    return f"{float(value) * 100:.1f}\u00a0%".replace(".", ",").replace(",0\u00a0", "\u00a0")


def change(now: Decimal, before: Decimal) -> str:
    """``+12 %``; without a before, words."""
    if not before:
        return "сравнить не с чем"
    return f"{(now / before - 1) * 100:+.0f} %".replace("-", "−")
