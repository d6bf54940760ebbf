"""The operations guide's own queries, word for word, on a small database with a known answer."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from getpro.operations.queries import GUIDES as QUERIES
from seed import SEED

EXPECTED: dict[str, Any] = {
    "payments_last_hour": {(1, Decimal("199.00"), "stars"), (2, Decimal("698.00"), "yookassa")},
    "new_users_week": {(2,)},
    "active_subscriptions": {(3,)},
    "revenue_week": {(Decimal("1297.00"), 3, Decimal("432.3333333333333333"))},
    "active_users_30_days": {(2,)},
    "payments_by_provider": {
        ("yookassa", 3, Decimal("2688.00"), Decimal("896.0000000000000000")),
        ("stars", 1, Decimal("199.00"), Decimal("199.0000000000000000")),
    },
    "expiring_soon": {(2,)},
    "subscriptions_by_provider": {("yookassa", 2), ("stars", 1)},
}


@pytest.fixture
def seeded(database_url: str) -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET timezone = 'Europe/Moscow'")
        connection.execute(SEED.encode())
        yield connection


def answer(connection: Any, name: str) -> list[tuple[Any, ...]]:
    return connection.execute(QUERIES[name].encode()).fetchall()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_query_of_the_guide_gives_the_right_values(seeded: Any, name: str) -> None:
    assert set(answer(seeded, name)) == EXPECTED[name]


def test_the_days_summary_counts_the_operators_day(seeded: Any) -> None:
    today = seeded.execute(
        "SELECT count(DISTINCT user_id), count(*) FILTER (WHERE status = 'succeeded'),"
        " sum(amount) FILTER (WHERE status = 'succeeded') FROM payments"
        " WHERE (created_at AT TIME ZONE 'Europe/Moscow')::date = (now() AT TIME ZONE 'Europe/Moscow')::date"
    ).fetchall()
    assert answer(seeded, "day_summary") == today


def test_top_customers_come_with_their_names_and_sums(seeded: Any) -> None:
    first, *others = answer(seeded, "top_customers")
    assert first == (3, "charlie", 2, Decimal("2489.00"))
    assert sorted(others) == [
        (1, "alice", 1, Decimal("199.00")),
        (2, "bob", 1, Decimal("199.00")),
        (9007199254740991, "dora", 1, Decimal("199.00")),
    ]


def test_conversion_by_duration_is_in_order(seeded: Any) -> None:
    assert answer(seeded, "conversion_by_duration") == [
        (1, 3, Decimal("597.00")),
        (6, 1, Decimal("899.00")),
        (12, 1, Decimal("1590.00")),
    ]


def test_users_by_month_add_up(seeded: Any) -> None:
    rows = answer(seeded, "new_users_by_month")
    assert sum(row[1] for row in rows) == 4
    assert rows == sorted(rows, reverse=True)


def test_the_monthly_report_has_its_three_lines(seeded: Any) -> None:
    report = dict(answer(seeded, "monthly_report"))
    assert report["Total Users"] == "4"
    assert report["Active Subscriptions"] == "3"
    revenue = seeded.execute(
        "SELECT sum(amount)::text FROM payments WHERE status = 'succeeded'"
        " AND created_at > date_trunc('month', CURRENT_DATE)"
    ).fetchone()
    assert report["Monthly Revenue"] == revenue[0]


def test_table_sizes_name_the_four_tables(seeded: Any) -> None:
    tables = {row[1] for row in answer(seeded, "table_sizes")}
    assert {"users", "payments", "subscriptions"} <= tables
    assert any(name.startswith("message_logs") for name in tables)


def test_every_query_of_the_guide_is_tried() -> None:
    others = {
        "day_summary",
        "top_customers",
        "conversion_by_duration",
        "new_users_by_month",
        "monthly_report",
        "table_sizes",
    }
    assert set(QUERIES) == set(EXPECTED) | others
