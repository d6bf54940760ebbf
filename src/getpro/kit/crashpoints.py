"""Named moments at which a process may die: before and after every commit and every outside call.

In production nobody listens and :func:`reach` costs one comparison. The sandbox and the crash tests
listen: they write down which points a purchase passes, then kill the process at each of them in turn.
"""

from collections.abc import Callable

_listener: Callable[[str], None] | None = None


def listen(listener: Callable[[str], None] | None) -> None:
    """Call ``listener`` with the name of every point reached from now on; None stops it."""
    global _listener  # noqa: PLW0603 -- one process has one listener; threading it through every call would help nobody
    _listener = listener


def reach(name: str) -> None:
    """Tell the listener, if any, that the process has come to the point ``name``."""
    if _listener is not None:
        _listener(name)
