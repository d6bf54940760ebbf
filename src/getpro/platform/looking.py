"""Whether connections that are made now may only read. It imports nothing: commands start at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOOKING: ContextVar[bool] = ContextVar("looking", default=False)


def is_looking() -> bool:
    return _LOOKING.get()


@contextmanager
def looking(*, only: bool) -> Iterator[None]:
    """While the block runs, and in what it starts."""
    token = _LOOKING.set(only)
    try:
        yield
    finally:
        _LOOKING.reset(token)
