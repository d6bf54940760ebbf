"""A shop with a past: a copy of it lies in a folder, and any number of living databases look like it."""

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from copies import copies_in
from fakes import FakeClock
from folders import open_up
from getpro.backups import service
from getpro.backups.choice import choose
from getpro.backups.keys import Keys, keys
from getpro.backups.manifest import Facts, Manifest, facts_of
from getpro.backups.sources import Copy
from getpro.kit.clock import utc_now
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from shop import NOW, Shop

DAVE = 104
"""Came after the copy, and is known to the living database alone."""


@dataclass(frozen=True)
class Past:
    """``folder`` holds the one copy; Alice and Bob have bought, and are in it."""

    server: str
    database: str
    """As it was when it was copied; a template."""
    folder: Path
    keys: Keys
    key_file: Path

    @property
    def manifest(self) -> Manifest:
        return choose(self.folder, None, self.keys.identity, now=utc_now()).manifest

    @property
    def source(self) -> Copy:
        return Copy(self.folder, self.manifest, self.keys.identity)

    @property
    def facts(self) -> Facts:
        return _unmarked(self.manifest.facts)


@pytest.fixture(scope="session")
def past(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    home = open_up(tmp_path_factory.mktemp("past"))
    name = f"past_{uuid4().hex[:8]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    with ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, _lived(f"{server}/{name}", home)).result()
    yield Past(server, name, home / "backups", keys(home, home / "backups"), home / "backup.key")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def _lived(url: str, home: Path) -> None:
    db = Database(url, pool_size=2)
    shop = Shop(db, Jobs(url))
    deps = copies_in(home, db=db, database_url=url, clock=FakeClock(NOW))
    try:
        for name in ("alice", "bob"):
            await shop.purchase(await shop.customer(name))
        await service.create(deps, asked_by="olga")
    finally:
        await db.close()


@pytest.fixture
def living(past: Past) -> Iterator[str]:
    """The address of a living database that has gone on: Dave has come, and Alice is called otherwise."""
    name = f"live_{uuid4().hex[:8]}"
    with psycopg.connect(f"{past.server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{past.database}"')
        with psycopg.connect(f"{past.server}/{name}", autocommit=True) as inside:
            inside.execute(
                "INSERT INTO users (user_id, first_name, registration_date)"
                " VALUES (%s, 'Dave', %s + interval '1 hour')",
                [DAVE, NOW],
            )
            inside.execute("UPDATE users SET first_name = 'Alicia' WHERE user_id = 101")
        yield f"{past.server}/{name}"
        for (left,) in connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [name]
        ).fetchall():
            connection.execute(f'DROP DATABASE "{left}" WITH (FORCE)')


@pytest.fixture
def copies(past: Past, tmp_path: Path) -> Path:
    """The folder of copies once more, to be harmed."""
    return Path(shutil.copytree(past.folder, open_up(tmp_path) / "backups"))


def facts(url: str) -> Facts:
    """Of everything but the mark that it was restored."""
    with psycopg.connect(url) as connection:
        return _unmarked(facts_of(connection))


def _unmarked(found: Facts) -> Facts:
    return replace(found, rows={table: rows for table, rows in found.rows.items() if table != "restores"})


def marks(url: str) -> list[datetime]:
    """The moments to which a database knows that it was brought back, while its shop is held."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT restored_to FROM restores WHERE reconciled_at IS NULL")
        return [row[0] for row in rows]


def customers(url: str) -> dict[int, str]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT user_id, first_name FROM users ORDER BY 1").fetchall())
