"""The on-call engineer's questions: payments, the bot, and what customers get for their money."""

from typing import Final

from tools.dashboards.model import YES_NO, Dashboard, Query, Row, bad_above, bad_if_any, graph, stat
from tools.dashboards.queries import WINDOW, counted, known, quantile, quick_quantile, share
from tools.dashboards.shop import STUCK, UNDELIVERED

_ORDERS: Final = "getpro_orders_last_hour"
_OF_PROVIDERS: Final = 'service!="panel"'
PAYMENTS: Final = Dashboard(
    "getpro-payments",
    "Платежи и провайдеры",
    "Через всех ли провайдеров можно заплатить, и не застряли ли где-нибудь деньги?",
    (
        Row(
            "Всё ли в порядке",
            (
                STUCK,
                stat(
                    "Возвраты не сделаны",
                    "none",
                    known("sum(max by (status) (getpro_refunds_open))"),
                    "Хорошо: 0. Возврат, который провайдер отложил или отверг, ждёт здесь.",
                    limits=bad_if_any(),
                    alerts=("RefundsNotMade",),
                ),
                stat(
                    "Отменено заказов, худший провайдер",
                    "percentunit",
                    known(
                        f'max(max by (provider) ({_ORDERS}{{status="canceled"}})'
                        f" / sum by (provider) (max by (provider, status) ({_ORDERS})))"
                    ),
                    "Хорошо: меньше 30 % за час. Больше: карты не проходят или страница оплаты не работает.",
                    decimals=0,
                    limits=bad_above(0.3),
                    alerts=("PaymentFailureRatio",),
                ),
                stat(
                    "Уведомления не разобраны",
                    "none",
                    "max(getpro_notices_unhandled)",
                    "Хорошо: 0 или несколько на секунду. Не убывает: работы стоят.",
                    limits=bad_above(20, warn=5),
                ),
            ),
        ),
        Row(
            "Заказы и деньги",
            (
                graph(
                    "Платежей за последний час",
                    "none",
                    Query("max by (provider) (getpro_paid_last_hour)", "{{provider}}"),
                    "Хорошо: у каждого провайдера как обычно в это время. Линии нет: за час никто не платил.",
                    is_stacked=True,
                    alerts=("PaymentSilence",),
                ),
                graph(
                    "Заказы последнего часа",
                    "none",
                    Query(f"max by (provider, status) ({_ORDERS})", "{{provider}}: {{status}}"),
                    "Хорошо: больше всего succeeded. pending: ждут оплаты; canceled: не заплатили или банк"
                    " отказал.",
                    alerts=("PaymentFailureRatio",),
                ),
                graph(
                    "Чем кончился разбор платежей",
                    "none",
                    Query(
                        f"sum by (provider, outcome) (increase(getpro_charges_total[{WINDOW}]))",
                        "{{provider}}: {{outcome}}",
                    ),
                    "Хорошо: settled, деньги зачтены. repeated тоже безвредно: уведомление пришло ещё раз.",
                ),
                graph(
                    "Что ждёт решения человека",
                    "none",
                    Query(known("max by (kind) (getpro_stuck_payments)"), "{{kind}}"),
                    "Хорошо: ноль. Что значит каждое слово: страница «Застрявшие платежи».",
                    is_stacked=True,
                    alerts=("StuckMoney",),
                ),
            ),
        ),
        Row(
            "Провайдеры",
            (
                graph(
                    "Вызовы без удачи, в минуту",
                    "none",
                    Query(
                        "60 * sum by (service, result) (rate("
                        f'getpro_service_calls_total{{{_OF_PROVIDERS}, result!="ok"}}[{WINDOW}]))',
                        "{{service}}: {{result}}",
                    ),
                    "Хорошо: ноль или линии нет. away: не отвечает; failed: его ошибка; refused: не принял.",
                ),
                graph(
                    "За сколько отвечают провайдеры",
                    "s",
                    Query(
                        quantile(0.95, "getpro_service_seconds", by="service", labels=f"{{{_OF_PROVIDERS}}}"),
                        "{{service}}",
                    ),
                    "95 % вызовов быстрее. Хорошо: меньше секунды.",
                ),
                graph(
                    "Принято уведомлений, в минуту",
                    "none",
                    Query(
                        f'60 * sum by (door) (rate(getpro_webhooks_total{{result="taken"}}[{WINDOW}]))',
                        "{{door}}",
                    ),
                    "Хорошо: идут, когда есть платежи. telegram: нажатия и сообщения клиентов.",
                ),
                graph(
                    "Отвергнуто за 15 минут",
                    "none",
                    Query(
                        'sum by (door, result) (increase(getpro_webhooks_total{result!="taken"}[15m]))',
                        "{{door}}: {{result}}",
                    ),
                    "Хорошо: ноль или линии нет. address, signature, secret: кто-то подделывает, или сменился"
                    " ключ.",
                    limits=bad_above(10),
                    alerts=("WebhookSignatureFailures",),
                ),
            ),
        ),
    ),
)

_UPDATES: Final = "getpro_updates_total"
_FAILED_UPDATES: Final = 'getpro_updates_total{result="failed"}'
_BOT_API: Final = "getpro_bot_api_calls_total"
_UPDATE_SECONDS: Final = "getpro_update_seconds"
BOT: Final = Dashboard(
    "getpro-bot",
    "Бот",
    "Отвечает ли бот, и быстро ли?",
    (
        Row(
            "Всё ли в порядке",
            (
                stat(
                    "Бот на связи",
                    "none",
                    'min(up{job="bot"})',
                    "Хорошо: «Да». Prometheus видит процесс bot.",
                    words=YES_NO,
                    alerts=("BotDown",),
                ),
                stat(
                    "Ответов с ошибкой за час",
                    "percentunit",
                    share(_FAILED_UPDATES, _UPDATES, "1h", job="bot"),
                    "Хорошо: 0 %. Клиент увидел «что-то сломалось». Что именно: 2getpro logs --level error.",
                    decimals=1,
                    limits=bad_above(0.072, warn=0.01),
                    alerts=("UpdateErrorsFastBurn",),
                ),
                stat(
                    "95 % ответов быстрее",
                    "s",
                    quick_quantile(0.95, _UPDATE_SECONDS, "5m", job="bot"),
                    "Хорошо: меньше секунды. За последние пять минут; 0: никто не писал.",
                    decimals=2,
                    limits=bad_above(2, warn=1),
                    alerts=("UpdateLatencyHigh",),
                ),
                stat(
                    "Telegram не ответил за 5 минут, раз",
                    "none",
                    counted(f'{_BOT_API}{{result="away"}}', "5m", job="bot|worker"),
                    "Хорошо: 0. Вызовы Bot API, на которые не было ответа.",
                    decimals=0,
                    limits=bad_above(5, warn=1),
                    alerts=("BotApiAway",),
                ),
            ),
        ),
        Row(
            "Ответы клиентам",
            (
                graph(
                    "Что приходит, в минуту",
                    "none",
                    Query(f"60 * sum by (kind) (rate({_UPDATES}[{WINDOW}]))", "{{kind}}"),
                    "callback_query: нажатия кнопок; message: сообщения. Ноль днём: никто не доходит.",
                    is_stacked=True,
                    alerts=("BotDown",),
                ),
                graph(
                    "Чем кончается, в минуту",
                    "none",
                    Query(f"60 * sum by (result) (rate({_UPDATES}[{WINDOW}]))", "{{result}}"),
                    "Хорошо: ok. again: Telegram прислал второй раз; flood: частят; failed: наша ошибка.",
                    alerts=("UpdateErrorsFastBurn",),
                ),
                graph(
                    "Скорость ответа",
                    "s",
                    (
                        Query(quantile(0.5, _UPDATE_SECONDS), "Половина быстрее"),
                        Query(quantile(0.95, _UPDATE_SECONDS), "95 % быстрее"),
                    ),
                    "Хорошо: меньше секунды. Вместе с вызовами Telegram: сравните с графиком Bot API.",
                    limits=bad_above(2),
                    alerts=("UpdateLatencyHigh",),
                ),
                graph(
                    "За сколько отвечает Bot API",
                    "s",
                    (
                        Query(quantile(0.5, "getpro_bot_api_seconds"), "Половина быстрее"),
                        Query(quantile(0.95, "getpro_bot_api_seconds"), "95 % быстрее"),
                    ),
                    "Хорошо: десятые секунды. Растёт здесь: медленный Telegram, а не мы.",
                    alerts=("UpdateLatencyHigh",),
                ),
            ),
        ),
        Row(
            "Вызовы и сообщения",
            (
                graph(
                    "Вызовы Bot API, в минуту",
                    "none",
                    Query(f"60 * sum by (result) (rate({_BOT_API}[{WINDOW}]))", "{{result}}"),
                    "Хорошо: ok. refused: сообщение уже не изменить или клиент закрыл бота, бывает.",
                    is_stacked=True,
                    alerts=("BotApiAway",),
                ),
                graph(
                    "Telegram просит подождать, в секунду",
                    "none",
                    Query(
                        f'sum(rate({_BOT_API}{{result="too_many_requests"}}[10m]))',
                        "too_many_requests",
                    ),
                    "Хорошо: ноль или линии нет. Бот шлёт чаще, чем позволено.",
                    limits=bad_above(0.2),
                    alerts=("BotApiTooManyRequests",),
                ),
                graph(
                    "Сообщения клиентам ждут",
                    "none",
                    Query("max(getpro_notices_waiting)", "Сообщений"),
                    "Хорошо: ноль или несколько.",
                    alerts=("NoticesLate",),
                ),
                graph(
                    "На сколько опаздывают",
                    "s",
                    (
                        Query("max(getpro_notices_oldest_seconds)", "Сообщение клиенту"),
                        Query("max(getpro_reminders_late_seconds)", "Напоминание"),
                    ),
                    "Хорошо: секунды. Напоминания ночью не шлются и ждут утра.",
                    limits=bad_above(5400, warn=900),
                    alerts=("NoticesLate", "RemindersLate"),
                ),
            ),
        ),
    ),
)

_CALLS: Final = "getpro_service_calls_total"
_QUEUES: Final = "getpro_queue_jobs"
DELIVERY: Final = Dashboard(
    "getpro-delivery",
    "Выдача и панель",
    "Получают ли люди то, за что заплатили, и кто их задерживает: панель или очередь?",
    (
        Row(
            "Всё ли в порядке",
            (
                UNDELIVERED,
                stat(
                    "Ждёт дольше всех",
                    "s",
                    known('max(getpro_undelivered_oldest_seconds{kind="paid"})'),
                    "Хорошо: секунды. Кому панель ещё не открыла доступ.",
                    limits=bad_above(3600, warn=60),
                    alerts=("ManyPaidNotDelivered",),
                ),
                stat(
                    "Панель не ответила за 5 минут, раз",
                    "none",
                    counted(f'{_CALLS}{{service="panel", result=~"away|failed"}}', "5m", job="bot|worker"),
                    "Хорошо: 0. Вызовы, на которые не было ответа или была ошибка панели.",
                    decimals=0,
                    limits=bad_above(3, warn=1),
                    alerts=("PanelUnreachable",),
                ),
                stat(
                    "Очередь денег стоит",
                    "s",
                    known('max(getpro_queue_oldest_seconds{queue="money"})'),
                    "Хорошо: секунды. Сколько ждёт старейшая работа с деньгами.",
                    limits=bad_above(600, warn=60),
                    alerts=("ProvisioningQueueStuck",),
                ),
                stat(
                    "Брошено работ с деньгами",
                    "none",
                    known(f'max({_QUEUES}{{queue="money", status="failed"}})'),
                    "Хорошо: 0. Они больше не повторяются сами.",
                    limits=bad_if_any(),
                    alerts=("QueueFailed",),
                ),
                stat(
                    "Работы идут",
                    "none",
                    'min(up{job="worker"})',
                    "Хорошо: «Да». Prometheus видит процесс worker.",
                    words=YES_NO,
                    alerts=("WorkerDown",),
                ),
            ),
        ),
        Row(
            "Выдача",
            (
                graph(
                    "Не выдано",
                    "none",
                    Query(known("max by (kind) (getpro_undelivered)"), "{{kind}}"),
                    "Хорошо: ноль. paid: за деньги; free: пробный срок, подарок, правка.",
                    is_stacked=True,
                    alerts=("PaymentsPaidNotDelivered",),
                ),
                graph(
                    "От оплаты до доступа",
                    "s",
                    (
                        Query(quantile(0.5, "getpro_delivery_seconds"), "Половина быстрее"),
                        Query(quantile(0.95, "getpro_delivery_seconds"), "95 % быстрее"),
                    ),
                    "Хорошо: секунды. Обещано: минута.",
                ),
            ),
        ),
        Row(
            "Панель",
            (
                graph(
                    "Вызовы панели, в минуту",
                    "none",
                    Query(
                        f'60 * sum by (result) (rate({_CALLS}{{service="panel"}}[{WINDOW}]))', "{{result}}"
                    ),
                    "Хорошо: ok. away: не отвечает; failed: её ошибка; refused: не приняла, часто сквад.",
                    is_stacked=True,
                    alerts=("PanelUnreachable",),
                ),
                graph(
                    "За сколько отвечает панель",
                    "s",
                    (
                        Query(
                            quantile(0.5, "getpro_service_seconds", labels='{service="panel"}'),
                            "Половина быстрее",
                        ),
                        Query(
                            quantile(0.95, "getpro_service_seconds", labels='{service="panel"}'),
                            "95 % быстрее",
                        ),
                    ),
                    "Хорошо: меньше секунды.",
                ),
            ),
        ),
        Row(
            "Очереди",
            (
                graph(
                    "Работы в очередях",
                    "none",
                    Query(f"max by (queue, status) ({_QUEUES})", "{{queue}}: {{status}}"),
                    "Хорошо: todo не растёт. doing: идут; failed: ждут человека.",
                    alerts=("ProvisioningQueueStuck", "QueueFailed"),
                ),
                graph(
                    "Старейшая работа",
                    "s",
                    Query(known("max by (queue) (getpro_queue_oldest_seconds)"), "{{queue}}"),
                    "Хорошо: секунды.",
                    limits=bad_above(600),
                    alerts=("ProvisioningQueueStuck",),
                ),
                graph(
                    "Работы не с первого раза, в минуту",
                    "none",
                    Query(
                        f'60 * sum by (job, result) (rate(getpro_jobs_total{{result!="done"}}[{WINDOW}]))',
                        "{{job}}: {{result}}",
                    ),
                    "Хорошо: ноль. again: будет ещё раз; failed: больше не повторяется.",
                    alerts=("QueueFailed",),
                ),
                graph(
                    "Самые долгие работы",
                    "s",
                    Query(f"topk(5, {quantile(0.95, 'getpro_job_seconds', by='job')})", "{{job}}"),
                    "95 % быстрее. Хорошо: деньги (settle, deliver) быстрее секунды.",
                ),
                graph(
                    "Расписание опаздывает",
                    "s",
                    Query("topk(5, max by (schedule) (getpro_schedule_overdue_seconds))", "{{schedule}}"),
                    "Хорошо: секунды. ops_…: проверки; больше получаса — проверка не состоялась.",
                    limits=bad_above(1800),
                    alerts=("RoutineMissed",),
                ),
                graph(
                    "Закрыт на сверку",
                    "s",
                    Query("max(getpro_held_seconds)", "Закрыт"),
                    "Хорошо: ноль. Иначе базу вернули на время в прошлом и не сверили: магазин не продаёт.",
                    limits=bad_above(900),
                    alerts=("ShopHeld",),
                ),
            ),
        ),
    ),
)
