"""Telegram's limits on sending.

30 a second in all; 1 a second to a person with a burst of 3; 20 a minute to a group.
"""

import math
import time

from getpro.sandbox.telegram.errors import too_many

OVERALL = 30
BURST = 3
GROUP_A_MINUTE = 20
PENALTY_SECONDS = 1


class Limits:
    """Token buckets; switched off for load tests."""

    def __init__(self) -> None:
        self.are_on = True
        self.refused = 0
        self._overall: tuple[float, float] = (OVERALL, time.monotonic())
        self._chats: dict[int, tuple[float, float]] = {}

    def count(self, chat_id: int) -> None:
        """Count one message; raises Refusal 429 when there are too many."""
        if not self.are_on:
            return
        now = time.monotonic()
        overall, chat = self._left(chat_id, now)
        if overall < 1 or chat < 1:
            self.refused += 1
            raise too_many(math.ceil((1 - chat) / _rate(chat_id)) if overall >= 1 else PENALTY_SECONDS)
        self._overall = (overall - 1, now)
        self._chats[chat_id] = (chat - 1, now)

    def has_room(self, chat_id: int) -> bool:
        """Whether a message would be taken now."""
        return not self.are_on or min(self._left(chat_id, time.monotonic())) >= 1

    def _left(self, chat_id: int, now: float) -> tuple[float, float]:
        """How many messages would be taken: in all and in this chat."""
        overall = _refilled(self._overall, OVERALL, OVERALL, now)
        most = GROUP_A_MINUTE if chat_id < 0 else BURST
        return overall, _refilled(self._chats.get(chat_id, (most, now)), _rate(chat_id), most, now)


def _rate(chat_id: int) -> float:
    """Messages a second to this chat; a group's number is negative."""
    return GROUP_A_MINUTE / 60 if chat_id < 0 else 1


def _refilled(bucket: tuple[float, float], per_second: float, most: float, now: float) -> float:
    tokens, last = bucket
    return min(most, tokens + (now - last) * per_second)
