"""The settings of a command, or plain words about what is wrong with them."""

import itertools
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from getpro.kit.trouble import Trouble
from getpro.platform.settings import GROUPS, DatabaseSettings

_WORDS: Final = {
    "missing": "не задано",
    "extra_forbidden": "такой настройки нет",
    "value_error": "{error}",
    "bool_parsing": "нужно true или false",
    "int_parsing": "нужно целое число",
    "float_parsing": "нужно число",
    "greater_than": "нужно больше {gt}",
    "greater_than_equal": "нужно не меньше {ge}",
    "less_than_equal": "нужно не больше {le}",
    "too_short": "нужно хотя бы одно значение",
    "literal_error": "нужно одно из: {expected}",
    "ip_v4_network": "нужны адреса или сети через запятую, как 10.0.0.0/8",
    "ip_v6_network": "нужны адреса или сети через запятую, как 10.0.0.0/8",
}


Kind = TypeVar("Kind", bound=DatabaseSettings)


def read_settings(kind: type[Kind]) -> Kind:
    """The settings of the environment and ``.env``; raises Trouble that names every wrong one."""
    try:
        return kind()
    except ValidationError as error:
        wrong = dict.fromkeys(line for problem in error.errors() for line in _in_words(problem))
        raise Trouble(
            "Настройки не подходят.", "; ".join(wrong), "Исправьте их в .env или в окружении."
        ) from None


def _in_words(problem: ErrorDetails) -> list[str]:
    """What is wrong, by the names that stand in ``.env``; a group that is missing by all it must have."""
    names = list(itertools.takewhile(lambda part: isinstance(part, str), problem["loc"]))
    if problem["type"] == "missing" and len(names) == 1 and names[0] in GROUPS:
        return [f"{names[0]}_{name}".upper() + ": не задано" for name in GROUPS[names[0]]]
    words = _WORDS.get(problem["type"], problem["msg"]).format(**problem.get("ctx", {}))
    return [f"{'_'.join(map(str, names)).upper()}: {words}"]
