"""A shop with a long past: users, payments, subscriptions and two years of messages, made by PostgreSQL."""

from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from getpro.messaging import partitions

MONTHS = 24


@dataclass(frozen=True, slots=True)
class Amounts:
    users: int
    payments: int
    messages: int


def fill(database_url: str, amounts: Amounts) -> None:
    """Add rows to a migrated database, evenly over two years and in their order, as they would have come.

    Numbers of users begin at 1. Times and providers' numbers lie as by chance: rows all alike would be
    compressed as no shop's are. The same seed gives the same rows, but for the moment that they end at.
    """
    values = {"users": amounts.users, "payments": amounts.payments, "messages": amounts.messages}
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in partitions.statements(datetime.now(UTC), months_back=MONTHS):
            connection.execute(statement.encode())
        connection.execute("SELECT setseed(0.5)")
        for statement in (_USERS, _PAYMENTS, _SUBSCRIPTIONS, _MESSAGES):
            connection.execute(statement.encode(), values)
        connection.execute("VACUUM ANALYZE")


_USERS = """
INSERT INTO users (user_id, username, first_name, registration_date, language)
SELECT n, 'user' || n, 'User ' || n,
       now() - interval '730 days' * (1 - (n - random()) / %(users)s::float),
       CASE WHEN n %% 5 = 0 THEN 'en' ELSE 'ru' END
FROM generate_series(1, %(users)s::bigint) AS n
"""
_PAYMENTS = """
INSERT INTO payments (order_key, user_id, provider, amount, status, created_at, paid_at, charge_id, days,
                      plan_id, subscription_duration_months, asked_amount, asked_currency,
                      paid_amount, paid_currency, request, object_id, pay_url)
SELECT gen_random_uuid(), user_id, provider, price, status, at,
       CASE WHEN is_paid THEN at + interval '1 minute' END, CASE WHEN is_paid THEN number END, days,
       plan_id, months, price, 'RUB', CASE WHEN is_paid THEN price END, CASE WHEN is_paid THEN 'RUB' END,
       jsonb_build_object('amount', price, 'description', repeat('as wide as one is ', 20)),
       number, 'https://pay.example/' || number
FROM (
    SELECT n, md5(random()::text) AS number, 1 + floor(random() * %(users)s::bigint)::bigint AS user_id,
           (ARRAY['yookassa', 'yookassa', 'stars', 'cryptopay'])[1 + n %% 4] AS provider,
           now() - interval '730 days' * (1 - (n - random()) / %(payments)s::float) AS at,
           n %% 10 < 7 AS is_paid, CASE WHEN n %% 10 < 7 THEN 'succeeded' ELSE 'canceled' END AS status,
           1 + (n / 7) %% 4 AS plan
    FROM generate_series(1, %(payments)s::bigint) AS n
) AS made JOIN LATERAL (
    SELECT plan_id, duration_months AS months, days, price FROM plans WHERE plan_id = plan
) AS sold ON true
"""
_SUBSCRIPTIONS = """
INSERT INTO subscriptions (user_id, provider, is_active, start_date, end_date, wanted_at,
                           provisioned_version, next_reminder_at)
SELECT user_id, 'yookassa', ends > now(), ends - interval '90 days', ends, ends - interval '90 days', 1, NULL
FROM (
    SELECT n AS user_id, date_trunc('second', now() + (random() * 2 - 1.4) * interval '200 days') AS ends
    FROM generate_series(1, %(users)s::bigint) AS n WHERE n %% 10 < 6
) AS made
"""
_MESSAGES = """
INSERT INTO message_logs (user_id, timestamp, kind, content, update_id)
SELECT 1 + floor(random() * %(users)s::bigint)::bigint,
       now() - interval '730 days' * (1 - (n - random()) / %(messages)s::float),
       CASE WHEN n %% 3 = 0 THEN 'message' ELSE 'button' END,
       CASE WHEN n %% 3 = 0 THEN '/start' ELSE 'go:menu' END, n
FROM generate_series(1, %(messages)s::bigint) AS n
"""
