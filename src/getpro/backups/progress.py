"""How work that takes minutes tells how far it is."""

from collections.abc import Callable
from typing import Protocol

OnBytes = Callable[[int], object]
"""Told how many there are by now."""


def nobody(_bytes: int) -> None:
    """Nobody is told."""


OnStep = Callable[[str], object]
"""Told what is being done now."""


class OnProgress(Protocol):
    def __call__(self, step: str, share: float | None = None, /) -> object:
        """What is being done, and how much of it is done, from 0 to 1, where that is known."""


def silent(_step: str, _share: float | None = None, /) -> None:
    """Tell nobody."""


def growing(on_progress: OnProgress, step: str, whole: int) -> OnBytes:
    """Tell of ``step`` as the bytes grow towards ``whole``, which may be an estimate."""
    return lambda size: on_progress(step, min(size / max(whole, 1), 1.0))
