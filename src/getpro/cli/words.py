"""The words of the command line: how it was started, its library's help and complaints in Russian."""

import functools
import os
import re
from collections.abc import Iterator
from typing import Any, Final

from typer.exceptions import TyperException

_COMPLAINTS: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"No such command '?(.*?)'?\.", "команды {0} нет"),
        (r"Missing (?:argument|option|parameter)[: ]*'?(.*?)'?\.", "не хватает {0}"),
        (r"No such option: (\S+?)\.?(?: .*)?", "параметра {0} нет"),
        (r"Option '?(\S+?)'? requires an argument\.", "у параметра {0} нет значения"),
        (r"Got unexpected extra argument.*? \((.*)\)", "лишнее: {0}"),
        (r"Invalid value for '?(.*?)'?: .*valid integer.*", "{0}: нужно целое число"),
        (r"Invalid value for '?(.*?)'?: .*less than or equal to (-?\d+).*", "{0}: нужно не больше {1}"),
        (r"Invalid value for '?(.*?)'?: .*greater than or equal to (-?\d+).*", "{0}: нужно не меньше {1}"),
        (r"Invalid value for '?(.*?)'?: (.*)", "{0}: {1}"),
        (r"Invalid value: (.*)", "{0}"),
    )
)

_KINDS: Final = {
    "<bool>": None,
    "<int>": "число",
    "<int range>": "число",
    "<str>": "текст",
    "<list[str]>": "текст",
    "<path>": "путь",
}
"""What a parameter takes; a switch takes nothing."""
_HINT: Final = re.compile(r"(?<![\w/])(?<!exec bot )2getpro(?= [-a-zК])")
"""The program in a hint, not in a path, a service's name, or a container, where it is called just so."""


def program() -> str:
    """How the program was started: the launcher of a clone tells, as ``./2getpro``."""
    return os.environ.get("GETPRO_STARTED_AS") or "2getpro"


def as_started(text: str) -> str:
    """``text`` with its hints to be typed as the program was."""
    return _HINT.sub(lambda _: program(), text)


def complaint(error: TyperException) -> str:
    """What the library complains about, in its own words where we have none; "" if it has said it."""
    format_message = getattr(error, "format_message", error.__str__)
    said: str = format_message()
    for pattern, words in _COMPLAINTS:
        if (found := pattern.fullmatch(said)) is not None:
            return words.format(*found.groups())
    return said


def speak_russian(command: Any) -> None:
    """Make the help of a command Russian; loads what prints it, so only when it is asked for."""
    from typer import rich_utils  # noqa: PLC0415 -- a tenth of a second that other commands save

    rich_utils.DEFAULT_STRING = "[по умолчанию: {}]"
    rich_utils.REQUIRED_LONG_STRING = "[обязательно]"
    rich_utils.ARGUMENTS_PANEL_TITLE = "Что назвать"
    rich_utils.OPTIONS_PANEL_TITLE = "Параметры"
    rich_utils.COMMANDS_PANEL_TITLE = "Команды"
    for one in _with_those_below(command):
        _translate(one)


def _with_those_below(command: Any) -> Iterator[Any]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _with_those_below(below)


def _translate(command: Any) -> None:
    """The words for which the library has no setting: it asks these objects for them."""
    command.help = as_started(command.help or "")
    command.options_metavar = "[ПАРАМЕТРЫ]"
    command.subcommand_metavar = "КОМАНДА …"
    context = command.make_context("", [], resilient_parsing=True)
    if (option := command.get_help_option(context)) is not None:
        option.help = "Показать эту справку."
    for parameter in command.get_params(context):
        kind = parameter.display_type(context)
        parameter.display_type_rich = functools.partial(lambda word, **_: word, _KINDS.get(kind, kind))
    command.context_class = _with_russian_usage(command.context_class)


def _with_russian_usage(context: Any) -> Any:
    class Formatter(context.formatter_class):  # type: ignore[misc] # the library's own, whichever it is
        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, prefix or "Запуск: ")

    return type("RussianContext", (context,), {"formatter_class": Formatter})
