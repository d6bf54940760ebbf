"""What a command does to the shop is noted for the time lines of incidents, whoever wrote the command.

Every command comes to the database by :func:`getpro.cli.database.database`, and that notes it. One that is
marked with :func:`only_looks` is not noted: its connections refuse to write.
"""

import getpass
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar

import psycopg

from getpro.kit.clock import utc_now
from getpro.platform.postgres.address import impatient

Command = TypeVar("Command", bound=Callable[..., Any])

_TELL_THEMSELVES: Final = frozenset({"incident", "run", "web", "worker", "sandbox"})
"""Their deeds stand on the time line as what they are; the sandbox is another world."""
_PLAIN: Final = re.compile(r"[A-Za-z]?\d{1,12}|\d{4}-\d\d-\d\d( \d\d:\d\d)?")
"""Numbers of payments and customers, levels, days. Any other text could be a secret, and is not kept."""
_NOTE: Final = "INSERT INTO changes (at, who, kind, words, data) VALUES (%s, %s, 'command', %s, '{}')"


@dataclass
class Deed:
    """A command that runs."""

    who: str
    words: str
    only_looks: bool
    is_noted: bool
    """Or need not be."""
    was_tried: bool = False

    def note(self, url: str) -> None:
        """Once; where it cannot be done now, the next call tries again."""
        if self.is_noted:
            return
        self.was_tried = True
        try:
            with psycopg.connect(impatient(url), autocommit=True) as connection:
                connection.execute(_NOTE, [utc_now(), self.who, self.words])
        except psycopg.Error:
            return  # no table yet, or no database: no command may fail for that
        self.is_noted = True


_RUNNING: ContextVar[Deed | None] = ContextVar("deed", default=None)


def only_looks(command: Command) -> Command:
    """Mark a command that changes nothing."""
    return only_looks_unless("")(command)


def only_looks_unless(parameter: str) -> Callable[[Command], Command]:
    """Mark a command that changes nothing, except where that parameter is given."""

    def mark(command: Command) -> Command:
        command.looks_unless = parameter  # type: ignore[attr-defined]
        return command

    return mark


def current() -> Deed | None:
    """The command that runs; None outside of the command line."""
    return _RUNNING.get()


def follow(command: Any, name: str, beside: Callable[[Deed], None]) -> None:
    """Have it known, while the command or one of its own runs, which it is.

    ``beside`` notes one that has not asked for the database.
    """
    for path, one in _all(command, name):
        if one.callback is not None:
            one.callback = _followed(one, path, beside)


def _all(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from _all(one, f"{path} {name}")


def _followed(command: Any, path: str, beside: Callable[[Deed], None]) -> Callable[..., Any]:
    callback = command.callback

    @wraps(callback)
    def run(*arguments: Any, **given: Any) -> Any:
        unless = getattr(callback, "looks_unless", None)
        is_looking = unless is not None and not given.get(unless)
        deed = Deed(
            who=_who(given),
            words=f"Команда: 2getpro {path}{''.join(_words(command, given))}",
            only_looks=is_looking,
            is_noted=is_looking or path.partition(" ")[0] in _TELL_THEMSELVES,
        )
        try:
            with _running(deed):
                return callback(*arguments, **given)
        finally:
            if not deed.is_noted and not deed.was_tried and not getattr(command, "commands", {}):
                beside(deed)

    return run


@contextmanager
def _running(deed: Deed) -> Iterator[None]:
    token = _RUNNING.set(deed)
    try:
        yield
    finally:
        _RUNNING.reset(token)


def _who(given: dict[str, Any]) -> str:
    """As the command was told, else by the machine; whoever became root is told as who they were."""
    return str(given.get("by") or os.environ.get("SUDO_USER") or getpass.getuser())


def _words(command: Any, given: dict[str, Any]) -> Iterator[str]:
    """The parameters that are not as by default: names, and values that cannot be secrets."""
    for one in command.params:
        value = given.get(one.name)
        if one.name == "by" or value in (None, False, (), [], "") or value == one.default:
            continue
        if (name := next((option for option in one.opts if option.startswith("--")), None)) is not None:
            yield f" {name}"
        if value is not True:
            values = value if isinstance(value, list | tuple) else [value]
            yield from (f" {_shown(each)}" for each in values)


def _shown(value: object) -> str:
    text = str(getattr(value, "value", value))
    return text if isinstance(value, int | float) or _PLAIN.fullmatch(text) else "…"
