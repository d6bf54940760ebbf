"""The runbooks as a dashboard: whoever is woken by a red panel reads what to do one tap away."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tools.dashboards.model import RUNBOOKS_UID, SCHEMA_VERSION, TAG, text_panels

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ROOT / "docs/operations/runbooks"
RULES: Final = ROOT / "deploy/prometheus/rules"
_TITLE: Final = re.compile(r"\A# (.+)\n+")
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


def rules() -> Iterator[dict[str, Any]]:
    """The alert rules."""
    return (rule for rule in all_rules() if "alert" in rule)


def recorded() -> set[str]:
    """The metrics that rules make of others."""
    return {rule["record"] for rule in all_rules() if "record" in rule}


def all_rules() -> Iterator[dict[str, Any]]:
    for file in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def by_alert() -> dict[str, tuple[int, str]]:
    """Of each alert the panel of its runbook: number and title."""
    numbers = _numbers()
    return {
        rule["alert"]: (numbers[page.name], _title(page))
        for rule in rules()
        for page in [ROOT / rule["annotations"]["runbook_url"]]
    }


def as_json() -> dict[str, Any]:
    numbers = _numbers()
    pages = ((numbers[page.name], _title(page), _words(page, numbers)) for page in _pages())
    return {
        "uid": RUNBOOKS_UID,
        "title": "Что делать",
        "description": "Страницы docs/operations/runbooks, по одной на панель",
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {"hidden": True},
        "templating": {"list": []},
        "annotations": {"list": []},
        "links": [],
        "panels": list(text_panels(pages)),
    }


def _pages() -> list[Path]:
    return [page for page in sorted(PAGES.glob("*.md")) if page.name != "README.md"]


def _numbers() -> dict[str, int]:
    return {page.name: number for number, page in enumerate(_pages(), start=1)}


def _title(page: Path) -> str:
    found = _TITLE.match(page.read_text(encoding="utf-8"))
    assert found is not None, page
    return found[1]


def _words(page: Path, numbers: Mapping[str, int]) -> str:
    """The page without its title; links to other runbooks lead to their panels, others lead nowhere here."""

    def link(found: re.Match[str]) -> str:
        words, target = found.groups()
        if target in numbers:
            return f"[{words}](/d/{RUNBOOKS_UID}?viewPanel=panel-{numbers[target]})"
        return found[0] if "://" in target else words

    return _LINK.sub(link, _TITLE.sub("", page.read_text(encoding="utf-8")))
