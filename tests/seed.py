"""A small shop in SQL, about which every answer of the guide's queries is known."""

SEED = """
INSERT INTO users (user_id, username, registration_date) VALUES
  (1, 'alice', now() - interval '1 hour'),
  (2, 'bob', now() - interval '6 days 23 hours'),
  (3, 'charlie', now() - interval '8 days'),
  (9007199254740991, 'dora', now() - interval '400 days');

INSERT INTO payments (order_key, user_id, provider, amount, status, created_at, paid_at, charge_id, days,
                      subscription_duration_months, asked_amount, asked_currency, paid_amount, paid_currency)
SELECT gen_random_uuid(), user_id, provider, amount, status, at,
       CASE WHEN status = 'succeeded' THEN at END, CASE WHEN status = 'succeeded' THEN 'c' || n END, 30,
       months, amount, 'RUB', amount, 'RUB'
FROM (VALUES
  (1, 1, 'yookassa', 199.00, 'succeeded', now() - interval '10 minutes', 1),
  (2, 1, 'yookassa', 499.00, 'pending',   now() - interval '5 minutes', 3),
  (3, 2, 'stars',    199.00, 'succeeded', now() - interval '30 minutes', 1),
  (4, 2, 'yookassa', 499.00, 'canceled',  now() - interval '2 days', 3),
  (5, 3, 'yookassa', 899.00, 'succeeded', now() - interval '6 days', 6),
  (6, 3, 'yookassa', 1590.00, 'succeeded', now() - interval '29 days', 12),
  (7, 9007199254740991, 'stars', 199.00, 'succeeded', now() - interval '31 days', 1)
) AS p (n, user_id, provider, amount, status, at, months);

INSERT INTO subscriptions (user_id, provider, is_active, start_date, end_date) VALUES
  (1, 'yookassa', true, now() - interval '10 minutes', now() + interval '30 days'),
  (2, 'stars', true, now() - interval '25 days', now() + interval '6 days 23 hours'),
  (3, 'yookassa', true, now() - interval '6 days', now() + interval '1 hour'),
  (9007199254740991, 'stars', false, now() - interval '61 days', now() - interval '31 days');

INSERT INTO message_logs (user_id, timestamp, kind) VALUES
  (1, now(), 'message'), (1, now() - interval '1 day', 'button'), (2, now() - interval '29 days', 'message'),
  (3, now() - interval '31 days', 'message');
"""
