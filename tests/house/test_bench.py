"""What measures the shop, as far as it can be wrong without a long run."""

import sys
from pathlib import Path

import psycopg
import pytest

from getpro.operations.queries import GUIDES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def past(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A migrated database with a small past."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from bench.data import Amounts, fill  # noqa: PLC0415 -- bench is no package of the product

    fill(database_url, Amounts(users=500, payments=2000, messages=5000))
    return database_url


def test_a_made_past_has_the_amounts_asked_for_over_two_years(past: str) -> None:
    with psycopg.connect(past) as connection:
        counted = connection.execute(
            "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM payments),"
            " (SELECT count(*) FROM message_logs), (SELECT count(*) FROM subscriptions)"
        ).fetchone()
        assert counted == (500, 2000, 5000, 300)
        oldest = connection.execute("SELECT now() - min(timestamp) > '700 days' FROM message_logs").fetchone()
        assert oldest == (True,)


def test_a_made_past_holds_together(past: str) -> None:
    with psycopg.connect(past) as connection:
        wrong = connection.execute(
            "SELECT count(*) FROM payments WHERE paid_amount <> amount OR paid_at < created_at"
        ).fetchone()
        assert wrong == (0,)
        ended = connection.execute(
            "SELECT count(*) FROM subscriptions WHERE is_active <> (end_date > now())"
        ).fetchone()
        assert ended == (0,)


def test_every_query_of_the_guide_is_timed_on_it(past: str) -> None:
    from bench.history import slowest  # noqa: PLC0415
    from bench.report import LONG_LOOKS  # noqa: PLC0415

    timed = slowest(past)
    assert timed.keys() == GUIDES.keys()
    assert timed.keys() > LONG_LOOKS
