-- What the guide's queries beside these were meant to say. The day is the operator's.

-- name: day_figures
SELECT
  (SELECT count(*) FROM users WHERE registration_date >= date_trunc('day', now())) AS new_users,
  count(DISTINCT user_id) AS payers,
  count(*) AS payments,
  coalesce(sum(amount), 0) AS revenue,
  (SELECT coalesce(sum(amount), 0) FROM refunds
    WHERE status = 'succeeded' AND finished_at >= date_trunc('day', now())) AS given_back
FROM payments
WHERE paid_at >= date_trunc('day', now());

-- name: paid_last_hour
SELECT provider, count(*) AS payments, sum(amount) AS revenue
FROM payments
WHERE paid_at > now() - interval '1 hour'
GROUP BY provider
ORDER BY provider;

-- name: week_figures
SELECT
  count(*) AS payments,
  count(DISTINCT user_id) AS payers,
  coalesce(sum(amount), 0) AS revenue,
  round(avg(amount), 2) AS average,
  (SELECT coalesce(sum(amount), 0) FROM refunds
    WHERE status = 'succeeded' AND finished_at > now() - interval '7 days') AS given_back
FROM payments
WHERE paid_at > now() - interval '7 days';

-- name: month_figures
SELECT
  (SELECT count(*) FROM users WHERE registration_date >= date_trunc('month', now())) AS new_users,
  (SELECT count(*) FROM subscriptions WHERE is_active) AS active_subscriptions,
  count(*) AS payments,
  coalesce(sum(amount), 0) AS revenue,
  (SELECT coalesce(sum(amount), 0) FROM refunds
    WHERE status = 'succeeded' AND finished_at >= date_trunc('month', now())) AS given_back
FROM payments
WHERE paid_at >= date_trunc('month', now());
