"""The table of the guide's lines is complete, quotes it word for word, and names what there is."""

import ast
import re
from pathlib import Path

import pytest

from getpro.cli import COMMANDS
from getpro.operations.queries import GUIDES, QUERIES
from getpro.operations.routines import ROUTINES
from guide_lines import GUIDE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations/guide.md").read_text(encoding="utf-8")
ROWS = {
    cells[0]: cells
    for line in PAGE.splitlines()
    if (cells := [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    and re.match(r"G\d+$", cells[0])
}
WITHOUT_TESTS = {"G38", "G39", "G40", "G41", "G42", "G65", "G66", "G67"}
"""Pages, whose commands are carried out as they stand there; and the one that is not there yet."""
DAYS = {"пн": "1", "вт": "2", "ср": "3", "чт": "4", "пт": "5"}


def test_every_line_of_the_guide_has_its_row() -> None:
    assert sorted(ROWS) == sorted(f"G{number}" for number in range(1, 68))


def test_what_is_still_open_says_so() -> None:
    assert {number for number, cells in ROWS.items() if "ещё нет" in cells[2]} == {"G66"}


@pytest.mark.parametrize("number", sorted(set(GUIDE) & set(ROWS)))
def test_a_command_is_quoted_word_for_word(number: str) -> None:
    quoted = "".join(re.findall(r"`([^`]+)`", ROWS[number][1])).replace("\\|", "|")
    if "SQL" in ROWS[number][1]:
        name = quoted.partition("docker-compose")[0]
        assert GUIDES[name] in GUIDE[number]
    else:
        assert quoted == GUIDE[number]


@pytest.mark.parametrize("number", sorted(ROWS))
def test_our_command_is_one(number: str) -> None:
    for words in re.findall(r"`2getpro ([^`]+)`", ROWS[number][2]):
        command, _, rest = words.partition(" ")
        assert command in COMMANDS
        if command == "ops":
            assert rest.split()[0] in ROUTINES
        if command == "query":
            assert rest.replace("-", "_") in QUERIES


@pytest.mark.parametrize("number", [f"G{number}" for number in range(1, 22)])
def test_the_hour_is_the_schedules(number: str) -> None:
    command, when = ROWS[number][2:4]
    if when == "по просьбе":
        return
    days_routines = {"G2": "morning", "G7": "watch", "G11": "evening", "G14": "monday"}
    found = re.search(r"2getpro ops (\w+)", command)
    routine = ROUTINES[found[1] if found else days_routines[number]]
    minute, hour, _, _, day = routine.rule.split()
    if when == "каждые 2 часа":
        assert (minute, hour) == ("0", "*/2")
    else:
        *name, clock = when.split()
        assert (clock, [DAYS[part] for part in name] or ["*"]) == (f"{hour}:{minute:0>2}", [day])


@pytest.mark.parametrize("number", [f"G{number}" for number in [25, 26, *range(28, 38)]])
def test_the_day_of_the_month_is_the_schedules(number: str) -> None:
    command, when = ROWS[number][2:4]
    found = re.search(r"2getpro ops (\w+)", command)
    assert found is not None
    minute, hour, days, *_ = ROUTINES[found[1]].rule.split()
    named = " и ".join(f"{day}-го" for day in days.split(","))
    assert when.partition(",")[0] == f"{named} {hour}:{minute:0>2}"


@pytest.mark.parametrize("number", sorted(set(ROWS) - WITHOUT_TESTS))
def test_the_tests_are_named_and_there(number: str) -> None:
    """A file would name whatever is in it: each is ``file::test``."""
    named = re.findall(r"`([^`]+)`", ROWS[number][-1])
    assert named
    for one in named:
        path, _, name = one.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        tests = {node.name for node in tree.body if isinstance(node, kinds)}
        assert name in {test for test in tests if test.startswith("test_")}, one
