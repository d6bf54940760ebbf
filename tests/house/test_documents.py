"""The documents say what the code does: settings, kinds of stuck money, commands, links."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from getpro.cli import COMMANDS
from getpro.cli.payments import _KINDS
from getpro.platform.settings import GROUPS, Group, Settings

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(page for folder in ("docs", "src", "tests", "tools") for page in (ROOT / folder).rglob("*.md")),
]
SETTINGS_PAGE = ROOT / "docs/operations/settings.ru.md"
STUCK_PAGE = ROOT / "docs/operations/payments-stuck.ru.md"
NOT_IN_SETTINGS = {"PG_BIN"}
"""Read where the tools are looked for, by commands that load no settings."""
OF_THE_LAUNCHER = {"test", "bench"}
"""Commands that the shell script carries out by itself."""


def settings() -> Iterator[tuple[str, Any]]:
    """Every environment variable that the settings read, with its default."""
    for name, field in Settings.model_fields.items():
        groups = [
            kind
            for kind in (field.annotation, *get_args(field.annotation))
            if isinstance(kind, type) and issubclass(kind, Group)
        ]
        for group in groups:
            for inner, inner_field in group.model_fields.items():
                yield f"{name}_{inner}".upper(), inner_field.default
        if not groups:
            yield str(field.validation_alias or name).upper(), field.default


def entries() -> dict[str, str]:
    """The settings page by variable: the text of its entry."""
    found = re.findall(r"(?m)^- `([A-Z0-9_]+)`(.*\n(?:  .*\n)*)", SETTINGS_PAGE.read_text(encoding="utf-8"))
    assert len(dict(found)) == len(found), "a setting stands twice"
    return dict(found)


def examples(text: str) -> dict[str, str]:
    return dict(re.findall(r"Пример: `([A-Z0-9_]+)=(.*)`", text))


def written(default: Any) -> str:
    """A default as it would stand in ``.env``."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ",".join(str(item) for item in default)
    return str(default)


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, _ in settings():
        monkeypatch.delenv(name, raising=False)


def test_every_setting_is_on_the_operators_page_and_nothing_else_is() -> None:
    assert set(entries()) - NOT_IN_SETTINGS == {name for name, _ in settings()}


@pytest.mark.parametrize(("name", "default"), list(settings()))
def test_the_page_names_the_default(name: str, default: Any) -> None:
    text = entries()[name]
    if default is PydanticUndefined:
        assert "Обязательна" in text or name == "TELEGRAM_WEBHOOK_SECRET"
    elif default in (None, "", []):
        assert "Не задана" in text
    else:
        assert f"По умолчанию `{written(default)}`" in text


def test_every_entry_has_an_example_and_the_settings_take_them_all(tmp_path: Path, nothing_set: None) -> None:
    found = examples(SETTINGS_PAGE.read_text(encoding="utf-8"))
    assert set(found) == set(entries())
    file = tmp_path / "env"
    file.write_text("\n".join(f"{name}={value}" for name, value in found.items()), encoding="utf-8")
    taken = Settings(_env_file=file)  # type: ignore[call-arg] # pydantic-settings' own
    assert taken.shop.name == "Мой VPN"
    assert taken.yookassa is not None
    assert taken.panel.cookie == SecretStr("door=open-sesame")


def test_the_example_file_starts_a_shop_and_knows_only_settings(nothing_set: None) -> None:
    file = ROOT / ".env.example"
    text = file.read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^#?([A-Z0-9_]+)=", text)) <= {name for name, _ in settings()}
    shop = Settings(_env_file=file)  # type: ignore[call-arg]
    assert (shop.public_url, shop.trusted_proxies, shop.yookassa) == (None, [], None)


def test_the_example_file_calls_required_what_is_and_nothing_else() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    required = {f"{group}_{name}".upper() for group, names in GROUPS.items() for name in names}
    assert set(re.findall(r"(?m)^([A-Z0-9_]+)=", text)) == required


def test_every_kind_of_stuck_money_has_its_place_on_the_operators_page() -> None:
    headings = re.findall(r"(?m)^### `(\w+)`: (.+)$", STUCK_PAGE.read_text(encoding="utf-8"))
    assert dict(headings) == _KINDS


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^ *```.*?^ *```", "", text))


def anchors(page: Path) -> set[str]:
    """What the page's headings are linked by, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = without_code(page.read_text(encoding="utf-8"))
    for link in re.findall(r'\]\(([^)\s]+)\)|<img src="([^"]+)"', text):
        path, _, anchor = "".join(link).partition("#")
        if ":" in path:
            continue
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists_with_its_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"(?ms)^ *```[^`\n]*\n(.*?)^ *```", text)
    for line in "\n".join(code).splitlines():
        for call in re.findall(r"2getpro ((?:[a-z]+ ?)+[^|;&]*)", line):
            assert_exists(call, page)


def assert_exists(call: str, page: Path) -> None:
    name, *rest = call.split()
    if name in OF_THE_LAUNCHER:
        return
    assert name in COMMANDS, f"{page.name}: 2getpro {call}"
    command: Any = typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)
    known = set(opts(command))
    words = iter(rest)
    while hasattr(command, "commands") and re.fullmatch("[a-z]+", word := next(words, "")):
        assert word in command.commands, f"{page.name}: 2getpro {call}"
        command = command.commands[word]
        known |= set(opts(command))
    if not command.ignore_unknown_options:  # psql has options of its own
        used = {word for word in rest if word.startswith("--")}
        assert used <= known, f"{page.name}: 2getpro {call}"


def opts(command: Any) -> list[str]:
    return ["--help", *(option for parameter in command.params for option in parameter.opts)]


def test_the_documents_that_the_code_names_exist() -> None:
    sources = [
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "tools").rglob("*.py"),
    ]
    named = {
        found
        for source in sources
        for found in re.findall(r"docs/[\w./-]+\.(?:md|svg|png)", source.read_text(encoding="utf-8"))
    }
    assert "docs/decisions/0003-settling.md" in named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
