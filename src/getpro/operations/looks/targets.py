"""Prometheus: does it answer, and does it reach everything that it was told to?"""

from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from getpro.checks.check import CALL_SECONDS, Finding, Line
from getpro.checks.outside import why

TARGETS: Final = Line("monitoring.targets", "Prometheus: кого он видит")
_START: Final = "Запустите его: docker-compose up -d prometheus."


async def look(prometheus_url: str | None) -> AsyncIterator[Finding]:
    """By ``up``, as the guide asks, and by the list of targets: one that is gone has no ``up`` at all."""
    if prometheus_url is None:
        yield TARGETS.attention("ещё не настроено", "Укажите OPERATIONS_PROMETHEUS_URL.")
        return
    try:
        targets = await _ask(f"{prometheus_url}/api/v1/targets?state=active")
    except (aiohttp.ClientError, TimeoutError, OSError, KeyError, TypeError, ValueError) as error:
        yield TARGETS.unknown(f"{prometheus_url} не отвечает: {why(error)}", _START)
        return
    found = targets["activeTargets"] if isinstance(targets, dict) and "activeTargets" in targets else None
    if found is None:
        yield TARGETS.unknown(f"{prometheus_url}: ответ не разобрать", _START)
        return
    if not found:
        yield TARGETS.wrong("ни одной цели нет", "Проверьте deploy/prometheus/prometheus.yml.")
    down = [target for target in found if target["health"] != "up"]
    for target in down:
        where = f"{target['labels'].get('job', '?')} {target['scrapeUrl']}"
        yield TARGETS.wrong(
            f"{where}: {target.get('lastError') or target['health']}", "Поднимите эту службу."
        )
    if found and not down:
        yield TARGETS.ok(f"все на месте: {len(found)}")


async def _ask(url: str) -> Any:
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
        return (await answer.json())["data"]
