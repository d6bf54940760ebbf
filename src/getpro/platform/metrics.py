"""What a process counts about itself, for Prometheus: one catalogue of names, labels and words.

Names and units follow https://prometheus.io/docs/practices/naming/. A label takes few values, none of them
from outside: methods, providers and outcomes, never a customer or a payment. The words are for operators.
What the database knows is read from there instead: ``getpro.operations.figures``.
"""

import contextlib
import logging
import platform
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)

from getpro import __version__
from getpro.platform.jobs import Ended
from getpro.platform.logging import error_of, fields_of

REGISTRY: Final = CollectorRegistry()
"""One a process, as the processes are what is counted."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_QUICK: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
"""Seconds of what a customer or a service is waited for."""
_PATIENT: Final = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600)
"""Seconds from the money to the access."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the catalogue: the name as Prometheus has it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    words: str


_IS_ASIDE: Final[ContextVar[bool]] = ContextVar("what happens is no customer's", default=False)


class _OfCustomers(Counter):
    """Counts what happens to customers, and not what happens :func:`aside`."""

    def labels(self, *values: Any, **named: Any) -> Self:
        if _IS_ASIDE.get():
            return cast("Self", Counter("aside", "", registry=None))
        return super().labels(*values, **named)


class _SecondsOfCustomers(Histogram):
    """Likewise."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        if not _IS_ASIDE.get():
            super().observe(amount, exemplar)


CATALOGUE: Final = [Entry("getpro_build_info", "сведения", ("version", "python"), "Какая версия работает")]


def _counter(name: str, words: str, *labels: str, kind: type[Counter] = Counter) -> Counter:
    CATALOGUE.append(Entry(name, "счётчик", labels, words))
    return kind(name, words, labels, registry=REGISTRY)


def _gauge(name: str, words: str) -> Gauge:
    CATALOGUE.append(Entry(name, "величина", (), words))
    return Gauge(name, words, registry=REGISTRY)


def _histogram(
    buckets: tuple[float, ...], name: str, words: str, *labels: str, kind: type[Histogram] = Histogram
) -> Histogram:
    CATALOGUE.append(Entry(name, "гистограмма", labels, words))
    return kind(name, words, labels, buckets=buckets, registry=REGISTRY)


Info("getpro_build", "Какая версия работает", registry=REGISTRY).info(
    {"version": __version__, "python": platform.python_version()}
)

UPDATES: Final = _counter(
    "getpro_updates_total",
    "Обновления от Telegram: что это было и чем кончилось",
    "kind",
    "result",
    kind=_OfCustomers,
)
for _kind in ("message", "callback_query"):
    UPDATES.labels(_kind, "failed")  # a series that begins with its first error would not be seen to grow
UPDATE_SECONDS: Final = _histogram(
    _QUICK,
    "getpro_update_seconds",
    "Сколько обрабатывалось обновление, вместе с вызовами Telegram",
    "kind",
    kind=_SecondsOfCustomers,
)
BOT_API_CALLS: Final = _counter(
    "getpro_bot_api_calls_total",
    "Вызовы Bot API: метод и ответ; too_many_requests — Telegram просит подождать",
    "method",
    "result",
)
BOT_API_CALLS.labels("sendMessage", "away")  # likewise
BOT_API_SECONDS: Final = _histogram(_QUICK, "getpro_bot_api_seconds", "Сколько отвечал Bot API")
WEBHOOKS: Final = _counter(
    "getpro_webhooks_total",
    "Что пришло на адрес магазина: taken — принято, иначе почему отвергнуто",
    "door",
    "result",
)
CHARGES: Final = _counter(
    "getpro_charges_total",
    "Чем кончился разбор платежа: settled — деньги зачтены и срок выдан",
    "provider",
    "outcome",
    kind=_OfCustomers,
)
DELIVERY_SECONDS: Final = _histogram(
    _PATIENT,
    "getpro_delivery_seconds",
    "От оплаты у провайдера до открытого на панели доступа",
    kind=_SecondsOfCustomers,
)
SERVICE_CALLS: Final = _counter(
    "getpro_service_calls_total",
    "Вызовы панели и провайдеров: что спрашивали и что ответили",
    "service",
    "operation",
    "result",
)
SERVICE_SECONDS: Final = _histogram(
    _QUICK, "getpro_service_seconds", "Сколько отвечали панель и провайдеры", "service"
)
JOBS: Final = _counter(
    "getpro_jobs_total",
    "Фоновые работы: done — сделана, again — будет ещё раз, failed — больше не повторяется",
    "job",
    "result",
)
JOB_SECONDS: Final = _histogram(_QUICK, "getpro_job_seconds", "Сколько шла фоновая работа", "job")
SYNTHETIC_SUCCESS: Final = _gauge(
    "getpro_synthetic_purchase_success",
    "1, если последняя пробная покупка прошла; из процессов верьте тому, чья покупка позже",
)
SYNTHETIC_AT: Final = _gauge(
    "getpro_synthetic_purchase_timestamp_seconds",
    "Когда этот процесс покупал в последний раз; 0 — ещё не покупал",
)
SYNTHETIC_SECONDS: Final = _histogram(
    _QUICK, "getpro_synthetic_purchase_seconds", "Сколько шла пробная покупка, вся"
)
SYNTHETIC_OFF: Final = _gauge(
    "getpro_synthetic_purchase_off", "1, если пробные покупки выключены настройкой OPERATIONS_SYNTHETIC"
)


BACKUP_OFFSITE: Final = _gauge("getpro_backup_offsite", "1, если копии уходят с машины (BACKUP_S3_BUCKET)")
BACKUP_OFF: Final = _gauge("getpro_backup_off", "1, если копии выключены настройкой BACKUP_ENABLED")
WAL_OFF: Final = _gauge(
    "getpro_wal_off", "1, если копии на любую минуту выключены настройкой или сервер базы для них стар"
)


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """What happens in the block, and in the tasks that are begun there, is counted for no customer."""
    token = _IS_ASIDE.set(True)
    try:
        yield
    finally:
        _IS_ASIDE.reset(token)


LOG_LINES: Final = _counter(
    "getpro_log_lines_total",
    "Строки журнала важности WARNING и выше: все подробности в самом журнале",
    "level",
)
for _level in ("WARNING", "ERROR", "CRITICAL"):
    LOG_LINES.labels(_level)  # likewise
ERROR_KINDS: Final = _counter(
    "getpro_error_kinds_total", "Разные ошибки: сколько таких, каких процесс с запуска ещё не писал в журнал"
)


class CountLines(logging.Handler):
    """Counts what the log says is not well, and how many different errors there are."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kinds: set[tuple[str, str]] = set()
        """Event and kind of exception: names in our code and in others', so there are few."""

    def emit(self, record: logging.LogRecord) -> None:
        LOG_LINES.labels(record.levelname).inc()
        if record.levelno < logging.ERROR:
            return
        error = error_of(record)
        kind = str(fields_of(record)["event"]), "" if error is None else type(error).__name__
        if kind not in self._kinds:
            self._kinds.add(kind)
            ERROR_KINDS.inc()


@contextlib.contextmanager
def timed(observe: Callable[[float], None]) -> Iterator[None]:
    """Hand the seconds that the block took to ``observe``, however it ends."""
    began = time.monotonic()
    try:
        yield
    finally:
        observe(time.monotonic() - began)


def result_of(status: int) -> str:
    """An HTTP answer in a word."""
    if status == 429:  # noqa: PLR2004 -- HTTP, here and below
        return "too_many_requests"
    return "ok" if status < 400 else "refused" if status < 500 else "failed"  # noqa: PLR2004


def count_job(ended: Ended) -> None:
    """A listener of ``Jobs``."""
    result = "done" if ended.error is None else "failed" if ended.is_over else "again"
    JOBS.labels(ended.name, result).inc()
    JOB_SECONDS.labels(ended.name).observe(ended.seconds)
