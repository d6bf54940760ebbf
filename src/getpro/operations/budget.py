"""The error budget of a month: how long one could not buy, of what the objective allows.

By Prometheus's own record of the synthetic purchases, the same that the alerts of availability go by.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from getpro.operations.looks import prometheus

ALLOWED: Final = 0.005
"""99.5 % of the time one can buy. Source: deploy/prometheus/rules/availability.yml."""
_LOOK: Final = timedelta(seconds=30)
_FAILED: Final = "sum_over_time(getpro:synthetic_purchase:failed[{seconds}s])"
_LOOKED: Final = "count_over_time(getpro:synthetic_purchase:failed[{seconds}s])"


@dataclass(frozen=True, slots=True)
class Budget:
    """``allowed`` is for the whole month; ``measured`` is the time in which anybody looked."""

    down: timedelta
    allowed: timedelta
    measured: timedelta

    @property
    def used(self) -> float:
        """1 is all of it."""
        return self.down / self.allowed


async def budget(url: str, *, since: datetime, until: datetime, now: datetime) -> Budget | None:
    """Of the month from ``since`` to ``until``, which may still go on; a flow.

    None where nobody looked: Prometheus has forgotten, or no synthetic purchases are made.
    Raises NotAnswered.
    """
    end = min(until, now)
    seconds = int((end - since).total_seconds())
    looked = await _value(url, _LOOKED, seconds, end)
    if not looked:
        return None
    failed = await _value(url, _FAILED, seconds, end)
    return Budget(down=failed * _LOOK, allowed=(until - since) * ALLOWED, measured=looked * _LOOK)


async def _value(url: str, expression: str, seconds: int, at: datetime) -> float:
    found = await prometheus.by_label(url, expression.format(seconds=seconds), "", at=at)
    return next(iter(found.values()), 0.0)
