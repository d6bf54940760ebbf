"""What a runbook says to do first; the words are made from its page by ``tools/dashboards``."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What to look at, by which command, and what to do about it; an empty text where a page says nothing."""

    look: str = ""
    command: str = ""
    mend: str = ""


def first_steps(runbook: str) -> FirstSteps | None:
    """Of the page that an alert or a check names; None for one that the product does not have."""
    name = runbook.partition("#")[0].rpartition("/")[2]
    return _all().get(name.removesuffix(".md")) if name.endswith(".md") else None


@cache
def _all() -> dict[str, FirstSteps]:
    source = resources.files("getpro.incidents").joinpath("first_steps.json").read_text("utf-8")
    return {name: FirstSteps(**said) for name, said in json.loads(source).items()}
