"""PromQL that several panels need. Nothing here shows zero for what cannot be seen."""

from typing import Final

WINDOW: Final = "$__rate_interval"
"""Grafana's: never shorter than four scrapes."""
ROUBLES: Final = "suffix:\N{NO-BREAK SPACE}₽"
"""Whole, where Grafana's own currencyRUB would shorten to thousands."""

PURCHASE_FAILED: Final = "getpro:synthetic_purchase:failed"
"""The signal of availability, a recorded rule: 1 while one cannot buy, or nobody knows."""
PURCHASE_SECONDS: Final = "getpro_synthetic_purchase_seconds"
"""A histogram of how long the synthetic purchase took."""
AVAILABLE: Final = 0.995
"""The objective, a month."""


def availability(window: str) -> str:
    """The share of the time in which one could buy."""
    return f"1 - avg_over_time({PURCHASE_FAILED}[{window}])"


def burn(window: str) -> str:
    """How many times faster than it may the error budget is spent."""
    return f"avg_over_time({PURCHASE_FAILED}[{window}]) / {1 - AVAILABLE:.3f}"


def seen(job: str) -> str:
    """Zero while all targets of the job are scraped, else nothing."""
    return f'0 * (min(up{{job=~"{job}"}}) == 1)'


DATABASE_SEEN: Final = "0 * (max(getpro_database_up) == 1)"
"""Zero while the database answers the worker, else nothing."""


def known(expr: str) -> str:
    """A sum over what the database knows, where no row means none."""
    return f"{expr} or {DATABASE_SEEN}"


def counted(metric: str, window: str, *, job: str) -> str:
    """How often it happened; a counter is not there before its first time."""
    return f"sum(increase({metric}[{window}])) or {seen(job)}"


def share(part: str, whole: str, window: str, *, job: str) -> str:
    """``part`` of ``whole``, two counters; zero where nothing happened."""
    return f"({counted(part, window, job=job)}) / (sum(increase({whole}[{window}])) > 0) or {seen(job)}"


def quantile(q: float, histogram: str, window: str = WINDOW, *, by: str = "", labels: str = "") -> str:
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({grouped}) (rate({histogram}_bucket{labels}[{window}])))"


def quick_quantile(q: float, histogram: str, window: str, *, job: str) -> str:
    """As a number of now: zero, and not no number, where nobody asked."""
    return f"{quantile(q, histogram, window)} >= 0 or {seen(job)}"


def within(le: str, histogram: str, window: str, *, job: str) -> str:
    """The share that took at most ``le`` seconds, a bound of the histogram; 1 where nothing happened."""
    fast = f'sum(increase({histogram}_bucket{{le="{le}"}}[{window}]))'
    return f"{fast} / (sum(increase({histogram}_count[{window}])) > 0) or 1 + {seen(job)}"
