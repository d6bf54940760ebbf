"""What an incident's page says to do first is what the runbooks say, and each of them says something."""

import re

import pytest

from getpro.incidents.first_steps import first_steps
from tools.dashboards import first_steps as written
from tools.dashboards.runbooks import PAGES


def test_the_product_carries_what_the_pages_say() -> None:
    said = "run: .venv-dev/bin/python -m tools.dashboards"
    assert written.FILE.read_text(encoding="utf-8") == written.text(), said


@pytest.mark.parametrize("page", sorted(page.name for page in PAGES.glob("[!R]*.md")))
def test_each_page_has_two_first_steps_without_markup(page: str) -> None:
    found = first_steps(f"docs/operations/runbooks/{page}")
    assert found is not None
    assert found.look
    assert found.mend
    assert not re.search(r"[`\]\[]|\.md", found.look + found.mend)


def test_what_is_no_page_has_none() -> None:
    assert first_steps("Проверьте базу: 2getpro doctor.") is None
    assert first_steps("unheard-of.md") is None
