"""Prometheus's own interface: targets, a query now, a query at several moments.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp

from getpro.checks.check import CALL_SECONDS
from getpro.checks.outside import why

START: Final = "Запустите его: docker-compose up -d prometheus."
"""What to do where it does not answer."""


class NotAnswered(Exception):
    """It did not, or not as it does; the text says where and why."""


async def targets(url: str) -> list[Any]:
    """The active ones."""
    found = await _ask(url, "targets", {"state": "active"})
    if not isinstance(found, dict) or not isinstance(found.get("activeTargets"), list):
        raise NotAnswered(f"{url}: ответ не разобрать")
    return list(found["activeTargets"])


async def by_label(url: str, expression: str, label: str, *, at: datetime) -> dict[str, float]:
    """The values of an instant query, by what stands in that label."""
    found = await _ask(url, "query", {"query": expression, "time": str(at.timestamp())})
    return {one["metric"].get(label, ""): float(one["value"][1]) for one in _result(url, found)}


async def at_moments(
    url: str, expression: str, *, until: datetime, every: timedelta, times: int
) -> dict[float, float]:
    """The one value of an expression at ``until`` and as often before; by Unix seconds, where it has any."""
    since = until - every * (times - 1)
    found = await _ask(
        url,
        "query_range",
        {
            "query": expression,
            "start": str(since.timestamp()),
            "end": str(until.timestamp()),
            "step": str(every.total_seconds()),
        },
    )
    series = _result(url, found)
    return {float(moment): float(value) for moment, value in series[0]["values"]} if series else {}


def _result(url: str, found: Any) -> list[Any]:
    if not isinstance(found, dict) or not isinstance(found.get("result"), list):
        raise NotAnswered(f"{url}: ответ не разобрать")
    return list(found["result"])


async def _ask(url: str, path: str, parameters: Mapping[str, str]) -> Any:
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(f"{url}/api/v1/{path}", params=parameters) as answer,
        ):
            return (await answer.json())["data"]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NotAnswered(f"{url} не отвечает: {why(error)}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise NotAnswered(f"{url}: ответ не разобрать") from error
