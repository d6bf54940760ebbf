"""The queries that the operations guide finds useful, word for word, and ours where those mislead."""

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True, slots=True)
class Query:
    """``better`` names the query that says what this one was meant to say, ``why`` what it says instead."""

    name: str
    title: str
    sql: str
    better: str | None = None
    why: str = ""


_TITLES: Final = {
    "payments_last_hour": "Заказы последнего часа по провайдерам",
    "paid_last_hour": "Оплачено за последний час по провайдерам",
    "day_summary": "Итоги дня",
    "day_figures": "Итоги дня: новые, покупатели, выручка, возвраты",
    "new_users_week": "Новые клиенты за неделю",
    "active_subscriptions": "Действующие подписки",
    "revenue_week": "Выручка за неделю",
    "week_figures": "Неделя: покупатели, выручка, возвраты",
    "table_sizes": "Размеры таблиц",
    "new_users_by_month": "Новые клиенты по месяцам",
    "monthly_report": "Отчёт за месяц",
    "month_figures": "Месяц: новые, подписки, выручка, возвраты",
    "active_users_30_days": "Кто писал боту за 30 дней",
    "top_customers": "Клиенты, заплатившие больше всех",
    "payments_by_provider": "Выручка за 30 дней по провайдерам",
    "conversion_by_duration": "Оплаты по срокам",
    "expiring_soon": "Подписки, которые кончатся за неделю",
    "subscriptions_by_provider": "Действующие подписки по провайдерам",
}
_BETTER: Final = {
    "payments_last_hour": ("paid_last_hour", "считает и неоплаченные заказы"),
    "day_summary": (
        "day_figures",
        "new_users здесь не новые клиенты, а все, кто сегодня оформил заказ; возвраты не вычтены",
    ),
    "revenue_week": ("week_figures", "считает по дню заказа, а не оплаты; возвраты не вычтены"),
    "monthly_report": ("month_figures", "считает по дню заказа, а не оплаты; возвраты не вычтены"),
}


def _read(file: str) -> dict[str, str]:
    text = files(__package__).joinpath(file).read_text(encoding="utf-8")
    return dict(re.findall(r"-- name: (\w+)\n(.*?;)", text, re.DOTALL))


GUIDES: Final = _read("guide.sql")
"""Word for word, by name."""
OURS: Final = _read("ours.sql")
QUERIES: Final = {
    name: Query(name, _TITLES[name], sql, *_BETTER.get(name, ())) for name, sql in (GUIDES | OURS).items()
}
