"""Periods: days are added to what is left, or counted from now."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from getpro.subscriptions.rules import Change, extended_end, unused

NOW = datetime(2026, 3, 1, 12, 0, 0, 654321, tzinfo=UTC)
SECOND = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = st.integers(1, 3650)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- the strategy adds the zone
ENDS = MOMENTS.map(lambda moment: moment.replace(microsecond=0))


@pytest.mark.parametrize(
    ("end", "days", "after"),
    [
        (None, 30, SECOND + timedelta(days=30)),
        (SECOND - timedelta(days=1), 30, SECOND + timedelta(days=30)),
        (SECOND, 30, SECOND + timedelta(days=30)),
        (SECOND + timedelta(seconds=1), 30, SECOND + timedelta(days=30, seconds=1)),
        (SECOND + timedelta(days=5), 90, SECOND + timedelta(days=95)),
    ],
)
def test_days_are_added_to_what_is_left_or_counted_from_now(
    end: datetime | None, days: int, after: datetime
) -> None:
    assert extended_end(end, days, now=NOW) == after


@given(st.none() | ENDS, DAYS, DAYS, MOMENTS)
def test_two_purchases_give_the_same_end_in_either_order(
    end: datetime | None, one: int, other: int, now: datetime
) -> None:
    first = extended_end(extended_end(end, one, now=now), other, now=now)
    assert first == extended_end(extended_end(end, other, now=now), one, now=now)
    assert first == extended_end(end, one + other, now=now)


@given(st.none() | ENDS, DAYS, MOMENTS)
def test_an_end_has_whole_seconds_and_nobody_loses_any(
    end: datetime | None, days: int, now: datetime
) -> None:
    after = extended_end(end, days, now=now)
    assert after.microsecond == 0
    assert after >= max(end or now, now.replace(microsecond=0)) + timedelta(days=days) - timedelta(seconds=1)


DAY = timedelta(days=1)


class History:
    """A customer who buys and is given money back, by the same steps as the shop."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.now = NOW

    @property
    def end(self) -> datetime | None:
        return self.changes[-1].end_after if self.changes else None

    def buy(self, payment_id: int, days: int) -> None:
        after = extended_end(self.end, days, now=self.now)
        self.changes.append(Change(payment_id, days, self.end, after))

    def left(self, payment_id: int) -> timedelta:
        return unused(self.changes, payment_id, now=self.now)

    def refund(self, payment_id: int, days: int) -> timedelta:
        taken = min(days * DAY, self.left(payment_id))
        if taken:
            assert self.end is not None
            self.changes.append(Change(payment_id, -days, self.end, self.end - taken))
        return taken


def test_what_lies_ahead_is_counted_in_the_purchases_own_period() -> None:
    alice = History()
    alice.buy(1, 30)
    alice.buy(2, 90)
    assert (alice.left(1), alice.left(2), alice.left(3)) == (30 * DAY, 90 * DAY, timedelta())
    alice.now += 10 * DAY
    assert (alice.left(1), alice.left(2)) == (20 * DAY, 90 * DAY)
    alice.now += 50 * DAY
    assert (alice.left(1), alice.left(2)) == (timedelta(), 60 * DAY)


def test_a_period_that_was_shortened_moves_those_behind_it_and_none_before() -> None:
    alice = History()
    for payment_id in (1, 2, 3):
        alice.buy(payment_id, 30)
    alice.refund(2, 15)
    alice.now += 40 * DAY
    assert [alice.left(payment_id) for payment_id in (1, 2, 3)] == [timedelta(), 5 * DAY, 30 * DAY]


def test_a_period_bought_after_a_pause_is_nobody_elses() -> None:
    alice = History()
    alice.buy(1, 30)
    alice.now += 40 * DAY
    alice.buy(2, 30)
    assert alice.refund(1, 30) == timedelta()
    assert alice.left(2) == 30 * DAY


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.integers(1, 400)),
        st.tuples(st.just("refund"), st.integers(0, 12)),
        st.tuples(st.just("part"), st.integers(0, 12)),
        st.tuples(st.just("wait"), st.integers(0, 5_000_000)),
    ),
    max_size=25,
)


@given(STEPS)
def test_whatever_is_bought_and_given_back_the_end_is_what_lies_ahead_of_all_purchases(
    steps: list[tuple[str, int]],
) -> None:
    alice, bought = History(), 0
    for step, number in steps:
        if step == "buy":
            alice.buy(bought, number)
            bought += 1
        elif step == "wait":
            alice.now += timedelta(seconds=number)
        else:
            alice.refund(number, 10_000 if step == "refund" else 3)
            assert step == "part" or alice.left(number) == timedelta()
        whole = alice.now.replace(microsecond=0)
        ahead = sum((alice.left(payment_id) for payment_id in range(bought)), timedelta())
        assert max((alice.end or whole) - whole, timedelta()) == ahead
