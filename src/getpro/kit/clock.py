"""The present moment, handed in: rules take ``now``, flows take it once from ``deps.clock``."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

Clock = Callable[[], datetime]
DEFAULT_ZONE: Final = "Europe/Moscow"
"""The operator's, until they set another."""


def utc_now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.now(UTC)
