"""Who may do what: people, roles of the database and files, each against what was declared."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from duty import OLGA, TIMUR, Watch, staffed, watch
from getpro.checks.check import Finding, Level
from getpro.operations.looks import rights
from getpro.platform import audit
from getpro.platform.database import Database
from shop import NOW

__all__ = ["staffed", "watch"]


async def people(watch: Watch, *operators: int) -> dict[str, Level]:
    found = rights.look_at_people(watch.deps.db, operators, now=NOW)
    return {one.name: one.level async for one in found}


async def act(watch: Watch, actor: str) -> None:
    async with watch.deps.db.begin("test") as session:
        await audit.note(session, actor=actor, action="x", subject="u1", reason="x", outcome="y", now=NOW)


async def test_rights_that_nobody_uses_or_has_a_name_for_are_named(staffed: Watch) -> None:
    assert await people(staffed, OLGA, 777) == {
        "rights.unnamed.777": Level.ATTENTION,
        "rights.unused.Telegram 777": Level.ATTENTION,
        "rights.unused.olga": Level.ATTENTION,
    }
    await act(staffed, f"@olga ({OLGA})")
    await act(staffed, str(TIMUR))
    assert await people(staffed, OLGA, TIMUR) == {"rights.people": Level.OK}


@dataclass
class Role:
    name: str
    server: psycopg.Connection
    own: psycopg.Connection


@pytest.fixture
def role(server: str, database_url: str) -> Iterator[Role]:
    """Somebody else's, in the shop's own server."""
    name = f"metabase_{uuid4().hex[:6]}"
    with (
        psycopg.connect(f"{server}/postgres", autocommit=True) as connection,
        psycopg.connect(database_url, autocommit=True) as own,
    ):
        connection.execute(f"CREATE ROLE {name} NOLOGIN")
        yield Role(name, connection, own)
        own.execute(f"DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE {name}")


async def roles(db: Database) -> dict[str, tuple[Level, str]]:
    """Of others in this server, other tests' roles are of no matter."""
    return {
        one.name: (one.level, one.seen)
        async for one in rights.look_at_roles(db)
        if "modest" not in one.name and one.name != "rights.trust"
    }


async def test_a_role_that_nobody_declared_is_named_once_it_can_come_in(db: Database, role: Role) -> None:
    own = f"rights.role.{role.name}"
    assert own not in await roles(db)
    role.server.execute(f"ALTER ROLE {role.name} LOGIN")
    assert (await roles(db))[own] == (Level.ATTENTION, "не объявлена, а войти может")
    role.server.execute(f"ALTER ROLE {role.name} SUPERUSER")
    assert (await roles(db))[own] == (Level.WRONG, "не объявлена, и может всё")


async def test_tables_that_are_open_to_others_are_named(db: Database, role: Role) -> None:
    assert not [name for name in await roles(db) if name.startswith("rights.grant")]
    role.own.execute(f"GRANT SELECT, UPDATE ON payments TO {role.name}")
    role.own.execute("GRANT SELECT ON users TO PUBLIC")
    role.own.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    found = await roles(db)
    assert found[f"rights.grant.{role.name}"] == (Level.WRONG, "public.payments (SELECT, UPDATE)")
    assert found["rights.grant.PUBLIC"] == (Level.WRONG, "public.users (SELECT), схема public (CREATE)")


async def test_a_door_without_a_password_is_named(
    db: Database, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this server there is none: a view of the same columns stands in for the server's own."""
    async with db.begin("test") as session:
        await session.exec_driver_sql(
            "CREATE FUNCTION public.hba() RETURNS TABLE (line_number int, type text, address text,"
            " auth_method text) LANGUAGE sql AS"
            " $$VALUES (3, 'host', '10.0.0.0', 'trust'), (1, 'local', NULL, 'trust'),"
            " (2, 'host', '0.0.0.0', 'scram-sha-256')$$"
        )
    assert [one for one in await looked_at_doors(db) if one.name == "rights.trust"] == []
    monkeypatch.setattr(rights, "HBA", "public.hba()")
    [found] = [one for one in await looked_at_doors(db) if one.name == "rights.trust"]
    assert (found.level, found.seen) == (Level.ATTENTION, "pg_hba.conf: local local, host 10.0.0.0")


async def looked_at_doors(db: Database) -> list[Finding]:
    return [one async for one in rights.look_at_roles(db)]


async def modes(*private: Path) -> list[tuple[Level, str]]:
    return [(one.level, one.seen) async for one in rights.look_at_modes(private)]


async def test_files_that_others_may_open_are_named(tmp_path: Path) -> None:
    file, folder, gone = tmp_path / ".env", tmp_path / "copies", tmp_path / "gone"
    file.write_text("x")
    file.chmod(0o600)
    folder.mkdir()
    folder.chmod(0o711)  # gone through, and not looked into
    assert await modes(file, folder, gone) == [(Level.OK, "посмотрено 2, закрыты все")]
    for mode, who in ((0o640, "группе"), (0o604, "всем"), (0o602, "всем")):
        file.chmod(mode)
        assert await modes(file, folder) == [(Level.WRONG, f"{file}: открыт {who} (права {mode:o})")]
    file.chmod(0o600)
    folder.chmod(0o755)
    assert await modes(file, folder) == [(Level.WRONG, f"{folder}: открыт всем (права 755)")]


async def test_copies_are_closed_to_strangers_and_a_group_may_be_let_in(tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "latest.sql.gz").touch(mode=0o644)

    async def seen() -> tuple[Level, str]:
        [found] = [one async for one in rights.look_at_modes((), folder)]
        return found.level, found.seen

    folder.chmod(0o750)
    assert await seen() == (Level.OK, "посмотрено 1, закрыты все")
    folder.chmod(0o711)
    assert await seen() == (Level.WRONG, f"{folder}: открыты всем: latest.sql.gz")
    (folder / "latest.sql.gz").chmod(0o640)
    assert (await seen())[0] is Level.OK
    folder.chmod(0o755)
    assert await seen() == (Level.WRONG, f"{folder}: открыта всем (права 755)")


async def test_a_shop_that_runs_as_root_is_named(tmp_path: Path) -> None:
    mark = tmp_path / ".dockerenv"

    async def level(uid: int | None) -> Level:
        [found] = [one async for one in rights.look_at_user(uid=uid, marks=[mark])]
        return found.level

    assert (await level(1000), await level(0)) == (Level.OK, Level.ATTENTION)
    mark.touch()
    assert (await level(10001), await level(0)) == (Level.OK, Level.WRONG)
    assert await level(None) is (Level.WRONG if os.geteuid() == 0 else Level.OK)
