"""What the shop stands on: the database and the machine."""

from typing import Final

from tools.dashboards.model import (
    YES_NO,
    Dashboard,
    Limit,
    Query,
    Row,
    bad_above,
    bad_if_any,
    good_above,
    graph,
    stat,
)
from tools.dashboards.queries import WINDOW

_DEAD: Final = "max by (table) (getpro_table_dead_rows)"
_CONNECTIONS: Final = "max by (state) (getpro_database_connections)"
_OLDEST: Final = "max(getpro_database_oldest_transaction_seconds)"
DATABASE: Final = Dashboard(
    "getpro-database",
    "База",
    "Отвечает ли база, и не упрётся ли она во что-нибудь?",
    (
        Row(
            "Всё ли в порядке",
            (
                stat(
                    "База отвечает",
                    "none",
                    "max(getpro_database_up)",
                    "Хорошо: «Да». «Не видно»: молчит worker, который её спрашивает.",
                    words=YES_NO,
                    alerts=("PostgresDown",),
                ),
                stat(
                    "Занято соединений",
                    "percentunit",
                    f"sum({_CONNECTIONS}) / max(getpro_database_connections_max)",
                    "Хорошо: меньше 80 %. На 100 % магазин перестанет отвечать.",
                    decimals=0,
                    limits=bad_above(0.8),
                    alerts=("PostgresConnectionsHigh",),
                ),
                stat(
                    "Самая долгая транзакция",
                    "s",
                    _OLDEST,
                    "Хорошо: секунды. Минуты только во время копии базы или VACUUM.",
                    limits=bad_above(600),
                    alerts=("PostgresLongTransaction",),
                ),
                stat(
                    "Возраст номеров транзакций",
                    "short",
                    "max(getpro_database_xid_age)",
                    "Хорошо: меньше миллиарда. У двух миллиардов база остановится.",
                    limits=bad_above(1e9),
                    alerts=("PostgresXidAge",),
                ),
                stat(
                    "Показателей не спросить",
                    "none",
                    "max(getpro_figures_failed)",
                    "Хорошо: 0. Иначе часть графиков стоит.",
                    limits=bad_if_any(),
                    alerts=("FiguresFailed",),
                ),
                stat(
                    "Ждут чужой блокировки",
                    "none",
                    "max(getpro_database_locks_waiting)",
                    "Хорошо: 0, на секунду бывает больше. Не проходит: ищите долгую транзакцию.",
                    limits=bad_above(10, warn=3),
                ),
            ),
        ),
        Row(
            "Нагрузка",
            (
                graph(
                    "Соединения",
                    "none",
                    Query(_CONNECTIONS, "{{state}}"),
                    "Хорошо: больше всего idle. idle in transaction не должно расти.",
                    is_stacked=True,
                    alerts=("PostgresConnectionsHigh",),
                ),
                graph(
                    "Самая долгая транзакция",
                    "s",
                    Query(_OLDEST, "Секунд"),
                    "Хорошо: секунды.",
                    limits=bad_above(600),
                    alerts=("PostgresLongTransaction",),
                ),
                graph(
                    "За сколько база отвечает на вопросы Prometheus",
                    "s",
                    Query("max(getpro_figures_seconds)", "Секунд"),
                    "Хорошо: доли секунды. Растёт: база занята или таблицы выросли.",
                    alerts=("FiguresFailed",),
                ),
            ),
        ),
        Row(
            "Размеры",
            (
                graph(
                    "Размер базы",
                    "bytes",
                    Query("max(getpro_database_bytes)", "База"),
                    "Растёт ровно. Скачок: смотрите таблицы рядом.",
                    floor=None,
                    alerts=("DiskAlmostFull",),
                ),
                graph(
                    "Самые большие таблицы",
                    "bytes",
                    Query("topk(6, max by (table) (getpro_table_bytes))", "{{table}}"),
                    "Вместе с индексами. Больше всех обычно message_logs.",
                ),
                graph(
                    "Мёртвые строки",
                    "none",
                    Query(f"topk(6, {_DEAD})", "{{table}}"),
                    "Хорошо: растут и падают, их убирает PostgreSQL. Плохо: больше 100 тысяч и пятой части.",
                    alerts=("PostgresDeadRows",),
                ),
                graph(
                    "Строк в таблицах",
                    "none",
                    Query("topk(6, max by (table) (getpro_table_live_rows))", "{{table}}"),
                    "По счёту самого PostgreSQL, не точно.",
                ),
            ),
        ),
        Row(
            "Копии",
            (
                stat(
                    "Последней копии",
                    "s",
                    "max(getpro_backup_age_seconds)",
                    "Хорошо: меньше суток. Сколько прошло с последней копии базы.",
                    limits=bad_above(26 * 3600),
                    alerts=("BackupTooOld", "BackupFromFuture"),
                ),
                stat(
                    "Можно потерять",
                    "s",
                    "max(getpro_wal_unsafe_seconds)",
                    "Хорошо: меньше минуты. За столько последних секунд журнала базы ещё нет в папке копий.",
                    limits=bad_above(900),
                    alerts=("WalArchiveFailing", "BaseBackupTooOld"),
                ),
                stat(
                    "Последней копии вне машины",
                    "s",
                    "max(getpro_backup_offsite_age_seconds) * max(getpro_backup_offsite)",
                    "Хорошо: меньше суток. Ноль: копии с машины не уходят, BACKUP_S3_BUCKET не задан.",
                    limits=bad_above(26 * 3600),
                    alerts=("OffsiteMissing", "BaseOffsiteMissing"),
                ),
                stat(
                    "Последней пробе восстановления",
                    "s",
                    "max(getpro_restore_test_age_seconds)",
                    "Хорошо: меньше недели. Сколько прошло с последней удачной.",
                    limits=bad_above(8 * 86400),
                    alerts=("RestoreTestOverdue", "BaseTestOverdue"),
                ),
                stat(
                    "Последним учениям",
                    "s",
                    "max(getpro_drill_age_seconds)",
                    "Хорошо: меньше 35 дней. Сколько прошло с последних удачных.",
                    limits=bad_above(35 * 86400),
                    alerts=("DrDrillOverdue",),
                ),
                stat(
                    "На учениях вернулся за",
                    "s",
                    "max(getpro_drill_rto_seconds)",
                    "Хорошо: меньше 15 минут. За столько магазин снова продавал из одних копий.",
                    limits=bad_above(900),
                    alerts=("RtoBudgetExceeded",),
                ),
                stat(
                    "Последняя проба удалась",
                    "none",
                    "max(getpro_restore_test_success)",
                    "Хорошо: «Да».",
                    words=YES_NO,
                    alerts=("RestoreTestFailed",),
                ),
                graph(
                    "Размер копии",
                    "bytes",
                    Query("max(getpro_backup_bytes)", "последняя"),
                    "Хорошо: растёт понемногу. Упал на треть: что-то пропало.",
                    alerts=("BackupSizeAnomaly",),
                ),
            ),
        ),
    ),
)

_REAL: Final = '{fstype!~"tmpfs|overlay|squashfs"}'
_FREE: Final = f"node_filesystem_avail_bytes{_REAL}"
_SIZE: Final = f"node_filesystem_size_bytes{_REAL}"
_MEMORY: Final = "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
_CERTIFICATE_DAYS: Final = "(min(probe_ssl_earliest_cert_expiry) - time()) / 86400"
HOST: Final = Dashboard(
    "getpro-host",
    "Машина и службы",
    "Хватит ли диска и памяти, живы ли все службы, не кончается ли сертификат?",
    (
        Row(
            "Всё ли в порядке",
            (
                stat(
                    "Служб не видно",
                    "none",
                    "count(up == 0) or 0 * count(up)",
                    "Хорошо: 0. Каких именно: график «Службы».",
                    limits=bad_if_any(),
                    alerts=("TargetMissing",),
                ),
                stat(
                    "Свободно на диске",
                    "percentunit",
                    f"min({_FREE} / {_SIZE})",
                    "Хорошо: больше 20 %. На самом полном из дисков.",
                    decimals=0,
                    alerts=("DiskAlmostFull",),
                    **good_above(0.1, best=0.2),
                ),
                stat(
                    "Свободно через сутки",
                    "percentunit",
                    f"min(predict_linear({_FREE}[6h], 86400) / {_SIZE})",
                    "Хорошо: больше 10 %. Если пойдёт, как последние шесть часов; меньше нуля: кончится.",
                    decimals=0,
                    alerts=("DiskWillFill24h",),
                    **good_above(0, best=0.1),
                ),
                stat(
                    "Свободно памяти",
                    "percentunit",
                    f"min({_MEMORY})",
                    "Хорошо: больше 20 %.",
                    decimals=0,
                    alerts=("MemoryLow",),
                    **good_above(0.1, best=0.2),
                ),
                stat(
                    "Убито из-за памяти за сутки",
                    "none",
                    "sum(increase(node_vmstat_oom_kill[1d]))",
                    "Хорошо: 0. Система убивает процесс, когда памяти нет.",
                    decimals=0,
                    limits=bad_if_any(),
                    alerts=("OomKill",),
                ),
                stat(
                    "Перезапусков за полчаса",
                    "none",
                    'max(changes(process_start_time_seconds{job=~"bot|worker"}[30m]))',
                    "Хорошо: 0, после обновления 1.",
                    limits=(Limit(2, "yellow"), Limit(3, "red", of=2)),
                    alerts=("ServiceRestartLoop",),
                ),
                stat(
                    "Сертификат, дней",
                    "none",
                    _CERTIFICATE_DAYS,
                    "Хорошо: больше 14. Того, который кончится первым.",
                    decimals=0,
                    alerts=("CertExpiresSoon", "CertExpiresVerySoon"),
                    **good_above(3, best=14),
                ),
                stat(
                    "Снаружи отвечает",
                    "none",
                    "min(probe_success)",
                    "Хорошо: «Да». Магазин открыт по своему адресу, как его видят клиенты и Telegram.",
                    words=YES_NO,
                    alerts=("BotDown", "AddressUnreachable"),
                ),
            ),
        ),
        Row(
            "Машина",
            (
                graph(
                    "Процессор",
                    "percentunit",
                    Query(
                        f'sum by (mode) (rate(node_cpu_seconds_total{{mode!="idle"}}[{WINDOW}]))'
                        ' / scalar(count(node_cpu_seconds_total{mode="idle"}))',
                        "{{mode}}",
                    ),
                    "Хорошо: вместе меньше 80 %. iowait: ждёт диск; steal: соседи по серверу.",
                    is_stacked=True,
                ),
                graph(
                    "Нагрузка на ядро",
                    "none",
                    Query('max(node_load15) / count(node_cpu_seconds_total{mode="idle"})', "За 15 минут"),
                    "Хорошо: меньше 1. Больше 2: процессы стоят в очереди.",
                    limits=bad_above(2, warn=1),
                ),
                graph(
                    "Память",
                    "bytes",
                    (
                        Query("max(node_memory_MemTotal_bytes)", "Всего"),
                        Query("max(node_memory_MemAvailable_bytes)", "Свободно"),
                    ),
                    "Хорошо: свободного больше пятой части.",
                    alerts=("MemoryLow",),
                ),
                graph(
                    "Свободно на дисках",
                    "percentunit",
                    Query(f"min by (mountpoint) ({_FREE} / {_SIZE})", "{{mountpoint}}"),
                    "Хорошо: больше 20 %.",
                    alerts=("DiskAlmostFull", "DiskWillFill24h", "DiskWillFill30d"),
                    **good_above(0.1),
                ),
                graph(
                    "Свободно мест для файлов",
                    "percentunit",
                    Query(
                        f"min by (mountpoint) (node_filesystem_files_free{_REAL}"
                        f" / (node_filesystem_files{_REAL} > 0))",
                        "{{mountpoint}}",
                    ),
                    "Inode. Кончаются от множества мелких файлов, и тогда диск «полон» при свободном месте.",
                ),
                graph(
                    "Диск занят",
                    "percentunit",
                    Query(f"max by (device) (rate(node_disk_io_time_seconds_total[{WINDOW}]))", "{{device}}"),
                    "Хорошо: меньше 80 %.",
                ),
                graph(
                    "Сеть",
                    "binBps",
                    (
                        Query(
                            f'sum(rate(node_network_receive_bytes_total{{device!="lo"}}[{WINDOW}]))',
                            "Принято",
                        ),
                        Query(
                            f'sum(rate(node_network_transmit_bytes_total{{device!="lo"}}[{WINDOW}]))',
                            "Отдано",
                        ),
                    ),
                    "Всплеск без покупателей: кто-то лишний.",
                ),
            ),
        ),
        Row(
            "Службы",
            (
                graph(
                    "Службы",
                    "none",
                    Query("min by (job) (up)", "{{job}}"),
                    "Хорошо: у всех 1. 0: Prometheus не дозвался.",
                    alerts=("TargetMissing",),
                ),
                graph(
                    "Память магазина",
                    "bytes",
                    Query('max by (job) (process_resident_memory_bytes{job=~"bot|worker"})', "{{job}}"),
                    "Хорошо: ровно. Растёт днями и не падает: утечка, перезапустите и расскажите нам.",
                ),
                graph(
                    "Процессор магазина",
                    "percentunit",
                    Query(
                        f'sum by (job) (rate(process_cpu_seconds_total{{job=~"bot|worker"}}[{WINDOW}]))',
                        "{{job}}",
                    ),
                    "100 %: ядро занято целиком. Хорошо: меньше 70 %.",
                ),
                graph(
                    "Магазин снаружи отвечает за",
                    "s",
                    Query("max by (instance) (probe_duration_seconds)", "{{instance}}"),
                    "Хорошо: меньше секунды.",
                ),
            ),
        ),
    ),
)
