"""``2getpro migrate`` as an operator types it: what there is to lose is copied first."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command

from folders import open_up
from getpro import cli, migrations

BEFORE = "0011"
"""Without a catalogue of copies."""


@pytest.fixture
def fresh(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database, and settings that name it."""
    name = f"test_{uuid4().hex[:12]}"
    open_up(tmp_path)
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("GETPRO_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("DATABASE_URL", f"{server}/{name}")
        yield f"{server}/{name}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def older(fresh: str) -> str:
    """The database of an older shop, with a customer."""
    command.upgrade(migrations.alembic_config(fresh), BEFORE)
    with psycopg.connect(fresh) as connection:
        connection.execute("INSERT INTO users (user_id) VALUES (101)")
    return fresh


def execute(*arguments: str) -> tuple[int, str, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = cli.execute(list(arguments))
    return code, stdout.getvalue(), stderr.getvalue()


def version(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row is not None
    return str(row[0])


def copies(folder: Path) -> list[Path]:
    return sorted((folder / "backups").glob("*.zst.age"))


def test_what_is_there_is_copied_before_it_is_changed_and_listed_after(
    older: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said, told = execute("migrate")
    assert (code, said) == (0, "База данных обновлена.\n"), told
    [copy] = copies(tmp_path)
    assert f"Копия: {copy.name.partition('.')[0]}\n" in told
    beside = json.loads((tmp_path / "backups" / f"{copy.name.partition('.')[0]}.json").read_text())
    assert (beside["facts"]["revision"], beside["facts"]["rows"]["users"]) == (BEFORE, 1)
    assert execute("migrate") == (0, "База данных обновлена.\n", "")
    assert copies(tmp_path) == [copy]
    for name, value in {"TELEGRAM_BOT_TOKEN": "42:T", "PANEL_URL": "http://p", "PANEL_TOKEN": "t"}.items():
        monkeypatch.setenv(name, value)
    assert execute("backup", "list")[0] == 0
    with psycopg.connect(older) as connection:
        found = connection.execute("SELECT name, state, asked_by FROM backups").fetchall()
    assert found == [(beside["name"], "made", "migration")]


def test_without_a_copy_nothing_is_changed_unless_it_is_asked_for(
    older: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPERATIONS_BACKUPS", str(tmp_path / "file/backups"))
    code, _, told = execute("migrate")
    assert (code, version(older)) == (2, BEFORE)
    assert "Копия перед миграцией не сделана, база осталась как была." in told
    assert "в пути стоит файл" in told
    assert "2getpro migrate --without-backup" in told
    assert execute("migrate", "--without-backup") == (0, "База данных обновлена.\n", "")
    assert version(older) == migrations.HEAD


@pytest.mark.long
def test_where_others_make_the_copies_none_is_made(
    older: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_ENABLED", "false")
    assert execute("migrate") == (0, "База данных обновлена.\n", "")
    assert (version(older), copies(tmp_path)) == (migrations.HEAD, [])


@pytest.mark.long
def test_an_empty_database_has_nothing_to_copy(fresh: str, tmp_path: Path) -> None:
    assert execute("migrate") == (0, "База данных обновлена.\n", "")
    assert (version(fresh), copies(tmp_path)) == (migrations.HEAD, [])


def test_an_empty_database_beside_copies_is_one_that_was_lost_and_is_not_begun_anew(
    fresh: str, tmp_path: Path
) -> None:
    copy = tmp_path / "backups/2getpro-20260301-023000.dump.zst.age"
    copy.parent.mkdir()
    copy.touch()
    code, _, told = execute("migrate")
    assert code == 2
    assert "База магазина пропала, а копии её целы." in told
    assert "2getpro restore --over-live --to end" in told
    assert not migrations.has_tables(fresh)
    copy.unlink()
    assert execute("migrate") == (0, "База данных обновлена.\n", "")


@pytest.mark.parametrize("arguments", [["psql", "-c", "SELECT 1"], ["backup", "list"], ["migrate"]])
def test_a_command_that_looks_makes_no_database_and_none_is_made_beside_copies_of_one(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(open_up(tmp_path))
    monkeypatch.setenv("GETPRO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for name, value in {"TELEGRAM_BOT_TOKEN": "42:T", "PANEL_URL": "http://p", "PANEL_TOKEN": "t"}.items():
        monkeypatch.setenv(name, value)
    if arguments != ["migrate"]:
        code, _, told = execute(*arguments)
        assert (code, "Базы ещё нет." in told, "2getpro run" in told) == (2, True, True), told
        assert not (tmp_path / "data/postgres").exists()
    (tmp_path / "data/backups/wal/1").mkdir(parents=True)
    (tmp_path / "data/backups/wal/1/000000010000000000000001.zst.age").touch()
    code, _, told = execute(*arguments)
    assert (code, f"2getpro restore --to end --into {tmp_path / 'data'}" in told) == (2, True), told
    assert not (tmp_path / "data/postgres").exists()


def test_a_key_is_made_for_a_new_database_and_none_beside_what_another_has_encrypted(
    fresh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_KEYS")
    key = tmp_path / "database.key"
    assert execute("migrate")[0] == 0
    made = key.read_text()
    assert execute("backup", "key", "--database") == (0, made, "")
    with psycopg.connect(fresh) as connection:
        connection.execute(
            "WITH olga AS (INSERT INTO people (name, roles, added_at)"
            " VALUES ('Olga', '{}', now()) RETURNING *)"
            " INSERT INTO contact_ways (person_id, sealed, shown) SELECT person_id, '\\x00', 'ntfy' FROM olga"
        )
    key.unlink()
    code, _, told = execute("migrate")
    assert (code, "Ключа базы нет." in told, key.exists()) == (2, True, False), told
    assert "2getpro backup key --database --new" in told
    assert execute("backup", "key", "--database", "--new")[0] == 0
    assert (execute("migrate")[0], key.read_text() != made) == (0, True)
