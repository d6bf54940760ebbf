"""A month in figures: hand-counted, recounted the slow way for random pasts, and lived for a year."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.business import PLANS, History, live, write
from getpro.operations.month import figures, period
from getpro.operations.month.figures import Cohort, Figures, GivenBack, Sold
from getpro.platform.database import Database
from naive_month import counted

MOSCOW = ZoneInfo("Europe/Moscow")
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
HALF = Fraction(1, 2)
TABLES = "users, payments, refunds, subscriptions, subscription_changes"


def moscow(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW).astimezone(UTC)


async def of_month(url: str, year: int, month: int) -> Figures:
    db = Database(url, pool_size=1)
    try:
        async with db.read("test") as session:
            [found] = await figures.collect(session, [period.whole(date(year, month, 1), MOSCOW)], MOSCOW)
            return found
    finally:
        await db.close()


async def with_before(url: str, year: int, month: int) -> list[Figures]:
    """A month and the one before, counted in one go."""
    this = period.whole(date(year, month, 1), MOSCOW)
    db = Database(url, pool_size=1)
    try:
        async with db.read("test") as session:
            return await figures.collect(session, [this, period.before(this, MOSCOW)], MOSCOW)
    finally:
        await db.close()


@pytest.fixture
def small(database_url: str) -> History:
    """October 2026 of a shop with six customers.

    | who     | what                                                                                       |
    |---------|--------------------------------------------------------------------------------------------|
    | Alice 1 | 15.09 a month by YooKassa, 199 ₽, to 15.10; 14.10 renews, to 14.11                         |
    | Bob 2   | 20.09 a month by Stars, 199 ₽ (120 ⭐), to 20.10; goes                                     |
    | Carol 3 | joins 5.10, trial; 7.10 three months, 499 ₽; 8.10 half of it goes back, 249,50 ₽           |
    | Dave 4  | joins 31.10 at 23:59:59, trial                                                             |
    | Erin 5  | 1.08 a month, to 31.08; away; returns 30.10 with a year, 1590 ₽, learned of on 5.11        |
    | Frank 6 | 28.09 six months by Crypto Pay, 899 ₽, learned of on 6.10, after September was closed      |
    """
    history = History()
    for user, at in enumerate(
        ("2026-09-15 10:00", "2026-09-20 10:00", "2026-10-05 10:00", "2026-10-31 23:59:59",
         "2026-08-01 10:00", "2026-09-28 10:00"),
        1,
    ):  # fmt: skip
        history.join(user, moscow(at))
    history.pay(5, moscow("2026-08-01 12:00"), 1)
    history.pay(1, moscow("2026-09-15 12:00"), 1)
    history.pay(2, moscow("2026-09-20 12:00"), 1, provider="stars")
    history.give(3, moscow("2026-10-05 10:01"), 3, cause="trial")
    history.pay(6, moscow("2026-10-06 12:00"), 6, provider="cryptopay", learned=8 * DAY, waited=2 * SECOND)
    carol = history.pay(3, moscow("2026-10-07 12:00"), 3, learned=3 * SECOND, waited=4 * SECOND)
    history.give_back(carol, moscow("2026-10-08 12:00"), hundredths=50)
    history.pay(1, moscow("2026-10-14 12:00"), 1, learned=SECOND, waited=SECOND)
    history.give(4, moscow("2026-10-31 23:59:59"), 3, cause="trial")
    history.pay(5, moscow("2026-11-05 12:00"), 12, learned=6 * DAY)
    write(database_url, history)
    return history


async def test_a_small_month_is_as_counted_by_hand(database_url: str, small: History) -> None:
    found = await of_month(database_url, 2026, 10)
    assert found == Figures(
        sold=[
            Sold("cryptopay", 6, "RUB", 1, 89900, 89900),  # Frank's, of September
            Sold("yookassa", 1, "RUB", 1, 19900, 19900),
            Sold("yookassa", 3, "RUB", 1, 49900, 49900),
        ],
        given_back=[GivenBack("yookassa", "RUB", 1, 24950, 24950)],
        weeks=[89900 + 49900, 19900, 0, 0, 0],
        late_count=1,
        late_amount=89900,
        by_order_day=19900 + 49900,
        payers=3,
        ungranted=0,
        ungranted_amount=0,
        measured=3,
        waits=[7.0, 8 * 86400 + 2.0, 8 * 86400 + 2.0],
        users=6,
        new_users=2,
        trials=2,
        trials_paid=1,
        first_paid=2,  # Carol, and Frank, who had his days when it was learned
        renewals=1,
        active=4,  # Alice, Carol, Frank, and Dave on trial
        stayed=1,
        lost=1,  # Bob
        new=2,
        returned=0,
        cohorts=[
            Cohort(date(2026, 8, 1), 1, 0),
            Cohort(date(2026, 9, 1), 2, 1),
            Cohort(date(2026, 10, 1), 2, 2),
        ],
        # 199 · 30/30 + (499 − 249,50) · 30/90 + 899 · 30/180 = 199 + 83,1667 + 149,8333
        monthly=43200,
    )
    assert (found.gross, found.back, found.net) == (159700, 24950, 134750)
    assert (found.average, found.churn, found.trial_share) == (53233, HALF, HALF)
    # 1347,50 ₽ for (2 + 3) / 2 subscriptions is 539 ₽; by a churn of a half, 1078 ₽.
    assert (found.per_customer, found.lifetime) == (53900, 107800)


async def test_what_is_learned_after_a_month_was_closed_is_in_the_next_and_only_there(
    database_url: str, small: History
) -> None:
    """Erin's year was paid in October and learned of on the fifth of November."""
    november = await of_month(database_url, 2026, 11)
    assert (november.late_count, november.late_amount, november.gross) == (1, 159000, 159000)
    assert (november.returned, november.new) == (1, 0)
    months = [await of_month(database_url, 2026, month) for month in range(7, 13)]
    assert sum(one.gross for one in months) == sum(deal.amount for deal in small.deals)


async def test_the_small_month_is_counted_alike_the_slow_way(database_url: str, small: History) -> None:
    for month in range(7, 13):
        assert await of_month(database_url, 2026, month) == counted(small, 2026, month, MOSCOW)


@pytest.mark.parametrize(
    ("learned", "september", "october"),
    [("2026-10-03 23:59:59", 19900, 0), ("2026-10-04 00:00:00", 0, 19900)],
)
async def test_a_month_is_closed_three_days_after_its_end(
    database_url: str, learned: str, september: int, october: int
) -> None:
    history = History()
    history.join(1, moscow("2026-09-01 10:00"))
    history.pay(1, moscow(learned), 1, learned=moscow(learned) - moscow("2026-09-30 12:00"))
    write(database_url, history)
    assert (await of_month(database_url, 2026, 9)).gross == september
    found = await of_month(database_url, 2026, 10)
    assert (found.gross, found.late_count) == (october, int(october > 0))


async def test_midnight_belongs_to_the_month_that_begins(database_url: str) -> None:
    """Paid, joined, given back and ended at the very border; Bob pays again later, Carol does not."""
    history = History()
    for user in (1, 2, 3):
        history.join(user, moscow("2026-10-01 00:00"))
    alice = history.pay(1, moscow("2026-10-01 00:00"), 1, learned=0 * SECOND)
    for user in (2, 3):
        history.pay(user, moscow("2026-10-02 00:00"), 1)
    assert history.ends[2] == moscow("2026-11-01 00:00")
    history.give_back(alice, moscow("2026-11-01 00:00"))
    history.pay(2, moscow("2026-11-05 12:00"), 1)
    write(database_url, history)
    september, october, november = [await of_month(database_url, 2026, month) for month in (9, 10, 11)]
    assert (september.gross, september.users, september.active) == (0, 0, 0)
    assert (october.gross, october.new_users, october.back) == (3 * 19900, 3, 0)
    assert (october.paid_at_end, october.monthly, october.weeks[0]) == (0, 0, 3 * 19900)
    assert (november.back, november.paid_at_start, november.returned) == (19900, 0, 1)
    assert october == counted(history, 2026, 10, MOSCOW)


def test_nobody_paid_and_nobody_gone_give_no_ratios() -> None:
    nothing = counted(History(), 2026, 10, MOSCOW)
    ratios = (nothing.average, nothing.churn, nothing.trial_share, nothing.per_customer, nothing.lifetime)
    assert ratios == (None,) * 5


BEGAN = moscow("2026-07-20 00:00")
moments = st.integers(0, 150 * 24 * 60 * 60).map(lambda seconds: BEGAN + timedelta(seconds=seconds))
edges = st.sampled_from([moscow(f"2026-{month:02}-01 00:00") for month in (8, 9, 10, 11)]).flatmap(
    lambda edge: st.sampled_from([edge - SECOND, edge, edge + SECOND, edge + 3 * DAY])
)
lags = st.one_of(
    st.none(),
    st.integers(0, 30).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(1, 70).map(DAY.__mul__),
)
deeds = st.tuples(
    st.one_of(moments, edges),
    st.sampled_from(["join", "trial", "gift", "pay", "pay", "pay", "back"]),
    st.integers(1, 4),
    st.sampled_from(sorted(PLANS)),
    st.sampled_from(["yookassa", "cryptopay", "stars"]),
    lags,
    st.sampled_from([None, SECOND, 90 * SECOND, 9 * DAY]),
    st.integers(1, 100),
)


def lived(steps: list[Any]) -> History:
    history = History()
    for user in range(1, 5):
        history.join(user, BEGAN + user * HOUR)
    for at, deed, user, months, provider, learned, waited, hundredths in sorted(
        steps, key=lambda one: one[0]
    ):
        if deed == "trial" and user not in history.ends:
            history.give(user, at, 3, cause="trial")
        elif deed == "gift":
            history.give(user, at, 7, cause="gift")
        elif deed == "pay":
            history.pay(
                user, at, months, provider=provider, learned=learned, waited=waited, amount=19900 + hundredths
            )
        elif deed == "back":
            given_back = {one.deal.number for one in history.backs}
            for deal in history.deals:
                if deal.user == user and deal.number not in given_back:
                    history.give_back(deal, at, hundredths=hundredths)
                    break
    return history


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(deeds, max_size=25))
async def test_any_past_is_counted_alike_the_slow_way(database_url: str, steps: list[Any]) -> None:
    history = lived(steps)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLES} CASCADE".encode())
    write(database_url, history)
    found = [await of_month(database_url, 2026, month) for month in range(7, 13)]
    for month, one in enumerate(found, 7):
        assert one == counted(history, 2026, month, MOSCOW)
    assert await with_before(database_url, 2026, 10) == [found[3], found[2]]
    assert all(before.paid_at_end == after.paid_at_start for before, after in pairwise(found))


@pytest.fixture(scope="module")
def year() -> Any:
    return live(7, MOSCOW, since=date(2025, 11, 1))


async def test_a_year_of_a_believable_business_is_told_as_it_was_lived(database_url: str, year: Any) -> None:
    history, tallies = year
    write(database_url, history)
    for month, tally in tallies.items():
        found = await of_month(database_url, month.year, month.month)
        assert (found.gross, found.count, found.back) == (tally.gross, tally.count, tally.back), month
        assert (found.new_users, found.trials) == (tally.new_users, tally.trials)
        assert (found.first_paid, found.renewals) == (tally.first_paid, tally.renewals)
        assert found.late_count == tally.late
    found = await of_month(database_url, 2026, 9)
    assert found == counted(history, 2026, 9, MOSCOW)
