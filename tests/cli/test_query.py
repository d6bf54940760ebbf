"""``2getpro query``, as an operator types it."""

import csv
import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from getpro.operations.queries import GUIDES, OURS, QUERIES

SOURCE = Path(__file__).parents[2] / "src"
SEED = """
INSERT INTO users (user_id, username, registration_date) VALUES
  (1, '=2+2', now()), (2, 'bob', now() - interval '60 days');
INSERT INTO payments (order_key, user_id, provider, amount, status, created_at, paid_at, charge_id, days,
                      subscription_duration_months, asked_amount, asked_currency, paid_amount, paid_currency)
SELECT gen_random_uuid(), user_id, 'yookassa', amount, status, ordered, paid,
       CASE WHEN status = 'succeeded' THEN 'c' || n END, 30, 1, amount, 'RUB', amount, 'RUB'
FROM (VALUES
  (1, 1, 199.00, 'succeeded', now() - interval '2 days', now()),
  (2, 2, 499.00, 'pending', now(), NULL),
  (3, 2, 899.00, 'succeeded', now() - interval '10 days', now() - interval '8 days')
) AS p (n, user_id, amount, status, ordered, paid);
INSERT INTO refunds (payment_id, refund_key, status, origin, amount, refunded_amount, refunded_currency, days,
                     asked_by, reason, created_at, finished_at)
SELECT payment_id, gen_random_uuid(), 'succeeded', 'shop', 49.00, 49.00, 'RUB', 7,
       'ольга', 'часть', now(), now()
FROM payments WHERE amount = 199.00;
"""


@pytest.fixture
def shop_of_two(database_url: str) -> str:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(SEED)
    return database_url


def query(url: str, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "getpro", "query", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "LANG": "C.UTF-8", "DATABASE_URL": url},
        timeout=60,
    )


def found(url: str, name: str, cwd: Path) -> list[dict[str, object]]:
    said = query(url, name, "--json", cwd=cwd)
    assert said.returncode == 0, said.stderr
    rows: list[dict[str, object]] = json.loads(said.stdout)
    return rows


def test_ours_say_what_the_guides_were_meant_to_say(shop_of_two: str, tmp_path: Path) -> None:
    [guides] = found(shop_of_two, "day-summary", tmp_path)
    [ours] = found(shop_of_two, "day-figures", tmp_path)
    assert (guides["new_users"], guides["successful_payments"]) == (1, 0)  # Bob's order, and nobody paid?
    assert ours == {
        "new_users": 1,
        "payers": 1,
        "payments": 1,
        "revenue": "199.00",
        "given_back": "49.00",
    }
    [week] = found(shop_of_two, "week-figures", tmp_path)
    assert (week["payments"], week["revenue"], week["average"]) == (1, "199.00", "199.00")
    assert found(shop_of_two, "paid-last-hour", tmp_path) == [
        {"provider": "yookassa", "payments": 1, "revenue": "199.00"}
    ]
    [month] = found(shop_of_two, "month-figures", tmp_path)
    assert Decimal(str(month["given_back"])) == 49


def test_a_table_says_where_the_guides_query_misleads(shop_of_two: str, tmp_path: Path) -> None:
    said = query(shop_of_two, "day-summary", cwd=tmp_path).stdout
    assert "Итоги дня" in said
    assert "Точнее: 2getpro query day-figures" in said
    listed = query(shop_of_two, cwd=tmp_path).stdout
    assert all(name.replace("_", "-") in listed for name in QUERIES)


def test_a_spreadsheet_gets_names_as_names(shop_of_two: str, tmp_path: Path) -> None:
    said = query(shop_of_two, "top-customers", "--csv", cwd=tmp_path).stdout
    assert said.startswith("\ufeffuser_id,")
    rows = list(csv.DictReader(io.StringIO(said.removeprefix("\ufeff"))))
    assert [row["username"] for row in rows] == ["bob", "'=2+2"]
    assert [row["total_spent"] for row in rows] == ["899.00", "199.00"]


def test_a_query_is_shown_word_for_word_and_changes_nothing(shop_of_two: str, tmp_path: Path) -> None:
    assert query(shop_of_two, "table-sizes", "--sql", cwd=tmp_path).stdout.strip() == GUIDES["table_sizes"]
    said = query(shop_of_two, "no-such", cwd=tmp_path)
    assert said.returncode == 64
    assert "2getpro query" in said.stderr
    assert query(shop_of_two, "table-sizes", "--csv", "--json", cwd=tmp_path).returncode == 64


def test_every_query_has_its_title_and_what_is_better_is_there() -> None:
    assert QUERIES.keys() == GUIDES.keys() | OURS.keys()
    assert {each.better for each in QUERIES.values() if each.better} == OURS.keys()
