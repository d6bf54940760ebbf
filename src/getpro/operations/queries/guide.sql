-- The queries of the operations guide, word for word.

-- name: payments_last_hour
SELECT COUNT(*), SUM(amount), provider 
   FROM payments 
   WHERE created_at > NOW() - INTERVAL '1 hour'
   GROUP BY provider;

-- name: day_summary
SELECT 
  COUNT(DISTINCT user_id) as new_users,
  COUNT(*) FILTER (WHERE status='succeeded') as successful_payments,
  SUM(amount) FILTER (WHERE status='succeeded') as total_revenue
FROM payments 
WHERE created_at::date = CURRENT_DATE;

-- name: new_users_week
SELECT COUNT(*) as new_users 
FROM users 
WHERE registration_date > NOW() - INTERVAL '7 days';

-- name: active_subscriptions
SELECT COUNT(*) as active_subscriptions 
FROM subscriptions 
WHERE is_active = true;

-- name: revenue_week
SELECT 
  SUM(amount) as total_revenue,
  COUNT(*) as payment_count,
  AVG(amount) as avg_payment
FROM payments 
WHERE status = 'succeeded' 
AND created_at > NOW() - INTERVAL '7 days';

-- name: table_sizes
SELECT 
  schemaname,
  tablename,
  pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename)) AS size
FROM pg_tables 
WHERE schemaname = 'public'
ORDER BY pg_total_relation_size(schemaname||'.'||tablename) DESC;

-- name: new_users_by_month
SELECT 
  DATE_TRUNC('month', registration_date) as month,
  COUNT(*) as new_users
FROM users 
GROUP BY month 
ORDER BY month DESC 
LIMIT 12;

-- name: monthly_report
SELECT 
  'Total Users' as metric, COUNT(*)::text as value FROM users
UNION ALL
SELECT 
  'Active Subscriptions', COUNT(*)::text FROM subscriptions WHERE is_active = true
UNION ALL
SELECT 
  'Monthly Revenue', SUM(amount)::text 
  FROM payments 
  WHERE status = 'succeeded' 
  AND created_at > DATE_TRUNC('month', CURRENT_DATE);

-- name: active_users_30_days
SELECT COUNT(DISTINCT user_id) 
FROM message_logs 
WHERE timestamp > NOW() - INTERVAL '30 days';

-- name: top_customers
SELECT 
  u.user_id,
  u.username,
  COUNT(p.payment_id) as payment_count,
  SUM(p.amount) as total_spent
FROM users u
JOIN payments p ON u.user_id = p.user_id
WHERE p.status = 'succeeded'
GROUP BY u.user_id, u.username
ORDER BY total_spent DESC
LIMIT 10;

-- name: payments_by_provider
SELECT 
  provider,
  COUNT(*) as count,
  SUM(amount) as total,
  AVG(amount) as average
FROM payments
WHERE status = 'succeeded'
AND created_at > NOW() - INTERVAL '30 days'
GROUP BY provider;

-- name: conversion_by_duration
SELECT 
  subscription_duration_months,
  COUNT(*) as count,
  SUM(amount) as revenue
FROM payments
WHERE status = 'succeeded'
GROUP BY subscription_duration_months
ORDER BY subscription_duration_months;

-- name: expiring_soon
SELECT 
  COUNT(*) as expiring_soon
FROM subscriptions
WHERE is_active = true
AND end_date BETWEEN NOW() AND NOW() + INTERVAL '7 days';

-- name: subscriptions_by_provider
SELECT 
  provider,
  COUNT(*) as count
FROM subscriptions
WHERE is_active = true
GROUP BY provider;
