"""Have the shop's services been restarted, and do they work? By Prometheus, and by the queue's own books."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from sqlalchemy import text

from getpro.checks.check import Finding, Line
from getpro.operations import samples
from getpro.operations.looks import prometheus
from getpro.operations.looks.asking import asks_database
from getpro.operations.looks.prometheus import START
from getpro.platform.database import Database
from getpro.platform.jobs import WORKERS_A_PROCESS

RESTARTS: Final = Line("monitoring.restarts", "Перезапуски за сутки")
WORKERS: Final = Line("queue.workers", "Фоновые работы")
_SERVICES: Final = {"node": "node-exporter", "postgres": "postgres-exporter"}
"""What docker-compose.yml calls those whose job has another name."""
_OFTEN: Final = 2
_DAY: Final = timedelta(days=1)
_SILENT_SECONDS: Final = 30
"""A worker tells of itself every few seconds."""
_ALIVE: Final = (
    "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :silent)"
)


async def look_at_restarts(url: str, expected: Sequence[str], *, now: datetime) -> AsyncIterator[Finding]:
    """How often each service has begun anew within a day, by the moment that it gives for its start."""
    query = "sum by (job) (changes(process_start_time_seconds[24h]))"
    try:
        found = await prometheus.by_label(url, query, "job", at=now)
    except prometheus.NotAnswered as error:
        yield RESTARTS.unknown(str(error), START)
        return
    except (KeyError, TypeError, ValueError):
        yield RESTARTS.unknown(f"{url}: ответ не разобрать", START)
        return
    if silent := [job for job in expected if job not in found]:
        yield RESTARTS.unknown(
            f"неизвестно, когда запущены: {', '.join(silent)}", "Посмотрите сами: docker-compose ps."
        )
    restarted = {job: int(times) for job, times in sorted(found.items()) if times}
    for job, times in restarted.items():
        remedy = f"Если это не обновление, узнайте почему: docker-compose logs {_SERVICES.get(job, job)}."
        finding = RESTARTS.wrong if times > _OFTEN else RESTARTS.attention
        yield finding(f"{job}: {times}", remedy)
    if not silent and not restarted:
        yield RESTARTS.ok("ни одного")


@asks_database(WORKERS)
async def look_at_workers(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    """Who works off the queue, and how often one has begun within a day, by the queue's own books."""
    async with db.read("look: workers") as session:
        alive = int(await session.scalar(text(_ALIVE), {"silent": _SILENT_SECONDS}) or 0)
        started = int(await session.scalar(text(samples.WORKERS)) or 0)
        kept = await samples.of(session, samples.WORKERS_STARTED, since=now - 2 * _DAY, until=now - _DAY)
    if not alive:
        yield WORKERS.wrong("никто их не делает", "Запустите магазин: 2getpro run (или worker).")
        return
    seen = f"процессов {ceil(alive / WORKERS_A_PROCESS)}"
    if not (before := kept.get("")):
        yield WORKERS.ok(f"{seen}; о запусках за сутки мало данных")
        return
    times = ceil((started - before[-1][1]) / WORKERS_A_PROCESS)
    seen += f", запусков за сутки {times}"
    if times > _OFTEN:
        yield WORKERS.attention(seen, "Если это не обновления, узнайте почему: 2getpro logs --since 24h.")
    else:
        yield WORKERS.ok(seen)
