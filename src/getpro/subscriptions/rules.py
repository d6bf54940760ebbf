"""Decisions about periods; pure."""

from datetime import datetime, timedelta


def extended_end(current_end: datetime | None, days: int, *, now: datetime) -> datetime:
    """The end after ``days`` more: from the present end if it lies ahead, else from now.

    Whole seconds, because the panel keeps no more than milliseconds and both must agree. Days are
    24 hours in UTC, so that two purchases give the same end in either order.
    """
    start = current_end if current_end is not None and current_end > now else now.replace(microsecond=0)
    return start + timedelta(days=days)
