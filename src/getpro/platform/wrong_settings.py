"""What is wrong with settings, in plain words and by the names that stand in ``.env``."""

import itertools
import re
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from getpro.platform.settings import GROUPS

_WORDS: Final = {
    "missing": "не задано",
    "extra_forbidden": "такой настройки нет",
    "model_type": "такой настройки нет",
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


@dataclass(frozen=True, slots=True)
class Wrong:
    """One setting that cannot be used."""

    name: str
    words: str
    is_unknown: bool = False
    """There is no setting of this name."""

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"


def wrong_settings(error: ValidationError) -> list[Wrong]:
    """Every wrong setting once, in the order of the settings."""
    return list(dict.fromkeys(wrong for problem in error.errors() for wrong in _in_words(problem)))


def _in_words(problem: ErrorDetails) -> list[Wrong]:
    """What is wrong; a group that is missing by all it must have."""
    names = list(itertools.takewhile(lambda part: isinstance(part, str), problem["loc"]))
    if problem["type"] == "missing" and len(names) == 1 and names[0] in GROUPS:
        return [Wrong(f"{names[0]}_{name}".upper(), _WORDS["missing"]) for name in GROUPS[names[0]]]
    told = dict(problem.get("ctx", {}))
    if "expected" in told:  # 'DEBUG', 'INFO' or 'ERROR'
        told["expected"] = ", ".join(re.findall(r"'(.*?)'", told["expected"]))
    words = _WORDS.get(problem["type"], problem["msg"]).format(**told)
    is_unknown = problem["type"] in {"extra_forbidden", "model_type"}
    return [Wrong("_".join(map(str, names)).upper(), words, is_unknown=is_unknown)]
