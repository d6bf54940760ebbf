"""Fixtures: a real PostgreSQL, a migrated template, a fresh copy of it for each test."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from databases import Databases
from folders import open_up
from getpro import migrations
from getpro.platform import cipher
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.postgres import Cluster
from past import copies, living, past
from shop import KEY, Shop
from storage import Storage, storage

__all__ = ["copies", "living", "past"]

os.environ.pop("GETPRO_STARTED_AS", None)  # the launcher has started the tests, not what they start
os.environ["DATABASE_KEYS"] = KEY  # not this machine's own data directory's


@pytest.fixture(scope="session", autouse=True)
def no_key_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nor for a shop whose settings come from the test."""
    with pytest.MonkeyPatch.context() as patched:
        place = tmp_path_factory.mktemp("data")
        (place / cipher.FILE).write_text(f"{KEY}\n")
        patched.setattr(cipher, "default_directory", lambda: place)
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL of this run's own, without its database name."""
    directory = open_up(tmp_path_factory.mktemp("postgres"))
    with Cluster.running(directory, durable=False) as url:
        yield url.rpartition("/")[0]


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """A migrated database that is copied for each test."""
    name = f"template_{uuid4().hex[:8]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    migrations.upgrade(f"{server}/{name}")
    return name


@pytest.fixture(scope="session")
def databases(server: str, template: str) -> Databases:
    return Databases(server, template)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database of the test's own."""
    with databases.lent() as url:
        yield url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = Database(database_url)
    yield db
    await db.close()


@pytest.fixture
def jobs(database_url: str) -> Jobs:
    return Jobs(database_url)


@pytest.fixture
def shop(db: Database, jobs: Jobs) -> Shop:
    return Shop(db, jobs)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A server for copies off this machine."""
    with storage(tmp_path_factory.mktemp("s3")) as running:
        yield running


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests measured, also those of parallel workers."""
    figures = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "figure"
    ]
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.line(figure)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=6, help="how often the crash test kills")
    parser.addoption("--examples", type=int, default=None, help="how many random sequences are played")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever may take a quarter of an hour begins first: at the end one worker would wait for the other."""

    def patience(item: pytest.Item) -> float:
        allowed = item.get_closest_marker("timeout")
        return allowed.args[0] if allowed is not None and allowed.args[0] > 600 else 0

    items.sort(key=patience, reverse=True)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keep a sentence with a measured number for the end of the run."""
    return lambda text: record_property("figure", text)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int | None:
    """How many random sequences to play, new ones each time; None: a few, always the same."""
    chosen = request.config.getoption("--examples")
    return None if chosen is None else int(chosen)
