"""Monthly partitions of ``message_logs``: made ahead, so that no message waits for one, dropped when old."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

MONTHS_AHEAD: Final = 3
MONTHS_KEPT: Final = 12
"""Whole months before the running one."""
EXISTING: Final = (
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'message_logs'::regclass"
)
"""The names of the partitions, for :func:`old_ones`."""


def statements(now: datetime, *, months_back: int = 1, months_ahead: int = MONTHS_AHEAD) -> list[str]:
    """The SQL that makes the partitions around ``now`` where they are missing; bounds are UTC months."""
    return [
        _statement(_month(now, offset), _month(now, offset + 1))
        for offset in range(-months_back, months_ahead + 1)
    ]


def old_ones(names: Iterable[str], now: datetime) -> list[str]:
    """The SQL that drops those of the partitions ``names`` that are older than is kept."""
    return [f"DROP TABLE {name}" for name in older(names, now, months=MONTHS_KEPT)]


def older(names: Iterable[str], now: datetime, *, months: int) -> list[str]:
    """Those of the partitions ``names`` before the running month and so many whole ones, the oldest first."""
    first_kept = _name(_month(now, -months))
    return [name for name in sorted(names) if name < first_kept]


def _month(now: datetime, offset: int) -> datetime:
    years, month = divmod(now.year * 12 + now.month - 1 + offset, 12)
    return datetime(years, month + 1, 1, tzinfo=UTC)


def _name(month: datetime) -> str:
    return f"message_logs_{month:%Y_%m}"


def _statement(first: datetime, after: datetime) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {_name(first)} PARTITION OF message_logs"
        f" FOR VALUES FROM ('{first.isoformat()}') TO ('{after.isoformat()}')"
    )
