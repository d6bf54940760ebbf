"""Periods: days are added to what is left, or counted from now."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from getpro.subscriptions.rules import extended_end

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
