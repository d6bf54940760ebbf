"""The owner's questions: how is business today, and do we keep what we promise?"""

from typing import Final

from tools.dashboards.model import (
    FIRING,
    YES_NO,
    Dashboard,
    Limit,
    Panel,
    Query,
    Row,
    bad_above,
    bad_if_any,
    good_above,
    graph,
    stat,
)
from tools.dashboards.queries import (
    AVAILABLE,
    PURCHASE_FAILED,
    PURCHASE_SECONDS,
    ROUBLES,
    availability,
    burn,
    known,
    quantile,
    within,
)

PURCHASE: Final = stat(
    "Покупка проходит",
    "none",
    f"1 - {PURCHASE_FAILED}",
    "Хорошо: «Да». Магазин сам покупает у себя раз в полминуты, денег не берёт. «Не видно»: выключено.",
    words=YES_NO,
    alerts=("SyntheticPurchaseFailing", "AvailabilityFastBurn"),
)
UNDELIVERED: Final = stat(
    "Оплачено, но не выдано",
    "none",
    known('max(getpro_undelivered{kind="paid"})'),
    "Хорошо: 0. Один-два на несколько секунд бывают: деньги пришли, панель ещё не ответила.",
    limits=(Limit(1, "yellow", of=0), Limit(21, "red", of=20)),
    alerts=("PaymentsPaidNotDelivered", "ManyPaidNotDelivered"),
)
STUCK: Final = stat(
    "Деньги ждут решения",
    "none",
    known("sum(max by (kind) (getpro_stuck_payments))"),
    "Хорошо: 0. Иначе человек решает, что делать с каждым: 2getpro payments stuck.",
    limits=bad_if_any(),
    alerts=("StuckMoney",),
)
_EXPECTED_WORDS: Final = (
    "Хорошо: «Пришло» рядом с «Обычно». «Обычно»: сколько платежей бывало в этот час недели, среднее до"
    " четырёх недель. Мало и ночью, когда обычно ноль или два, не беда."
)


def _by_provider(metric: str) -> Query:
    return Query(f"max by (provider) ({metric})", "{{provider}}")


BUSINESS: Final = Dashboard(
    "getpro-business",
    "Бизнес сегодня",
    "Идут ли деньги и получают ли люди то, за что заплатили?",
    (
        Row(
            "Всё ли в порядке",
            (
                stat(
                    "Оповещений горит",
                    "none",
                    f'count({FIRING}) or 0 * count(ALERTS{{alertname="Watchdog"}})',
                    "Хорошо: 0. «Не видно»: Prometheus не считает правила, о беде никто не узнает.",
                    limits=bad_if_any(),
                    alerts=("Watchdog",),
                ),
                PURCHASE,
                UNDELIVERED,
                STUCK,
            ),
        ),
        Row(
            "Сутки: последние 24 часа",
            (
                stat(
                    "Выручка",
                    ROUBLES,
                    known("sum(max by (provider) (getpro_paid_last_day_roubles))"),
                    "Оплачено за последние 24 часа, без возвратов. За день и за неделю: отчёты в чате.",
                    decimals=0,
                ),
                stat(
                    "Платежей",
                    "none",
                    known("sum(max by (provider) (getpro_paid_last_day))"),
                    "Сколько раз заплатили за последние 24 часа.",
                ),
                stat(
                    "Новых клиентов",
                    "none",
                    "max(getpro_users_new_last_day)",
                    "Кто впервые открыл бота за последние 24 часа.",
                ),
                stat(
                    "Действующих подписок",
                    "none",
                    known("sum(max by (provider) (getpro_subscriptions_active))"),
                    "Вместе с пробными. Обновляется раз в пять минут.",
                ),
            ),
        ),
        Row(
            "Как идёт",
            (
                graph(
                    "Платежей за последний час",
                    "none",
                    (
                        Query(known("sum(max by (provider) (getpro_paid_last_hour))"), "Пришло"),
                        Query("max(getpro_paid_expected_hour)", "Обычно"),
                    ),
                    _EXPECTED_WORDS,
                    alerts=("PaymentSilence",),
                ),
                graph(
                    "Оплачено за последний час",
                    ROUBLES,
                    _by_provider("getpro_paid_last_hour_roubles"),
                    "Рубли по провайдерам. Пропал один, а другие идут: смотрите «Платежи и провайдеры».",
                    is_stacked=True,
                    alerts=("PaymentSilence",),
                ),
                graph(
                    "Действующие подписки",
                    "none",
                    _by_provider("getpro_subscriptions_active"),
                    "Чем оплачен последний срок; trial: пробный.",
                    is_stacked=True,
                ),
                graph(
                    "Закончатся за три дня",
                    "none",
                    Query("max(getpro_subscriptions_ending_3_days)", "Подписок"),
                    "Кому скоро напомнят. Растёт вместе с подписками, резких скачков без причины не бывает.",
                ),
                graph(
                    "Клиентов всего",
                    "none",
                    Query("max(getpro_users)", "Клиентов"),
                    "Все, кто хоть раз открыл бота.",
                    floor=None,
                ),
            ),
        ),
    ),
    since="now-24h",
)

_DELIVERED: Final = "getpro_delivery_seconds"
_MINUTE: Final = "60.0"
_ANSWERED: Final = "getpro_update_seconds"
_TWO_SECONDS: Final = "2.0"
_MONTH: Final = "30d"


def _objective(title: str, expr: str, good: str, objective: float) -> Panel:
    return stat(title, "percentunit", expr, good, decimals=2, **good_above(objective))


SLO: Final = Dashboard(
    "getpro-slo",
    "Обещания и запас ошибок",
    "Держим ли мы то, что обещаем клиентам, и сколько ошибок ещё можно себе позволить?",
    (
        Row(
            "За 30 дней",
            (
                _objective(
                    "Покупка проходит",
                    availability(_MONTH),
                    "Хорошо: 99,5 % и больше. Доля пробных покупок, которые удались.",
                    AVAILABLE,
                ),
                stat(
                    "Остаток запаса ошибок",
                    "percentunit",
                    f"1 - ({burn(_MONTH)})",
                    "Хорошо: больше четверти. 0 %: за 30 дней магазин стоял 216 минут, обещание нарушено;"
                    " тогда сначала надёжность, потом новое.",
                    decimals=0,
                    **good_above(0, best=0.25),
                ),
                _objective(
                    "Доступ за минуту",
                    within(_MINUTE, _DELIVERED, _MONTH, job="worker"),
                    "Хорошо: 99,9 % и больше. Доля оплат, после которых доступ открылся за минуту.",
                    0.999,
                ),
                _objective(
                    "Ответ за две секунды",
                    within(_TWO_SECONDS, _ANSWERED, _MONTH, job="bot"),
                    "Хорошо: 95 % и больше. Доля нажатий и сообщений, на которые бот ответил за две секунды.",
                    0.95,
                ),
            ),
        ),
        Row(
            "Прямо сейчас",
            (
                PURCHASE,
                stat(
                    "Запас тратится, раз быстрее",
                    "none",
                    burn("1h"),
                    "Хорошо: не больше 1, тогда запаса хватит на месяц. 14: он кончится за двое суток.",
                    decimals=1,
                    limits=(Limit(1.01, "yellow"), Limit(14.4, "red")),
                ),
                UNDELIVERED,
                stat(
                    "Доступ за минуту, за сутки",
                    "percentunit",
                    within(_MINUTE, _DELIVERED, "1d", job="worker"),
                    "Хорошо: 99,9 % и больше. Меньше: посмотрите «Выдача и панель».",
                    decimals=2,
                    **good_above(0.999),
                ),
            ),
        ),
        Row(
            "Как менялось",
            (
                graph(
                    "Покупка проходит, по часам",
                    "percentunit",
                    Query(availability("1h"), "Доля за час"),
                    "Хорошо: ровная линия на 100 %. Провал: в это время клиенты не могли купить.",
                    floor=None,
                    **good_above(AVAILABLE),
                ),
                graph(
                    "Во сколько раз быстрее тратится запас",
                    "none",
                    (
                        Query(burn("1h"), "За час"),
                        Query(burn("6h"), "За 6 часов"),
                        Query(burn("3d"), "За 3 дня"),
                    ),
                    "Хорошо: все линии ниже 1.",
                    alerts=("AvailabilityFastBurn", "AvailabilitySlowBurn", "BudgetDrift"),
                    limits=bad_above(14.4, warn=1),
                ),
                graph(
                    "Сколько идёт пробная покупка",
                    "s",
                    (
                        Query(quantile(0.5, PURCHASE_SECONDS, "10m"), "Половина быстрее"),
                        Query(quantile(0.95, PURCHASE_SECONDS, "10m"), "95 % быстрее"),
                    ),
                    "Хорошо: ровно. Растёт: что-то на пути от бота до панели становится медленнее.",
                ),
                graph(
                    "От оплаты до доступа",
                    "s",
                    (
                        Query(quantile(0.5, _DELIVERED), "Половина быстрее"),
                        Query(quantile(0.99, _DELIVERED), "99 % быстрее"),
                    ),
                    "Хорошо: секунды. Обещано: минута.",
                    limits=bad_above(60),
                ),
            ),
        ),
    ),
    since="now-7d",
)
