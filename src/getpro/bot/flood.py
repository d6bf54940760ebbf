"""A flood is slowed down, not banned: a bucket of presses per person, in memory."""

from collections import OrderedDict
from typing import Final

BURST: Final = 12
PER_SECOND: Final = 2.0
_REMEMBERED: Final = 50_000


class Flood:
    """Whether a person has pressed more than a person can; forgets whoever was not seen for long."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()

    def is_too_fast(self, user_id: int, *, now_seconds: float) -> bool:
        """Count one press at ``now_seconds`` (of a monotonic clock)."""
        tokens, last = self._buckets.pop(user_id, (float(BURST), now_seconds))
        tokens = min(BURST, tokens + (now_seconds - last) * PER_SECOND)
        is_empty = tokens < 1
        self._buckets[user_id] = (tokens if is_empty else tokens - 1, now_seconds)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return is_empty
