"""Work in a thread that ends when it is not wanted any more.

A thread cannot be cancelled; what it waits for can be ended: a program, a statement, a server. Whoever waits
in the thread says so by :func:`ended_by`.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

import psycopg

from getpro.backups.errors import Interrupted

_CANCEL_SECONDS: Final = 3
LEAVE_SECONDS: Final = 3.0
"""How long who hangs is waited for, once nobody wants it any more."""
_LIMITS: Final = (
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class _Interruption:
    """Comes from one thread, and is noticed in another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: list[Callable[[], object]] = []
        self.has_come = False

    def come(self) -> None:
        with self._lock:
            self.has_come = True
            for end in self._ends:
                end()

    @contextlib.contextmanager
    def ends_by(self, end: Callable[[], object]) -> Iterator[None]:
        with self._lock:
            self._ends.append(end)
            if self.has_come:
                end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


_HERE: Final[contextvars.ContextVar[_Interruption | None]] = contextvars.ContextVar(
    "interruption", default=None
)
"""What travels into the thread beside the work, as a logger's fields do: some of it is deep below."""


async def interruptible(
    work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Do ``work`` in a thread. Cancelled, it ends what the thread waits for, and is not left before that."""
    here, context = _Interruption(), contextvars.copy_context()
    context.run(_HERE.set, here)
    running = asyncio.get_running_loop().run_in_executor(None, partial(context.run, work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        here.come()
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):  # whoever is impatient would leave it behind
                await asyncio.wait([running])
        running.exception()  # how it failed is told by nobody: it was made to
        raise


async def leavable(
    work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Do ``work`` in a thread of its own. Cancelled, it has a moment to notice (:func:`go_on`) and is left.

    For what waits for somebody whom no call of ours can hurry: a server that does not answer. What is left
    ends with the process, which does not wait for it either: it must be work that a kill may end.
    """
    here, context = _Interruption(), contextvars.copy_context()
    context.run(_HERE.set, here)
    over: Future[Result] = Future()
    over.set_running_or_notify_cancel()

    def run() -> None:
        try:
            over.set_result(context.run(work, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 -- it is whose who waits
            over.set_exception(error)

    threading.Thread(target=run, daemon=True, name=f"leavable {work!r}").start()
    running = asyncio.wrap_future(over)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        here.come()
        try:
            await asyncio.wait([running], timeout=LEAVE_SECONDS)
        finally:
            if not running.cancel():
                running.exception()  # how it failed is told by nobody: it was made to
        raise


@contextlib.contextmanager
def ended_by(end: Callable[[], object]) -> Iterator[None]:
    """Where ``end`` ends the waiting in the block: called, in another thread, when interruption comes.

    Called at once where it has come already. Whatever then fails in the block raises as it does.
    """
    here = _HERE.get()
    if here is None:
        yield
        return
    with here.ends_by(end):
        yield


@contextlib.contextmanager
def statements_ended(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """Interruption ends the statement that the connection waits for in the block."""

    def cancel() -> None:
        with contextlib.suppress(psycopg.Error):  # a server that does not answer ends it, too
            connection.cancel_safe(timeout=_CANCEL_SECONDS)

    with ended_by(cancel):
        yield


def unhurried(connection: "psycopg.Connection[Any]") -> None:
    """Have nothing else end what the connection does, or that it does nothing meanwhile.

    The server's limits are made for a shop's short work; a copy takes as long as the database is large.
    """
    connection.execute(
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY(%s)",  # not each has all
        [list(_LIMITS)],
    )


def go_on() -> None:
    """For a loop in which there is nothing to end; raises Interrupted when interruption has come."""
    here = _HERE.get()
    if here is not None and here.has_come:
        raise Interrupted("прервано")
