"""A runbook's last step shows what its alert was about: the line that it names is one its command has."""

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from getpro.operations.routines import ROUTINES
from getpro.platform.settings import OperationsSettings

FOLDER = Path(__file__).parents[2] / "docs/operations/runbooks"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
HOST_ONLY = ("setup", "monitoring")
"""They write files of the server's, which a container has none of."""


def verification(page: Path) -> str:
    found = re.search(r"(?ms)^## Убедиться$(.*?)^## ", page.read_text(encoding="utf-8"))
    assert found is not None, page
    return found[1]


def titles(routine: str) -> set[str]:
    """Of the routine's lines, wherever there is a Prometheus."""
    own = OperationsSettings(prometheus_url="http://localhost:9090")
    deps = cast(
        "Any",
        SimpleNamespace(
            db=None,
            folders={},
            settings=own,
            sentry=None,
            urls=(),
            packages=None,
            makes_backups=True,
            compare=object(),
            keeps_log=True,
            rehearse=None,
            operators=frozenset(),
            inventory=None,
            private=(),
        ),
    )
    deps.zone = UTC
    return {check.line.title for check in ROUTINES[routine].checks(deps, datetime.now(UTC))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_last_step_names_a_line_that_its_command_shows(page: Path) -> None:
    text = verification(page)
    assert "```" in text or "](" in text, "nothing to be done to make sure"
    for routine in set(re.findall(r"2getpro ops (\w+)", text)) & set(ROUTINES):
        assert set(re.findall(r"«([^»]+)»", text)) & titles(routine), f"which line of {routine}?"


@pytest.mark.parametrize("page", sorted(FOLDER.parent.rglob("*.md")), ids=lambda page: page.stem)
def test_what_writes_files_of_the_server_is_started_there(page: Path) -> None:
    blocks = re.findall(r"(?ms)^```[^`\n]*\n(.*?)^```$", page.read_text(encoding="utf-8"))
    for line in "\n".join(blocks).splitlines():
        if re.search(rf"2getpro ({'|'.join(HOST_ONLY)})\b", line):
            assert line.startswith("./2getpro "), line
