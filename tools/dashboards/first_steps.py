"""The first steps of each runbook, as the product carries them: an incident's page says what to do first."""

import json
import re
from pathlib import Path
from typing import Final

from tools.dashboards.runbooks import PAGES

FILE: Final = Path(__file__).parents[2] / "src/getpro/incidents/first_steps.json"
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_FENCE: Final = re.compile(r"(?ms)^```[^\n`]*\n(.*?)^```$")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[А-ЯЁA-Z«])")

_LONGEST_COMMAND: Final = 80


def text() -> str:
    """By the runbook's name: what to look at, by which command, and what to do about it."""
    pages = sorted(page for page in PAGES.glob("*.md") if page.name != "README.md")
    return json.dumps({page.stem: steps(page) for page in pages}, ensure_ascii=False, indent=1) + "\n"


def steps(page: Path) -> dict[str, str]:
    """``look``, ``command`` and ``mend``; what a page does not have is not there."""
    sections = dict(re.findall(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)", page.read_text(encoding="utf-8")))
    look, mend = sections["Проверить"], sections["Исправить"]
    found = {"look": _first(look), "command": _command(look), "mend": _first(mend)}
    return {name: said for name, said in found.items() if said}


def _first(section: str) -> str:
    """The first paragraph, or the first of a list, in plain words; up to two sentences."""
    blocks = [block for block in _FENCE.sub("", section).strip().split("\n\n") if block]
    lines = blocks[0].splitlines() if blocks else [""]
    said = lines[0].removeprefix("- ") if lines[0].startswith("- ") else " ".join(lines)
    said = _LINK.sub(r"\1", said).replace("`", "").strip()
    return " ".join(_SENTENCE.split(said)[:2])


def _command(section: str) -> str:
    """The first command, where a phone shows it whole."""
    fence = _FENCE.search(section)
    typed = "" if fence is None else fence[1].splitlines()[0].strip()
    return typed if len(typed) <= _LONGEST_COMMAND and typed.count('"') % 2 == 0 else ""
