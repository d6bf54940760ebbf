"""Rules of money: roubles for the books, when to ask again, which moves there are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from getpro.kit.money import Money
from getpro.kit.states import sources_of
from getpro.payments.rules import PENDING_FOR, accounting_amount, next_poll
from getpro.payments.states import MOVES, PaymentStatus

MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRICE, STARS = Money(19900, "RUB"), Money(120, "XTR")
AMOUNT = st.integers(1, 10**9)


@pytest.mark.parametrize(
    ("paid", "roubles"),
    [
        (Money(120, "XTR"), 19900),
        (Money(60, "XTR"), 9950),
        (Money(1, "XTR"), 166),
        (Money(121, "XTR"), 20066),
        (Money(20000, "RUB"), 20000),
        (Money(1, "RUB"), 1),
    ],
)
def test_the_books_are_in_roubles_at_the_rate_of_the_order(paid: Money, roubles: int) -> None:
    assert accounting_amount(paid, asked=STARS, price=PRICE) == Money(roubles, "RUB")


def test_half_a_kopek_is_rounded_up() -> None:
    assert accounting_amount(Money(1, "XTR"), asked=Money(2, "XTR"), price=Money(5, "RUB")) == Money(3, "RUB")


@given(price=AMOUNT, asked=AMOUNT, paid=AMOUNT)
def test_what_was_asked_is_the_price_and_more_is_never_less(price: int, asked: int, paid: int) -> None:
    def booked(minor: int) -> int:
        amount = Money(minor, "XTR")
        return accounting_amount(amount, asked=Money(asked, "XTR"), price=Money(price, "RUB")).minor

    assert booked(asked) == price
    assert booked(paid) <= booked(paid + 1)
    assert abs(booked(paid) * asked * 2 - price * paid * 2) <= asked


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (timedelta(0), timedelta(seconds=20)),
        (timedelta(minutes=9, seconds=59), timedelta(seconds=20)),
        (timedelta(minutes=10), timedelta(minutes=3)),
        (timedelta(hours=1, minutes=59), timedelta(minutes=3)),
        (timedelta(hours=2), timedelta(minutes=30)),
        (PENDING_FOR, timedelta(minutes=30)),
    ],
)
def test_an_order_is_asked_for_often_at_first_and_seldom_later(age: timedelta, pause: timedelta) -> None:
    assert next_poll(MADE, now=MADE + age) == MADE + age + pause


@given(st.timedeltas(timedelta(0), PENDING_FOR), st.timedeltas(timedelta(0), PENDING_FOR))
def test_the_pauses_never_grow_shorter(one: timedelta, other: timedelta) -> None:
    younger, older = sorted((MADE + one, MADE + other))
    assert next_poll(MADE, now=younger) - younger <= next_poll(MADE, now=older) - older


def test_every_status_has_its_row_and_what_is_paid_stays_so() -> None:
    assert set(MOVES) == set(PaymentStatus)
    assert {source: sorted(targets) for source, targets in MOVES.items()} == {
        "pending": ["canceled", "succeeded"],
        "canceled": ["succeeded"],
        "succeeded": [],
    }


@pytest.mark.parametrize("target", PaymentStatus)
def test_the_sources_of_a_status_are_those_that_may_become_it(target: PaymentStatus) -> None:
    assert sources_of(target, MOVES) == [source for source in PaymentStatus if target in MOVES[source]]
