"""Prometheus: does it answer, and does it reach everything that it was told to?"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from getpro.checks.check import Finding, Line
from getpro.operations.looks import prometheus
from getpro.operations.looks.prometheus import START

TARGETS: Final = Line("monitoring.targets", "Prometheus: кого он видит")


async def look(url: str | None, expected: Sequence[str] = ()) -> AsyncIterator[Finding]:
    """By the list of targets, not by ``up``, as the guide asks: one that is gone has no ``up`` at all.

    ``expected`` are the jobs that it must be told to watch.
    """
    if url is None:
        yield TARGETS.attention("ещё не настроено", "Укажите OPERATIONS_PROMETHEUS_URL.")
        return
    try:
        found = await prometheus.targets(url)
        down = [(_named(target), target) for target in found if target["health"] != "up"]
        missing = [job for job in expected if job not in {target["labels"].get("job") for target in found}]
    except prometheus.NotAnswered as error:
        yield TARGETS.unknown(str(error), START)
        return
    except (KeyError, TypeError, AttributeError):
        yield TARGETS.unknown(f"{url}: ответ не разобрать", START)
        return
    for name, target in down:
        yield TARGETS.wrong(f"{name}: {target.get('lastError') or target['health']}", "Поднимите эту службу.")
    for job in missing:
        yield TARGETS.wrong(
            f"{job}: не среди целей", "Проверьте deploy/prometheus/prometheus.yml и OPERATIONS_SERVICES."
        )
    if not found:
        yield TARGETS.wrong("ни одной цели нет", "Проверьте deploy/prometheus/prometheus.yml.")
    elif not down and not missing:
        yield TARGETS.ok(f"все на месте: {len(found)}")


def _named(target: Any) -> str:
    return f"{target['labels'].get('job', '?')} {target['scrapeUrl']}"
