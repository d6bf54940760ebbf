"""The dashboards' main lines, without eyes: this hour against the same hour of past weeks, by Prometheus."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from statistics import mean
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.operations.looks import prometheus
from getpro.operations.looks.prometheus import START

DASHBOARDS: Final = Line("dashboards", "Против того же часа прошлых недель")
_WEEK: Final = timedelta(days=7)
_WEEKS: Final = 4
_LEAST_WEEKS: Final = 2
_TIMES: Final = 2
"""Beyond so many times the largest, or short of the smallest by as many, of the same hour of past weeks."""


@dataclass(frozen=True, slots=True)
class Series:
    """What is looked at. A count that is not there is none, if anything was watched then."""

    line: Line
    expression: str
    remedy: str
    least: float
    """Below it nothing is unusual."""
    is_count: bool = True
    suffix: str = ""
    when_low: bool = False
    """Whether too little is trouble; too much always is worth a look."""
    is_high_wrong: bool = False


def _counted(expression: str) -> str:
    return f"sum(increase({expression}[1h])) or 0 * sum(getpro_build_info)"


SERIES: Final = (
    Series(
        Line("dashboards.updates", "Обновления от Telegram за час"),
        _counted("getpro_updates_total"),
        "Проверьте бота: 2getpro doctor; много бывает и от накрутки.",
        least=20,
        when_low=True,
    ),
    Series(
        Line("dashboards.payments", "Зачтено платежей за час"),
        _counted('getpro_charges_total{outcome="settled"}'),
        "Купите сами по каждому провайдеру; 2getpro doctor.",
        least=9,
        when_low=True,
    ),
    Series(
        Line("dashboards.errors", "Ошибки бота за час"),
        _counted('getpro_updates_total{result="failed"}'),
        "2getpro logs --since 2h --level error",
        least=5,
        is_high_wrong=True,
    ),
    Series(
        Line("dashboards.delivery", "От оплаты до доступа, 95 % быстрее"),
        "histogram_quantile(0.95, sum by (le) (increase(getpro_delivery_seconds_bucket[1h]))) >= 0",
        "Проверьте панель: 2getpro doctor.",
        least=10,
        is_count=False,
        suffix=" с",
        is_high_wrong=True,
    ),
)


async def look(url: str | None, *, now: datetime) -> AsyncIterator[Finding]:
    """A line each; what was watched for less than two weeks before cannot be unusual yet.

    That there is no Prometheus is the morning's news; told every two hours it would be noise.
    """
    if url is None:
        yield DASHBOARDS.absent("нет Prometheus (OPERATIONS_PROMETHEUS_URL)")
        return
    for series in SERIES:
        try:
            found = await prometheus.at_moments(
                url, series.expression, until=now, every=_WEEK, times=_WEEKS + 1
            )
        except prometheus.NotAnswered as error:
            yield DASHBOARDS.unknown(str(error), START)
            return
        except (KeyError, TypeError, ValueError, IndexError):
            yield DASHBOARDS.unknown(f"{url}: ответ не разобрать", START)
            return
        latest = found.pop(max(found), None) if found and max(found) > now.timestamp() - 1 else None
        yield judged(series, latest, list(found.values()))


def judged(series: Series, latest: float | None, past: list[float]) -> Finding:
    """``latest`` is None where Prometheus knows nothing of this hour."""
    if latest is None and series.is_count:
        return series.line.unknown(
            "за этот час нет данных", "Prometheus не видит магазин: 2getpro ops morning."
        )
    if latest is None:
        return series.line.ok("за этот час никому")
    seen = f"{latest:.0f}{series.suffix}"
    if len(past) < _LEAST_WEEKS:
        return series.line.ok(f"{seen}; сравнить мало с чем: недель {len(past)}, нужно {_LEAST_WEEKS}")
    seen += f", обычно {mean(past):.0f}{series.suffix}"
    # Of counts, chance alone makes a difference of this size.
    chance = 3 * sqrt(mean(past)) if series.is_count else 0
    if latest > _TIMES * max(past) and latest - mean(past) > max(series.least, chance):
        told = series.line.wrong if series.is_high_wrong else series.line.attention
        return told(f"{seen}: намного больше", series.remedy)
    is_low = series.when_low and mean(past) >= series.least
    if is_low and _TIMES * latest < min(past) and mean(past) - latest > chance:
        return series.line.wrong(f"{seen}: намного меньше", series.remedy)
    return series.line.ok(seen)
