"""What is done by command stands on the time lines of incidents: any command, and no secrets."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
import typer
from sqlalchemy import text

from cli_typed import Done, settings, typed
from duty import Watch, watch
from getpro import cli
from getpro.cli.deeds import only_looks
from getpro.cli.duty import in_one_step
from getpro.incidents import store, team
from getpro.incidents.deps import Deps
from getpro.incidents.states import Role
from getpro.kit.clock import utc_now
from getpro.platform import changes
from getpro.platform.changes import ChangeKind
from getpro.platform.database import Session

__all__ = ["settings", "watch"]

CLI = Path(cli.__file__).parent


async def noted(watch: Watch) -> list[tuple[str, str]]:
    rows = await watch.rows("SELECT who, words FROM changes ORDER BY change_id")
    return [(row.who, row.words) for row in rows]


async def test_a_command_is_noted_with_who_and_which_and_no_secret(watch: Watch) -> None:
    arguments = ("--role", "on_call", "--telegram", "104", "--other", "tgram://42:SECRET/1")
    assert (await typed("contacts", "set", "olga", *arguments)).code == 0
    [(who, words)] = await noted(watch)
    assert words == "Команда: 2getpro contacts set … --role … --telegram 104 --other …"
    assert who


async def test_whoever_decides_is_who_did_it(watch: Watch) -> None:
    await typed("customers", "block", "101", "--reason", "жалоба", "--by", "ольга")
    assert await noted(watch) == [("ольга", "Команда: 2getpro customers block 101 --reason …")]


async def test_whoever_became_root_is_told_as_who_they_were(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "timur")
    await typed("contacts", "remove", "olga")
    assert await noted(watch) == [("timur", "Команда: 2getpro contacts remove …")]


async def test_who_only_looks_is_not_noted(watch: Watch) -> None:
    for command in (("contacts", "list"), ("oncall",), ("oncall", "steps"), ("payments", "stuck")):
        assert (await typed(*command)).code in {0, 1}, command
    assert await noted(watch) == []


async def test_deeds_on_incidents_stand_there_once(watch: Watch) -> None:
    await typed("incident", "open", "Беда", "--by", "ольга")
    await typed("incident", "take", "1", "--by", "ольга")
    shown = (await typed("incident", "show", "1")).said
    assert (await noted(watch), shown.count("Взял"), "Команда" in shown) == ([], 1, False)


async def test_what_asks_for_no_database_is_noted_as_well(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    settings = (tmp_path / ".env").read_text()
    (tmp_path / ".env").write_text(f"{settings}\nGETPRO_LOG_DIR=logs\n")
    await typed("logs")
    await typed("heartbeat", "check")
    assert await noted(watch) == []
    await typed("logs", "--delete-older", "7d")
    assert [words for _, words in await noted(watch)] == ["Команда: 2getpro logs --delete-older …"]


async def write(session: Session, deps: Deps) -> None:
    await team.add_person(session, "новый", [Role.DEVOPS], now=deps.clock())


def of(command: Callable[[], None]) -> ModuleType:
    module = ModuleType("new_command")
    module.app = typer.Typer()  # type: ignore[attr-defined]
    module.app.command()(command)
    return module


@pytest.fixture
def new(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], Awaitable[Done]]:
    """A command that somebody adds tomorrow."""

    async def run(command: Callable[[], None]) -> Done:
        monkeypatch.setitem(cli.COMMANDS, "new", ("new_command", "Новая"))
        monkeypatch.setitem(__import__("sys").modules, "new_command", of(command))
        return await typed("new")

    return run


async def test_a_command_that_nobody_has_listed_is_noted(watch: Watch, new: Any) -> None:
    def command() -> None:
        in_one_step(write, remedy="")

    assert (await new(command)).code == 0
    assert [words for _, words in await noted(watch)] == ["Команда: 2getpro new"]


async def test_one_that_says_that_it_only_looks_cannot_write(watch: Watch, new: Any) -> None:
    @only_looks
    def command() -> None:
        in_one_step(write, remedy="")

    with pytest.raises(Exception, match="read-only transaction"):
        await new(command)
    assert await watch.rows("SELECT name FROM people") == []
    await new(lambda: in_one_step(write, remedy=""))
    assert len(await watch.rows("SELECT name FROM people")) == 1, "the next one may"


def test_no_command_comes_to_the_database_by_another_way() -> None:
    ways = re.compile(r"database_url\.get_secret_value|Cluster\.running")
    found = {path.name for path in CLI.glob("*.py") if ways.search(path.read_text(encoding="utf-8"))}
    assert found == {"database.py", "sandbox.py"}, "the sandbox's is its own"


async def test_an_incident_is_read_with_what_was_done_shortly_before_and_meanwhile(watch: Watch) -> None:
    async with watch.deps.db.begin("test") as session:
        now = utc_now()
        for words, ago in (("давно", 61), ("Новая версия: web, 1 → 2", 12)):
            await session.execute(
                text(
                    "INSERT INTO changes (at, who, kind, words, data)"
                    " VALUES (:at, 'магазин', 'deployed', :words, '{}')"
                ),
                {"at": now - timedelta(minutes=ago), "words": words},
            )
    await typed("incident", "open", "Беда", "--level", "L1", "--by", "ольга")
    await watch.run_jobs()
    assert "За 12 мин до этого: Новая версия: web, 1 → 2" in watch.shown()
    await typed("customers", "block", "101", "--reason", "жалоба", "--by", "ольга")
    said = ("--cause", "выкладка", "--fix", "откатили", "--force", "пробных покупок ещё не было")
    await typed("incident", "resolve", "1", *said, "--by", "ольга")
    await typed("customers", "unblock", "101", "--reason", "жалоба", "--by", "ольга")
    async with watch.deps.db.read("test") as session:
        line = await store.time_line(session, 1)
    read = [one.words for one in line]
    assert read[0] == "Новая версия: web, 1 → 2"
    assert read.index("Команда: 2getpro customers block 101 --reason …") > read.index("L1: Беда")
    assert not any("unblock" in one or "давно" in one for one in read)


async def test_a_first_start_explains_nothing(watch: Watch) -> None:
    async with watch.deps.db.begin("test") as session:
        await changes.note(session, ChangeKind.FIRST, "Первый запуск: web, версия 1", now=utc_now())
    await typed("incident", "open", "Беда", "--level", "L1", "--by", "ольга")
    await watch.run_jobs()
    assert "до этого" not in watch.shown()
    assert "Первый запуск" in (await typed("incident", "show", "1")).said


async def test_a_deed_is_neither_changed_nor_forgotten(watch: Watch, database_url: str) -> None:
    await typed("contacts", "remove", "olga")
    for deed in ("UPDATE changes SET who = 'x'", "DELETE FROM changes", "TRUNCATE changes"):
        with (
            psycopg.connect(database_url) as connection,
            pytest.raises(psycopg.errors.RaiseException, match="neither changed nor deleted"),
        ):
            connection.execute(deed)
