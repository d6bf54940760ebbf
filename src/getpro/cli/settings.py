"""The settings of a command, or plain words about what is wrong with them."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from getpro.kit.trouble import Trouble
from getpro.platform.settings import GROUPS, Settings


def read_settings() -> Settings:
    """The settings of the environment and ``.env``; raises Trouble that names every wrong one."""
    try:
        return Settings()  # type: ignore[call-arg] # read from the environment
    except ValidationError as error:
        wrong = [line for problem in error.errors() for line in _in_words(problem)]
        raise Trouble(
            "Настройки не подходят.", "; ".join(wrong), "Исправьте их в .env или в окружении."
        ) from None


def _in_words(problem: ErrorDetails) -> list[str]:
    """What is wrong, by the names that stand in ``.env``; a group that is missing by all it must have."""
    names = [str(part) for part in problem["loc"]]
    if problem["type"] != "missing":
        depth = 2 if names[0] in GROUPS else 1
        return [f"{_variable(names[:depth])}: {problem['msg']}"]
    if len(names) == 1 and names[0] in GROUPS:
        return [f"{_variable([names[0], name])}: не задано" for name in GROUPS[names[0]]]
    return [f"{_variable(names)}: не задано"]


def _variable(names: list[str]) -> str:
    return "_".join(names).upper()
