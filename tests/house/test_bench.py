"""What measures the shop, as far as it can be wrong without a long run."""

import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from folders import open_up
from getpro.backups import stream
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


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_report_of_a_large_shop_takes_no_longer_and_no_more_than_promised(
    figure: Callable[[str], None],
) -> None:
    from bench import month  # noqa: PLC0415

    measured = month.measure()
    figure(month.as_markdown(measured, command="test").replace("\n", " "))
    assert measured.missed == []


def test_a_grown_shop_holds_together(past: str) -> None:
    from bench.data import Amounts  # noqa: PLC0415
    from bench.month import grow  # noqa: PLC0415

    with psycopg.connect(past, autocommit=True) as connection:
        connection.execute("TRUNCATE users, payments, subscriptions CASCADE")
        grow(past, Amounts(users=300, payments=1500, messages=0))
        wrong = connection.execute(
            "SELECT count(*) FROM subscriptions s"
            " WHERE end_date <> (SELECT end_after FROM subscription_changes c"
            " WHERE c.subscription_id = s.subscription_id ORDER BY change_id DESC LIMIT 1)"
        ).fetchone()
        assert wrong == (0,)
        ends = connection.execute(
            "SELECT count(*) FROM subscription_changes WHERE end_after <>"
            " greatest(end_before, date_trunc('second', changed_at)) + days * interval '1 day'"
        ).fetchone()
        assert ends == (0,)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_copies_are_measured_from_the_dump_to_the_drill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigabyte of it, and with a purchase: ``./2getpro test --full``."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    monkeypatch.setattr(stream, "SECONDS", 0.2)
    from bench import copies  # noqa: PLC0415
    from bench.data import Amounts  # noqa: PLC0415

    little = copies.Size(Amounts(users=200, payments=400, messages=1000), turns=1, traffic=50)
    measured = copies.measure(open_up(tmp_path), little, use=lambda _: None)
    table = copies.rows(measured)
    assert [row.to_hold for row in table if row.mark] == [
        "≥ 3 times",
        "≤ +5 %",
        "not slower",
        "< 60 s/GB",
        "< 60 s/GB",
        "< 10 s/GB and replay",
        "≤ 15 min",
        "≤ 60 s",
    ]
    assert not [row for row in table[-2:] if row.is_missed]  # the others are of a gigabyte
    assert copies.as_markdown(table, measured, command="x").count("\n| ") == len(table) + 1
