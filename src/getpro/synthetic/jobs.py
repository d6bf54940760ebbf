"""When a synthetic purchase is made by itself, and what Prometheus is shown of it."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from getpro.operations.models import SYNTHETIC_PURCHASE
from getpro.platform.jobs import Backoff, JobKind
from getpro.platform.metrics import SYNTHETIC_AT, SYNTHETIC_SECONDS, SYNTHETIC_SUCCESS
from getpro.platform.schedules import Schedule, job_of
from getpro.synthetic.purchase import Purchase

SCHEDULES: Final = [Schedule(SYNTHETIC_PURCHASE, "every 30s")]


def job_kinds(buy: Callable[[], Awaitable[Purchase]]) -> list[JobKind]:
    async def run() -> None:
        show(await buy())

    return [JobKind(job_of(SYNTHETIC_PURCHASE), run, Backoff(attempts=1))]


def show(made: Purchase) -> None:
    """By the time of day, as Prometheus has it: the shop's own clock may have been moved."""
    SYNTHETIC_SUCCESS.set(made.is_success)
    SYNTHETIC_AT.set(time.time())
    SYNTHETIC_SECONDS.observe(made.seconds)
