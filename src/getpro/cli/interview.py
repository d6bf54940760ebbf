"""Asking a person at a terminal: a step is some questions and a real check of the answers to them."""

import asyncio
import contextlib
import getpass
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.markup import escape

from getpro.checks.check import Finding, Level, Line
from getpro.cli.env_file import EnvFile
from getpro.platform.settings import variables
from getpro.platform.wrong_settings import wrong_settings

with contextlib.suppress(ImportError):
    import readline  # noqa: F401 -- with it input() lets a line be edited

_ANSWER: Final = Line("answer", "Ответ")
_NOTHING: Final = "-"
_YES: Final = frozenset({"да", "д", "yes", "y", "true"})
_NO: Final = frozenset({"нет", "н", "no", "n", "false"})
_COLOURS: Final = {Level.OK: "green", Level.ATTENTION: "yellow", Level.UNKNOWN: "red", Level.WRONG: "red"}

Kind = TypeVar("Kind", bound=BaseModel)
Check = Callable[[], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Question:
    """``name`` is the setting that takes the answer."""

    name: str
    text: str
    is_secret: bool = False
    is_optional: bool = False
    only_with: str = ""
    """Asked only if that setting has an answer."""


class Interview:
    """The answers so far, over what the file and the environment have."""

    def __init__(self, file: EnvFile) -> None:
        self._file = file
        known = variables()
        self._before = file.values | {
            name: value for name, value in os.environ.items() if name in known and value
        }
        self._console = Console(highlight=False)
        self.changes: dict[str, str] = {}

    def value(self, name: str) -> str:
        return self.changes.get(name, self._before.get(name, ""))

    def put(self, name: str, value: str) -> None:
        self.changes[name] = value

    def drop(self, group: str) -> None:
        """Take out every setting of the group that stands in the file: half a group is a mistake."""
        for name, owner in variables().items():
            if owner == group and (name in self._file.values or name in self.changes):
                self.put(name, "")

    def group(self, kind: type[Kind], prefix: str) -> Kind:
        """A group of settings out of the answers; raises ValidationError."""
        given = {field: self.value(f"{prefix}_{field}".upper()) for field in kind.model_fields}
        return kind.model_validate({field: value for field, value in given.items() if value})

    @property
    def overridden(self) -> list[str]:
        """Settings to which the environment, which counts for more than the file, says otherwise."""
        return [name for name, value in self.changes.items() if os.environ.get(name) not in {None, "", value}]

    def say(self, text: str = "") -> None:
        self._console.print(escape(text))

    def title(self, text: str) -> None:
        self._console.print(f"\n[bold]{escape(text)}[/]")

    def step(self, *questions: Question, check: Check | None = None) -> None:
        """Ask until the answers are right, or are to stay unchecked because nobody answers out there."""
        while True:
            before = dict(self.changes)
            for question in questions:
                if not question.only_with or self.value(question.only_with):
                    self.put(question.name, self._asked(question))
            if check is None or self._is_settled(check):
                return
            if len(questions) == 1:  # of several, who knows which is wrong: each is offered again
                self.changes = before

    def yes(self, name: str, text: str, *, default: bool) -> bool:
        """A question of yes or no; the answer is put as the setting ``name``."""
        now = self.value(name).lower() in _YES if self.value(name) else default
        while True:
            given = input(f"{text} [{'да' if now else 'нет'}]: ").strip().lower()
            if not given or given in _YES | _NO:
                said = now if not given else given in _YES
                self.put(name, str(said).lower())
                return said
            self.say("Ответьте «да» или «нет».")

    def offer(self, items: Sequence[str]) -> None:
        """Show them with their numbers, from 1 on."""
        for number, item in enumerate(items, 1):
            self.say(f"{number:4}. {item}")

    def choose(self, text: str, offered: Sequence[str], chosen: Sequence[str]) -> list[str]:
        """Some of what is offered, at least one, by their numbers."""
        self.offer(offered)
        default = ",".join(str(offered.index(item) + 1) for item in chosen if item in offered)
        while True:
            given = input(f"{text}{f' [{default}]' if default else ''}: ").strip() or default
            numbers = given.replace(",", " ").split()
            if numbers and all(part.isdecimal() and 1 <= int(part) <= len(offered) for part in numbers):
                return [offered[int(part) - 1] for part in dict.fromkeys(numbers)]
            self.say(f"Нужны номера от 1 до {len(offered)} через запятую.")

    def _asked(self, question: Question) -> str:
        now = self.value(question.name)
        shown = "••••••, Enter: оставить" if question.is_secret and now else now
        if question.is_optional:
            shown = f"{shown}; {_NOTHING}: убрать" if now else "Enter: пропустить"
        prompt = f"{question.text}{f' [{shown}]' if shown else ''}: "
        while True:
            given = (getpass.getpass(prompt) if question.is_secret else input(prompt)).strip()
            if given == _NOTHING and question.is_optional:
                return ""
            if given or now or question.is_optional:
                return given or now
            self.say("Без этого магазин не запустится.")

    def _is_settled(self, check: Check) -> bool:
        while True:
            found = self._checked(check)
            self._show(found)
            if found.level is not Level.UNKNOWN:
                return found.level is not Level.WRONG
            given = ""
            while given not in {"1", "2", "3"}:
                given = input("1: проверить ещё раз, 2: изменить ответ, 3: оставить без проверки: ").strip()
            if given != "1":
                return given == "3"

    def _checked(self, check: Check) -> Finding:
        with self._console.status("Проверяю…"):
            try:
                return asyncio.run(_run(check))
            except ValidationError as error:
                words = "; ".join(wrong.words for wrong in wrong_settings(error))
                return _ANSWER.wrong(f"не подходит: {words}", "Ответьте ещё раз.")

    def _show(self, found: Finding) -> None:
        self._console.print(f"[{_COLOURS[found.level]}]{escape(found.seen)}[/]")
        if found.remedy:
            self._console.print(f"[bold]→ {escape(found.remedy)}[/]")


async def _run(check: Check) -> Finding:
    return await check()
