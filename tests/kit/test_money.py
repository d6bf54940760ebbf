"""Amounts on their way in and out: nothing is rounded, nothing mixed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from getpro.kit.money import MINOR_DIGITS, CurrencyMismatch, Money, NotMoney

MONEY = st.builds(Money, st.integers(-(10**15), 10**15), st.sampled_from(sorted(MINOR_DIGITS)))
ROUBLES = st.builds(Money, st.integers(-(10**15), 10**15), st.just("RUB"))


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("199.00", "RUB", 19900),
        ("199", "RUB", 19900),
        ("0.01", "RUB", 1),
        ("-0.01", "RUB", -1),
        ("199.000000", "RUB", 19900),
        ("1E+2", "USD", 10000),
        ("120", "XTR", 120),
        ("120.000000", "XTR", 120),
    ],
)
def test_a_text_is_read_to_the_minor_unit(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("199.001", "RUB"),
        ("1.5", "XTR"),
        ("", "RUB"),
        ("много", "RUB"),
        ("1,50", "RUB"),
        ("NaN", "RUB"),
        ("Infinity", "RUB"),
        ("1", "GBP"),
        ("1", "rub"),
    ],
)
def test_what_is_no_amount_of_its_currency_is_refused(text: str, currency: str) -> None:
    with pytest.raises(NotMoney):
        Money.parse(text, currency)


@given(MONEY)
def test_an_amount_written_and_read_is_the_same(money: Money) -> None:
    assert Money.parse(str(money.value), money.currency) == money
    assert -money.value.as_tuple().exponent == MINOR_DIGITS[money.currency]  # type: ignore[operator] # finite


@given(st.text(), st.sampled_from(sorted(MINOR_DIGITS)))
def test_any_text_is_an_amount_or_refused(text: str, currency: str) -> None:
    try:
        read = Money.parse(text, currency)
    except NotMoney:
        return
    assert read.value == Decimal(text)


@given(ROUBLES, ROUBLES)
def test_what_is_added_can_be_taken_away(one: Money, other: Money) -> None:
    assert one + other - other == one
    assert (one < other) is (one.minor < other.minor)


def test_currencies_do_not_mix() -> None:
    roubles, stars = Money(1, "RUB"), Money(1, "XTR")
    for mixed in (lambda: roubles + stars, lambda: roubles - stars, lambda: roubles < stars):
        with pytest.raises(CurrencyMismatch):
            mixed()
