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
from getpro.cli.words import as_started
from getpro.platform.env_file import EnvFile
from getpro.platform.settings import require_form, variables
from getpro.platform.wrong_settings import wrong_settings

with contextlib.suppress(ImportError):
    import readline  # noqa: F401 -- with it input() lets a line be edited

_ANSWER: Final = Line("answer", "Ответ")
_NOTHING: Final = "-"
_YES: Final = frozenset({"да", "д", "yes", "y", "true"})
_NO: Final = frozenset({"нет", "н", "no", "n", "false"})
_COLOURS: Final = {
    Level.ABSENT: "dim",
    Level.OK: "green",
    Level.ATTENTION: "yellow",
    Level.UNKNOWN: "red",
    Level.WRONG: "red",
}

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
    """Asked only if that setting has an answer, and needed then: both or neither."""


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
        self._refused: set[tuple[str, str]] = set()
        """Settings with answers that were wrong, here or outside: not offered again."""

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
        self._console.print(escape(as_started(text)))

    def title(self, text: str) -> None:
        self._console.print(f"\n[bold]{escape(text)}[/]")

    def step(self, *questions: Question, check: Check | None = None) -> None:
        """Ask until the answers are right, or are to stay unchecked because nobody answers out there.

        After a wrong answer only that is asked again which the check's remedy names, where it names any.
        """
        left: Sequence[Question] = questions
        while True:
            for question in left:
                if not question.only_with or self.value(question.only_with):
                    self.put(question.name, self._asked(question))
            if check is None or not (left := self._wrong_ones(questions, check)):
                return

    def yes(self, name: str, text: str, *, default: bool) -> bool:
        """A question of yes or no; the answer is put as the setting ``name``."""
        now = self.value(name).lower() in _YES if self.value(name) else default
        said = self.agrees(text, default=now)
        self.put(name, str(said).lower())
        return said

    def agrees(self, text: str, *, default: bool) -> bool:
        """A question of yes or no that no setting takes."""
        while True:
            given = input(f"{text} [{'да' if default else 'нет'}]: ").strip().lower()
            if not given or given in _YES | _NO:
                return default if not given else given in _YES
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
        is_droppable = question.is_optional or bool(question.only_with)
        while True:
            now = self._offered(question)
            prompt = f"{question.text}{_hint(question, now)}: "
            given = (getpass.getpass(prompt) if question.is_secret else input(prompt)).strip()
            if given == _NOTHING and is_droppable:
                if question.only_with:
                    self.put(question.only_with, "")
                return ""
            given = given or now
            if given and (words := _wrong_form(question.name, given)):
                self._refused.add((question.name, given))
                self.say(f"Не подходит: {words}.")
            elif given or question.is_optional:
                return given
            elif question.only_with:
                self.say(f"Нужны оба ответа; «{_NOTHING}»: обойтись без обоих.")
            else:
                self.say("Без этого магазин не запустится.")

    def _offered(self, question: Question) -> str:
        """What Enter stands for: the answer of now, or of before, unless it was wrong."""
        before = self._before.get(question.name, "")
        for answer in (self.value(question.name), before):
            if (question.name, answer) not in self._refused:
                return answer
        return ""

    def _wrong_ones(self, questions: Sequence[Question], check: Check) -> Sequence[Question]:
        """What is to be asked again after the check; nothing where all is well, or to stay as it is."""
        while True:
            found = self._checked(check)
            self._show(found)
            if found.level is Level.WRONG:
                wrong = [question for question in questions if question.name in found.remedy] or questions
                for question in wrong:  # of several, a secret is the likelier slip, and shows nothing to keep
                    if question.is_secret or len(wrong) == 1:
                        self._refused.add((question.name, self.value(question.name)))
                return wrong
            if found.level is not Level.UNKNOWN:
                return ()
            while True:
                given = input("1: проверить ещё раз, 2: изменить ответ, 3: оставить без проверки: ").strip()
                if given in {"1", "2", "3"}:
                    break
                self.say("Ответьте 1, 2 или 3.")
            if given != "1":
                return questions if given == "2" else ()

    def _checked(self, check: Check) -> Finding:
        with self._console.status("Проверяю…"):
            try:
                return asyncio.run(_run(check))
            except ValidationError as error:
                return _ANSWER.wrong(f"не подходит: {_words(error)}", "Ответьте ещё раз.")

    def _show(self, found: Finding) -> None:
        self._console.print(f"[{_COLOURS[found.level]}]{escape(found.seen)}[/]")
        if found.remedy:
            self._console.print(f"[bold]→ {escape(as_started(found.remedy))}[/]")


def _hint(question: Question, now: str) -> str:
    """What stands in brackets: what Enter and «-» are for."""
    shown = "••••••, Enter: оставить" if question.is_secret and now else now
    if question.is_optional:
        shown = f"{shown}; {_NOTHING}: убрать" if now else "Enter: пропустить"
    return f" [{shown}]" if shown else ""


def _wrong_form(name: str, answer: str) -> str:
    """Why the setting cannot have that answer, whatever is outside; "" where it can."""
    try:
        require_form(name, answer)
    except ValidationError as error:
        return _words(error)
    return ""


def _words(error: ValidationError) -> str:
    return "; ".join(dict.fromkeys(wrong.words for wrong in wrong_settings(error)))


async def _run(check: Check) -> Finding:
    return await check()
