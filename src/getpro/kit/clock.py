"""The present moment, handed in: rules take ``now``, flows take it once from ``deps.clock``."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
DEFAULT_ZONE: Final = "Europe/Moscow"
"""The operator's, until they set another."""


def utc_now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.now(UTC)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins in ``zone``; aware, UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
