"""Monthly partitions of ``message_logs``, made ahead so that no message ever waits for one."""

from datetime import UTC, datetime
from typing import Final

MONTHS_AHEAD: Final = 3


def statements(now: datetime, *, months_back: int = 1, months_ahead: int = MONTHS_AHEAD) -> list[str]:
    """The SQL that makes the partitions around ``now`` where they are missing; bounds are UTC months."""
    return [
        _statement(_month(now, offset), _month(now, offset + 1))
        for offset in range(-months_back, months_ahead + 1)
    ]


def _month(now: datetime, offset: int) -> datetime:
    years, month = divmod(now.year * 12 + now.month - 1 + offset, 12)
    return datetime(years, month + 1, 1, tzinfo=UTC)


def _statement(first: datetime, after: datetime) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS message_logs_{first:%Y_%m} PARTITION OF message_logs"
        f" FOR VALUES FROM ('{first.isoformat()}') TO ('{after.isoformat()}')"
    )
