"""What the database knows about the shop, as gauges for Prometheus.

Each figure is one statement that an index answers, and is asked at most every so often, however often
Prometheus comes. ``:now`` is the shop's clock. Its rows are the labels, then the value.
"""

import asyncio
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import TextClause, text
from sqlalchemy.exc import SQLAlchemyError

from getpro.kit.clock import Clock
from getpro.platform.database import DATABASE_AWAY, Database, Session

log = structlog.get_logger(__name__)

OFTEN: Final = 10
MINUTELY: Final = 60
SELDOM: Final = 300
"""For what has to count rows of a table that grows."""
_LONGEST_SECONDS: Final = 8
"""For all that is due; less than a scrape is given."""

_UNDELIVERED: Final = (
    "SELECT s.wanted_at, CASE WHEN bought.paid THEN 'paid' ELSE 'free' END AS kind"
    " FROM subscriptions s, LATERAL ("
    "SELECT coalesce(bool_or(payment_id IS NOT NULL AND refund_id IS NULL), false) AS paid"
    " FROM (SELECT payment_id, refund_id FROM subscription_changes c"
    " WHERE c.subscription_id = s.subscription_id ORDER BY change_id DESC"
    " LIMIT s.wanted_version - s.provisioned_version) AS missing) AS bought"
    " WHERE s.provisioned_version < s.wanted_version"
)
"""Subscriptions that the panel does not have as they are wanted, and whether money is among the reasons."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One gauge: its name, what it says, its labels, the statement, and how old it may be."""

    name: str
    words: str
    sql: str
    labels: tuple[str, ...] = ()
    every_seconds: int = OFTEN


FIGURES: Final = (
    Figure(
        "getpro_users",
        "Клиентов всего",
        "SELECT count(*) FROM users",
        every_seconds=SELDOM,
    ),
    Figure(
        "getpro_users_new_last_day",
        "Новых клиентов за сутки",
        "SELECT count(*) FROM users WHERE registration_date > :now - interval '1 day'",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_subscriptions_active",
        "Действующих подписок: чем оплачен последний срок",
        "SELECT provider, count(*) FROM subscriptions WHERE is_active GROUP BY provider",
        ("provider",),
        every_seconds=SELDOM,
    ),
    Figure(
        "getpro_subscriptions_ending_3_days",
        "Подписок, у которых срок выйдет за три дня",
        "SELECT count(*) FROM subscriptions"
        " WHERE is_active AND end_date BETWEEN :now AND :now + interval '3 days'",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_orders_last_hour",
        "Заказы последнего часа: чем платят и что с ними",
        "SELECT provider, status, count(*) FROM payments"
        " WHERE created_at > :now - interval '1 hour' AND created_at <= :now GROUP BY provider, status",
        ("provider", "status"),
    ),
    Figure(
        "getpro_paid_last_hour",
        "Оплачено за последний час, платежей",
        "SELECT provider, count(*) FROM payments"
        " WHERE paid_at > :now - interval '1 hour' AND paid_at <= :now GROUP BY provider",
        ("provider",),
    ),
    Figure(
        "getpro_paid_last_hour_roubles",
        "Оплачено за последний час, рублей",
        "SELECT provider, sum(amount) FROM payments"
        " WHERE paid_at > :now - interval '1 hour' AND paid_at <= :now GROUP BY provider",
        ("provider",),
    ),
    Figure(
        "getpro_paid_last_day",
        "Оплачено за последние сутки, платежей",
        "SELECT provider, count(*) FROM payments"
        " WHERE paid_at > :now - interval '1 day' AND paid_at <= :now GROUP BY provider",
        ("provider",),
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_paid_last_day_roubles",
        "Оплачено за последние сутки, рублей",
        "SELECT provider, sum(amount) FROM payments"
        " WHERE paid_at > :now - interval '1 day' AND paid_at <= :now GROUP BY provider",
        ("provider",),
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_paid_expected_hour",
        "Сколько платежей обычно бывает за этот час недели: среднее до четырёх прошлых недель",
        "SELECT sum(found.paid) / greatest(1, least(4, floor(extract(epoch FROM"
        " :now - (SELECT min(paid_at) FROM payments WHERE paid_at IS NOT NULL)) / 604800)))"
        " FROM generate_series(1, 4) AS weeks(ago),"
        " LATERAL (SELECT count(*) AS paid FROM payments"
        " WHERE paid_at > :now - weeks.ago * interval '7 days' - interval '1 hour'"
        " AND paid_at <= :now - weeks.ago * interval '7 days') AS found",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_undelivered",
        "Подписок, которые панель ещё не получила: paid — за деньги, free — пробный срок, подарок, правка",
        f"SELECT kind, count(*) FROM ({_UNDELIVERED}) AS waiting GROUP BY 1",  # noqa: S608 -- our own statement
        ("kind",),
    ),
    Figure(
        "getpro_undelivered_oldest_seconds",
        "Сколько ждёт доступа тот, кто ждёт дольше всех: paid и free — как у getpro_undelivered",
        f"SELECT kind, extract(epoch FROM :now - min(wanted_at)) FROM ({_UNDELIVERED}) AS waiting GROUP BY 1",  # noqa: S608 -- our own statement
        ("kind",),
    ),
    Figure(
        "getpro_notices_unhandled",
        "Уведомлений провайдеров, которые ещё не разобраны",
        "SELECT count(*) FROM provider_events WHERE handled_at IS NULL AND dismissed_at IS NULL",
    ),
    Figure(
        "getpro_stuck_payments",
        "Деньги, которые ждут решения человека",
        "SELECT kind, count(*) FROM stuck_payments WHERE resolved_at IS NULL GROUP BY kind",
        ("kind",),
    ),
    Figure(
        "getpro_refunds_open",
        "Возвраты, которые ещё не сделаны",
        "SELECT status, count(*) FROM refunds WHERE status IN ('pending', 'refused') GROUP BY status",
        ("status",),
    ),
    Figure(
        "getpro_queue_jobs",
        "Работы в очереди: todo — ждут, doing — идут, failed — нужен человек",
        "SELECT queue_name, status::text, count(*) FROM procrastinate_jobs GROUP BY 1, 2",
        ("queue", "status"),
    ),
    Figure(
        "getpro_queue_oldest_seconds",
        "Сколько ждёт старейшая работа очереди из тех, чьё время пришло",
        # Of a job that may run at once only the event of its deferring says since when; the oldest will do.
        "SELECT queue_name, greatest(0, extract(epoch FROM :now - min(since))) FROM ("
        "SELECT queue_name, (SELECT min(e.at) FROM procrastinate_events e WHERE e.job_id = first.id) AS since"
        " FROM (SELECT DISTINCT ON (queue_name) queue_name, id FROM procrastinate_jobs"
        " WHERE status = 'todo' AND scheduled_at IS NULL ORDER BY queue_name, id) AS first"
        " UNION ALL SELECT queue_name, min(scheduled_at) FROM procrastinate_jobs"
        " WHERE status = 'todo' AND scheduled_at <= :now GROUP BY 1) AS waiting GROUP BY 1",
        ("queue",),
    ),
    Figure(
        "getpro_notices_waiting",
        "Сообщений клиентам, которые ещё не отправлены",
        "SELECT count(*) FROM notices WHERE sent_at IS NULL AND dropped_at IS NULL",
    ),
    Figure(
        "getpro_notices_oldest_seconds",
        "Сколько ждёт старейшее сообщение клиенту",
        "SELECT coalesce(extract(epoch FROM :now - min(created_at)), 0) FROM notices"
        " WHERE sent_at IS NULL AND dropped_at IS NULL",
    ),
    Figure(
        "getpro_reminders_late_seconds",
        "На сколько опаздывает напоминание, которое опаздывает больше всех",
        "SELECT greatest(0, coalesce(extract(epoch FROM :now - min(next_reminder_at)), 0))"
        " FROM subscriptions WHERE next_reminder_at IS NOT NULL",
    ),
    Figure(
        "getpro_schedule_overdue_seconds",
        "На сколько опаздывает работа по расписанию",
        # What is later than that is of another release: nobody here declares it.
        "SELECT name, greatest(0, extract(epoch FROM :now - next_run_at)) FROM schedules"
        " WHERE next_run_at > :now - interval '1 day'",
        ("schedule",),
    ),
    Figure(
        "getpro_routine_late_seconds",
        "На сколько опаздывает проверка: её время пришло, а итога нет",
        "SELECT substr(s.name, 5), greatest(0, extract(epoch FROM :now -"
        " CASE WHEN s.last_run_at IS NULL OR EXISTS (SELECT FROM check_runs r"
        " WHERE r.routine = substr(s.name, 5) AND r.started_at >= s.last_run_at)"
        " THEN s.next_run_at ELSE s.last_run_at END))"
        " FROM schedules s WHERE starts_with(s.name, 'ops_')",
        ("routine",),
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_check_level",
        "Чем кончилась каждая строка последней проверки:"
        " 0 в порядке, 1 внимание, 2 не проверено, 3 неверно; старше девяти дней не показано",
        "SELECT run.routine, found.name, max(found.level) FROM (SELECT DISTINCT ON (routine)"
        " routine, findings FROM check_runs"
        " WHERE started_at > :now - interval '9 days' AND started_at <= :now"
        " ORDER BY routine, started_at DESC) AS run,"
        " LATERAL (SELECT finding ->> 'name' AS name, array_position("
        "ARRAY['ok', 'attention', 'unknown', 'wrong'], finding ->> 'level') - 1 AS level"
        " FROM jsonb_array_elements(run.findings) AS finding) AS found GROUP BY 1, 2",
        ("routine", "check"),
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_backup_age_seconds",
        "Сколько прошло с последней копии; не было ни одной — с первого клиента",
        "SELECT extract(epoch FROM :now - coalesce("
        "(SELECT max(started_at) FROM backups WHERE state = 'made' AND kind = 'dump'),"
        " (SELECT min(registration_date) FROM users), :now))",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_backup_bytes",
        "Размер последней копии; 0 — не было ни одной",
        "SELECT coalesce((SELECT bytes FROM backups WHERE state = 'made' AND kind = 'dump'"
        " ORDER BY started_at DESC LIMIT 1), 0)",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_wal_unsafe_seconds",
        "За сколько последних секунд журнала базы нет в папке копий или, если он уходит и туда, вне машины",
        "SELECT extract(epoch FROM :now - coalesce((SELECT max(least(safe_until, offsite_until))"
        " FROM wal_streams),"
        " (SELECT min(registration_date) FROM users), :now))",
    ),
    Figure(
        "getpro_base_backup_age_seconds",
        "Сколько прошло с последней базовой копии не из будущего; не было ни одной — с первой копии",
        "SELECT extract(epoch FROM :now - coalesce("
        "(SELECT max(started_at) FROM backups"
        " WHERE state = 'made' AND kind <> 'dump' AND started_at <= :now),"
        " (SELECT min(started_at) FROM backups), :now))",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_backup_offsite_age_seconds",
        "Сколько прошло с последней копии, что есть и вне машины; нет ни одной — с первой копии",
        "SELECT extract(epoch FROM :now - coalesce("
        "(SELECT max(started_at) FROM backups WHERE offsite_at IS NOT NULL AND kind = 'dump'),"
        " (SELECT min(started_at) FROM backups), :now))",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_base_backup_offsite_age_seconds",
        "То же о базовой копии; 0 — журнал базы с машины не уходит",
        "SELECT CASE WHEN (SELECT max(offsite_until) FROM wal_streams) IS NULL THEN 0"
        " ELSE extract(epoch FROM :now - coalesce("
        "(SELECT max(started_at) FROM backups WHERE offsite_at IS NOT NULL AND kind <> 'dump'),"
        " (SELECT min(started_at) FROM backups WHERE kind <> 'dump'), :now)) END",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_restore_test_age_seconds",
        "Сколько прошло с последнего удачного пробного восстановления; не было ни одного — с первой копии",
        "SELECT extract(epoch FROM :now - coalesce("
        "(SELECT max(verified_at) FROM backups WHERE is_good AND kind = 'dump'),"
        " (SELECT min(started_at) FROM backups), :now))",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_base_backup_test_age_seconds",
        "Сколько прошло с последней пробы базовой копии; не было ни одной — с первой базовой копии",
        "SELECT extract(epoch FROM :now - coalesce(max(verified_at), min(started_at), :now)) FROM backups"
        " WHERE kind <> 'dump'",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_restore_test_success",
        "1, если последние пробные восстановления ночной и базовой копии удались или их ещё не было",
        "SELECT coalesce(min(is_good::int), 1) FROM (SELECT DISTINCT ON (kind = 'dump') is_good FROM backups"
        " WHERE verified_at IS NOT NULL ORDER BY kind = 'dump', verified_at DESC) AS newest",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_drill_age_seconds",
        "Сколько прошло с последних удачных учений; не было ни одних — с первой копии",
        "SELECT extract(epoch FROM :now - coalesce("
        "(SELECT max(started_at) FROM drills WHERE trouble IS NULL),"
        " (SELECT min(started_at) FROM backups), :now))",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_drill_rto_seconds",
        "За сколько магазин снова продавал на последних удачных учениях; 0 — не было ни одних",
        "SELECT coalesce((SELECT rto_seconds FROM drills WHERE trouble IS NULL"
        " ORDER BY started_at DESC LIMIT 1), 0)",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_incidents",
        "Нерешённых инцидентов: open — не взят, taken — взят",
        "SELECT level, state, count(*) FROM incidents WHERE state <> 'resolved' GROUP BY level, state",
        ("level", "state"),
    ),
    Figure(
        "getpro_incident_unanswered_seconds",
        "Сколько уровень зовёт, и никто не взял: у L1 и L2, если их срок прошёл, а выше не позвали",
        "SELECT level, max(extract(epoch FROM :now - called_at)) FROM incidents"
        " WHERE state = 'open' AND called_at IS NOT NULL AND coalesce(snoozed_until, :now) <= :now"
        " AND (level = 'L3' OR next_step_at < :now - interval '2 minutes') GROUP BY level",
        ("level",),
    ),
    Figure(
        "getpro_page_waiting_seconds",
        "Сколько самый старый вызов на инцидент не может дойти: по какому пути",
        "SELECT route, max(extract(epoch FROM :now - created_at)) FROM pages"
        " WHERE state IN ('waiting', 'sending') GROUP BY route",
        ("route",),
    ),
    Figure(
        "getpro_held_seconds",
        "Сколько магазин закрыт: база восстановлена на время в прошлом, сверка не кончена; 0 — открыт",
        "SELECT coalesce(extract(epoch FROM :now - min(marked_at)), 0) FROM restores"
        " WHERE reconciled_at IS NULL",
    ),
    Figure(
        "getpro_database_bytes",
        "Размер базы без пробных покупок",
        "SELECT pg_database_size(current_database()) - coalesce((SELECT sum(pg_total_relation_size(oid))"
        " FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace('synthetic')), 0)",
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_database_connections",
        "Соединения с сервером базы",
        "SELECT coalesce(state, 'other'), count(*) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' GROUP BY 1",
        ("state",),
    ),
    Figure(
        "getpro_database_connections_max",
        "Сколько соединений сервер базы примет",
        "SELECT current_setting('max_connections')::int",
        every_seconds=SELDOM,
    ),
    Figure(
        "getpro_database_locks_waiting",
        "Запросов, которые ждут чужой блокировки",
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    ),
    Figure(
        "getpro_database_oldest_transaction_seconds",
        "Сколько идёт самая долгая транзакция; уборка таблиц и копия базы не в счёт",
        "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        " AND coalesce(application_name, '') NOT IN ('pg_dump', '2getpro backup')"
        " AND NOT starts_with(upper(coalesce(query, '')), 'VACUUM')",
    ),
    Figure(
        "getpro_database_xid_age",
        "Возраст старейшего номера транзакции: у двух миллиардов база остановится",
        "SELECT max(age(datfrozenxid)) FROM pg_database",
        every_seconds=SELDOM,
    ),
    Figure(
        "getpro_table_bytes",
        "Размер таблицы с её индексами; части одной таблицы вместе",
        "SELECT coalesce(pg_partition_root(c.oid), c.oid)::regclass::text, sum(pg_total_relation_size(c.oid))"
        " FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY 1",
        ("table",),
        every_seconds=SELDOM,
    ),
    Figure(
        "getpro_table_live_rows",
        "Строк в таблице, по счёту PostgreSQL",
        "SELECT coalesce(pg_partition_root(relid), relid)::regclass::text, sum(n_live_tup)"
        " FROM pg_stat_user_tables WHERE schemaname = 'public' GROUP BY 1",
        ("table",),
        every_seconds=MINUTELY,
    ),
    Figure(
        "getpro_table_dead_rows",
        "Мёртвых строк в таблице, которые ждут уборки",
        "SELECT coalesce(pg_partition_root(relid), relid)::regclass::text, sum(n_dead_tup)"
        " FROM pg_stat_user_tables WHERE schemaname = 'public' GROUP BY 1",
        ("table",),
        every_seconds=MINUTELY,
    ),
)
_BY_NAME: Final = {figure.name: figure for figure in FIGURES}


async def rows_of(session: Session, name: str, *, now: datetime) -> list[Any]:
    """The rows of one figure: its labels, then its value. For those who tell it in words."""
    return list((await session.execute(*_statement(_BY_NAME[name], now))).all())


def _statement(figure: Figure, now: datetime) -> tuple[TextClause, dict[str, datetime]]:
    return text(figure.sql), {"now": now} if ":now" in figure.sql else {}


UP: Final = "getpro_database_up"
ASKED_SECONDS: Final = "getpro_figures_seconds"
FAILED: Final = "getpro_figures_failed"
OWN: Final = {
    UP: "1, если база отвечает",
    ASKED_SECONDS: "Сколько базу спрашивали в последний раз",
    FAILED: "Показателей, которые спросить не вышло",
}
"""What is said of the asking itself, and is there also while the database is away."""


class Figures(Collector):
    """Asks the database when told to, and shows Prometheus what it knows.

    While the database is away nothing of it is shown but that: an old figure would pass for a new one. One
    figure that is slow hides itself only.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        """``db`` has a connection for this alone: a busy shop is not a database that is away."""
        self._db, self._clock = db, clock
        self._known: dict[str, GaugeMetricFamily] = {}
        self._asked_at: dict[str, float] = {}
        self._failed: set[str] = set()
        self._is_up = False
        self._asked_seconds = 0.0
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask for what is older than it may be; two that come at once ask once."""
        async with self._asking:
            began = time.monotonic()
            self._is_up, under_way = False, ""
            try:
                async with asyncio.timeout(_LONGEST_SECONDS), self._db.read("figures") as session:
                    await session.execute(text("SELECT 1"))
                    self._is_up = True
                    for figure in self._due(began):
                        under_way = figure.name
                        self._asked_at[under_way] = began
                        await self._ask(session, figure)
            except (*DATABASE_AWAY, TimeoutError) as error:
                if self._is_up and isinstance(error, TimeoutError):
                    log.warning("figures.too_slow", figure=under_way)
                    self._forget(under_way)
                else:
                    log.warning("figures.database_away", error=type(error).__name__)
                    self._is_up = False
                    self._known.clear()
                    self._asked_at.clear()
            self._asked_seconds = time.monotonic() - began

    def _due(self, now: float) -> list[Figure]:
        """Those first that have waited longest: what comes after a slow one has its turn the next time."""
        due = [one for one in FIGURES if now - self._asked_at.get(one.name, -math.inf) >= one.every_seconds]
        return sorted(due, key=lambda figure: self._asked_at.get(figure.name, -math.inf))

    async def _ask(self, session: Session, figure: Figure) -> None:
        family = GaugeMetricFamily(figure.name, figure.words, labels=figure.labels)
        try:
            for *labels, value in await session.execute(*_statement(figure, self._clock())):
                if value is not None:
                    family.add_metric([str(label) for label in labels], float(value))
        except DATABASE_AWAY:
            raise
        except SQLAlchemyError:
            log.exception("figures.failed", figure=figure.name)
            self._forget(figure.name)
        else:
            self._known[figure.name] = family
            self._failed.discard(figure.name)

    def _forget(self, name: str) -> None:
        self._failed.add(name)
        self._known.pop(name, None)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        values = {UP: self._is_up, ASKED_SECONDS: self._asked_seconds, FAILED: len(self._failed)}
        for name, words in OWN.items():
            yield GaugeMetricFamily(name, words, value=float(values[name]))
        yield from self._known.values()
