"""Bars on a terminal for work of several steps; nothing where nobody looks."""

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from getpro.backups.progress import OnProgress, silent


class _Bars:
    """A bar for each step: it fills where the share is known, and runs to and fro where it is not."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._now: TaskID | None = None

    def __call__(self, step: str, share: float | None = None, /) -> None:
        if share is None:
            self.end()
            self._now = self._shown.add_task(step, total=None)
        elif self._now is not None:
            self._shown.update(self._now, total=1.0, completed=share)

    def end(self) -> None:
        if self._now is not None:
            self._shown.update(self._now, total=1.0, completed=1.0)
            self._shown.stop_task(self._now)
        self._now = None


@contextlib.contextmanager
def bars() -> Iterator[OnProgress]:
    if not sys.stderr.isatty():
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        told = _Bars(shown)
        yield told
        told.end()
