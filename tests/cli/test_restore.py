"""``2getpro restore`` as an operator types it."""

import asyncio
import contextlib
import io
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from folders import open_up
from getpro import cli
from getpro.backups import places, room
from getpro.backups.sources import SERVER
from getpro.cli import restore as command
from getpro.migrations import HEAD
from getpro.platform.cipher import new_key
from getpro.platform.database import Database
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.address import name_of
from past import DAVE, Past, customers, facts, marks
from shop import KEY
from terminal import CTRL_C, SOURCE, terminal


@dataclass
class Done:
    code: int
    said: str
    complained: str


async def restore(*arguments: str) -> Done:
    stdout, stderr = io.StringIO(), io.StringIO()

    def run() -> int:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            return cli.execute(["restore", *arguments])

    code = await asyncio.to_thread(run)
    return Done(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture
def reconciled(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How often the books were asked to be made whole; how that goes, its own tests tell."""
    asked: list[bool] = []
    monkeypatch.setattr(command, "reconcile", lambda: asked.append(True))
    return asked


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new one: nothing is set but where data lie, and nothing lies there."""
    monkeypatch.chdir(open_up(tmp_path))
    monkeypatch.setenv("GETPRO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def shop_folder(machine: Path, past: Past, living: str) -> Path:
    """Of a shop that lives on a database elsewhere, and has its copies and its key at hand."""
    (machine / "data").mkdir()
    open_up(machine / "data")
    (machine / "data" / "backup.key").write_bytes(past.key_file.read_bytes())
    (machine / ".env").write_text(f"DATABASE_URL={living}\nOPERATIONS_BACKUPS={past.folder}\n")
    return machine


async def test_on_a_new_machine_the_folder_and_the_key_are_enough(past: Past, machine: Path) -> None:
    given = ("--from", str(past.folder), "--key", str(past.key_file))
    listed = await restore("list", "--from", str(past.folder))
    assert past.manifest.name in listed.said
    assert "нет ключа" in listed.said
    assert "ещё не было" in (await restore("list", *given)).said
    plan = await restore(*given, "--dry-run")
    assert (plan.code, plan.complained) == (0, ""), plan
    assert "клиентов 2, подписок 2, оплачено 398 ₽" in plan.said
    assert "01.03.2026 15:00 МСК" in plan.said
    assert not (machine / "data").exists()
    assert (await restore(*given)).complained.count("Добавьте --yes") == 1

    done = await restore(*given, "--yes")
    assert (done.code, done.complained) == (0, ""), done
    directory = machine / "data" / "restored" / past.manifest.name
    assert f"GETPRO_DATA_DIR={directory} 2getpro psql" in done.said
    assert not (machine / "data" / SERVER).exists()
    with Cluster.running(directory / SERVER) as url:
        assert facts(url) == past.facts
        assert marks(url) == [past.manifest.moment]
    again = await restore(*given, "--yes")
    assert (again.code, "там уже есть база" in again.complained) == (2, True)


async def test_a_lost_database_comes_back_to_where_it_was(past: Past, machine: Path) -> None:
    data = machine / "data"
    shutil.copytree(past.folder, data / "backups")
    open_up(data)
    (data / "backup.key").write_bytes(past.key_file.read_bytes())
    (data / SERVER).mkdir()
    left = await restore("--into", str(data), "--yes")
    assert (left.code, f"mv {data / SERVER}" in left.complained) == (2, True), left
    (data / SERVER).rmdir()
    done = await restore("--into", str(data), "--yes")
    assert (done.code, "GETPRO_DATA_DIR" in done.said) == (0, False), done
    assert "сначала сверка с провайдерами и панелью: 2getpro reconcile" in done.said
    assert await asyncio.to_thread(cli.execute, ["migrate"]) == 0
    with Cluster.running(data / SERVER) as url:
        assert (set(customers(url)), marks(url)) == ({101, 102}, [past.manifest.moment])


async def test_the_key_is_tried_also_where_only_the_plan_is_wanted(past: Past, machine: Path) -> None:
    (machine / "other.key").write_text(f"{new_key()}\n")
    done = await restore("--from", str(past.folder), "--key", "other.key", "--dry-run")
    assert (done.code, "этот ключ её не открывает" in done.complained) == (2, True), done
    assert "--key ФАЙЛ" in done.complained


@pytest.mark.parametrize("here", [None, "AGE-SECRET-KEY-HERE"])
async def test_the_key_of_the_database_comes_to_the_new_place(
    past: Past, machine: Path, here: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_KEYS")
    monkeypatch.setattr(places, "into_new_place", lambda _, directory, *__, **___: directory.mkdir())
    (machine / "data").mkdir()
    if here is not None:
        (machine / "data/database.key").write_text(f"{here}\n")
    given = ("--from", str(past.folder), "--key", str(past.key_file), "--into", str(machine / "new"), "--yes")
    done = await restore(*given)
    assert (done.code, "database.key" in done.said) == (0, False), done
    key = machine / "new/database.key"
    assert (key.read_text(), key.stat().st_mode & 0o777) == (f"{here or KEY}\n", 0o600)


async def test_over_the_living_one_only_with_its_name_and_back(
    past: Past, living: str, shop_folder: Path, reconciled: list[bool]
) -> None:
    name = name_of(living)
    unnamed = await restore("--over-live")
    assert (unnamed.code, f"Добавьте --name {name}" in unnamed.complained) == (2, True)
    wrong = await restore("--over-live", "--name", "2getpro_v2")
    assert (wrong.code, "Ничего не изменено" in wrong.complained) == (2, True)
    db = Database(living, pool_size=1)
    async with db.read("test"):
        running = await restore("--over-live", "--name", name)
    await db.close()
    assert (running.code, "systemctl stop 2getpro" in running.complained) == (2, True)
    assert DAVE in customers(living)

    done = await restore("--over-live", "--name", name)
    assert (done.code, done.complained) == (0, ""), done
    assert "новых клиентов 1" in done.said
    assert "в новой базе этого не будет" in done.said
    assert facts(living) == past.facts
    assert (marks(living), reconciled) == ([past.manifest.moment], [True])
    [kept] = re.findall(r"restore drop (\S+)", done.said)
    assert f"Прежняя база {kept}" in (await restore("list")).said
    came_back = await restore("back", "--name", name)
    assert (came_back.code, DAVE in customers(living)) == (0, True), came_back
    assert (len(marks(living)), len(reconciled)) == (1, 2)
    [left] = re.findall(rf"{name}_before_\d+_\d+(?=\.\n)", came_back.said)
    assert "Добавьте --yes" in (await restore("drop", left)).complained
    assert "прежней базы postgres нет" in (await restore("drop", "postgres", "--yes")).complained
    assert (await restore("drop", left, "--yes")).said == f"Удалена: {left}.\n"
    assert "прежней базы нет" in (await restore("back", "--name", name)).complained


@pytest.mark.long
async def test_the_name_is_asked_for_on_a_terminal(past: Past, living: str, shop_folder: Path) -> None:
    settings = {"GETPRO_DATA_DIR": str(shop_folder / "data")}
    async with terminal("restore", "--over-live", cwd=shop_folder, **settings) as shown:
        await shown.sees("наберите её имя")
        shown.types("the live one")
        await shown.sees("Ничего не изменено.")
        assert await shown.ended() == 2
    async with terminal("restore", "--over-live", cwd=shop_folder, **settings) as shown:
        await shown.sees("наберите её имя")
        shown.types(name_of(living))
        await shown.sees("Восстановление")
        await shown.sees("Восстановлено за")
        await shown.sees("Настройки не подходят")  # of this shop there is no panel to be reconciled with
        assert await shown.ended() == 2
    assert marks(living) == [past.manifest.moment]
    assert facts(living) == past.facts


async def test_whoever_presses_ctrl_c_leaves_nothing(past: Past, living: str, shop_folder: Path) -> None:
    settings = {"GETPRO_DATA_DIR": str(shop_folder / "data")}
    async with terminal("restore", cwd=shop_folder, **settings) as shown:
        await shown.sees("[да/нет]")
        shown.types("да")
        await shown.sees("Восстановление")
        assert await shown.leaves(CTRL_C) == 130
    assert not list((shop_folder / "data" / "restored").glob("*/*"))
    assert DAVE in customers(living)


@pytest.mark.long
async def test_the_new_place_is_looked_at_by_the_command_that_is_printed(
    past: Past, living: str, shop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the shop's own settings name another database, and the program was started by a relative path."""
    launcher = shop_folder / "2getpro"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m getpro "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    monkeypatch.setenv("GETPRO_STARTED_AS", "./2getpro")
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    done = await restore("--into", "look", "--yes")
    assert (done.code, done.complained) == (0, ""), done
    [looking] = re.findall(r"(?m)^Посмотреть: (.*)$", done.said)
    typed = ["sh", "-c", f"{looking} -Atc 'TABLE alembic_version'"]
    seen = await asyncio.to_thread(subprocess.run, typed, capture_output=True, text=True, check=False)
    assert seen.stdout == f"{HEAD}\n", seen.stderr


async def test_one_table_goes_into_a_file_and_the_living_one_stays(
    past: Past, living: str, shop_folder: Path
) -> None:
    before = customers(living)
    done = await restore("--table", "users", "--changed", "--out", "users.csv")
    assert (done.code, done.complained) == (0, ""), done
    assert "users.csv: строк 1." in done.said
    assert "С тех пор: исчезло 0, стало другими 1, появилось 1." in done.said
    assert ",Alice," in (shop_folder / "users.csv").read_text(encoding="utf-8")
    assert customers(living) == before
    assert not list((shop_folder / "data" / "restored").glob("[!.]*"))
    missing = await restore("--table", "moneys")
    assert (missing.code, "таблицы moneys в копии нет" in missing.complained) == (2, True)


async def test_one_customer_is_shown_as_they_were_and_no_secret_is(
    past: Past, living: str, shop_folder: Path
) -> None:
    done = await restore("--customer", "101")
    assert (done.code, done.complained) == (0, ""), done
    assert "Клиент (users): 1\n  user_id: 101, first_name: Alice" in done.said
    assert "amount: 199 ₽" in done.said
    assert "paid_amount: 199 ₽" in done.said
    assert "encrypted_url: ***" in done.said
    with psycopg.connect(f"{past.server}/{past.database}") as inside:
        secret = inside.execute("SELECT encrypted_url FROM panel_accounts").fetchall()
    assert secret
    assert not [word for row in secret for word in row if word.hex() in done.said]
    assert "Bob" not in done.said


async def test_what_cannot_be_is_said_in_a_sentence_with_a_remedy(
    past: Past, copies: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--from", str(copies), "--yes")
    assert "--key ФАЙЛ" in (await restore(*given)).complained
    (machine / "other.key").write_text(
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n"
    )
    stranger = await restore(*given, "--key", str(machine / "other.key"))
    assert (stranger.code, "Укажите ключ, сохранённый с той машины" in stranger.complained) == (2, True)
    keyed = (*given, "--key", str(past.key_file))
    with monkeypatch.context() as full:
        full.setattr(room, "free_bytes", lambda _: 1)
        assert "нужно" in (await restore(*keyed)).complained
    (copies / f"{past.manifest.name}.dump.zst.age").unlink()
    assert "файла нет" in (await restore(*keyed)).complained
    assert "копии nope нет" in (await restore(*keyed, "--copy", "nope")).complained
    assert "такой давней базовой копии нет" in (await restore(*keyed, "--to", "2026-03-01 15:00")).complained
    assert "базовой копии нет" in (await restore(*keyed, "--to", "end")).complained
    assert "время пишется как" in (await restore(*keyed, "--to", "вчера")).complained
    assert "ещё не наступило" in (await restore(*keyed, "--to", "2226-03-01 15:00")).complained
    both = await restore(*keyed, "--over-live", "--table", "users")
    assert (both.code, "вместе не бывают" in both.complained) == (64, True)
