"""What copies cost on a database of about a gigabyte, beside the guide's own lines, in one run.

``./2getpro bench --copies`` makes the table of docs/development/copies.md.
"""

import asyncio
import contextlib
import itertools
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

import psycopg

from bench.data import Amounts, fill
from getpro import migrations
from getpro.backups import service, store, stream
from getpro.backups.deps import Deps
from getpro.backups.folder import LATEST
from getpro.backups.keys import keys
from getpro.backups.manifest import Manifest
from getpro.backups.recovery import Target, chain_for, recover
from getpro.backups.restore import decrypt, require_whole, restore
from getpro.backups.retention import Keep
from getpro.backups.states import BackupKind
from getpro.backups.store import Backup
from getpro.bootstrap.backups import sell_once
from getpro.kit.clock import utc_now
from getpro.platform.database import Database
from getpro.platform.postgres import Cluster, tools_for

A_GIGABYTE: Final = Amounts(users=250_000, payments=600_000, messages=4_200_000)
_GUIDES_RESTORE: Final = "guide's restore"
_GB: Final = 1000**3
_MB: Final = 1000**2
_MAJOR: Final = 18
_TURNS: Final = 3
_TRAFFIC: Final = 20_000
"""Rows that come after the base backup, a transaction each."""


@dataclass
class Measured:
    """Seconds by what was done, and sizes in bytes; of what was done several times, each time."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds.setdefault(what, []).append(time.monotonic() - began)

    def of(self, what: str) -> float:
        return median(self.seconds[what])


class _Steps:
    """Takes the time between one word of progress and the next."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self._now: tuple[str, float] | None = None

    def __call__(self, what: str) -> None:
        self.end()
        self._now = (what, time.monotonic())

    def end(self) -> None:
        if self._now is not None:
            what, began = self._now
            self._measured.seconds.setdefault(what, []).append(time.monotonic() - began)
        self._now = None


def measure(place: Path, amounts: Amounts = A_GIGABYTE) -> Measured:
    """In ``place``, which a server's user may enter; takes about ten minutes."""
    measured = Measured()
    cluster = Cluster(place / "postgres")
    cluster.start()
    try:
        migrations.upgrade(cluster.url())
        fill(cluster.url(), amounts)
        with psycopg.connect(cluster.url()) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        measured.bytes["database"] = row[0]
        asyncio.run(_measure(measured, cluster, place))
    finally:
        cluster.stop()
    return measured


async def _measure(measured: Measured, cluster: Cluster, place: Path) -> None:
    db = Database(cluster.url(), pool_size=2)
    deps = Deps(
        db=db,
        clock=utc_now,
        zone=ZoneInfo("UTC"),
        database_url=cluster.url(),
        tools=tools_for,
        folder=place / "backups",
        trials=place / "trials",
        spool=place / "wal",
        keys=keys(place),
        keep=Keep(daily=100, weekly=0, monthly=0, yearly=0),
        window=timedelta(days=1),
        use=sell_once,
    )
    try:
        await _dumps(measured, deps, place)
        await _restores(measured, deps, place)
        async with _flowing(deps):
            await _any_minute(measured, deps, place)
    finally:
        await db.close()


async def _dumps(measured: Measured, deps: Deps, place: Path) -> None:
    """In turns, so that the machine's moods meet both."""
    theirs = place / "guide.sql.gz"
    made = None
    for _ in range(_TURNS):
        with measured.timed("guide's dump"):
            _shell(deps.database_url, "pg_dump", f"| gzip > {theirs}")
        steps = _Steps(measured)
        made = await service.create(deps, asked_by="bench", on_progress=steps)
        steps.end()
        await asyncio.sleep(1)  # a name for each second
    assert made is not None
    assert made.bytes is not None
    measured.bytes["guide's dump"] = theirs.stat().st_size
    measured.bytes["Пишем копию"] = made.bytes
    measured.bytes[f"Пишем {LATEST}"] = (deps.folder / LATEST).stat().st_size
    with measured.timed("restore test"):
        await _require_good(deps, made)


async def _require_good(deps: Deps, made: Backup) -> None:
    tried = await service.verify(deps, made.name)
    assert tried.is_good, tried.verification


async def _restores(measured: Measured, deps: Deps, place: Path) -> None:
    async with deps.db.read("bench") as session:
        newest = (await store.newest_first(session))[0]
    assert newest.manifest is not None
    for _ in range(_TURNS):
        with _empty(deps, "theirs") as url, measured.timed(_GUIDES_RESTORE):
            _shell(url, "psql", "-q > /dev/null", before=f"gunzip < {place / 'guide.sql.gz'} |")
        with _empty(deps, "ours") as url, measured.timed("restore of the fast form"):
            plain = place / "plain"
            decrypt(require_whole(deps.folder, newest.manifest), deps.keys.identity, plain)
            restore(plain, deps.tools(_MAJOR), url)
            plain.unlink()


@contextlib.contextmanager
def _empty(deps: Deps, name: str) -> Iterator[str]:
    server = deps.database_url.rpartition("/")[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield f"{server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextlib.asynccontextmanager
async def _flowing(deps: Deps) -> AsyncIterator[None]:
    task = asyncio.create_task(stream.keep_for_ever(lambda: deps))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _any_minute(measured: Measured, deps: Deps, place: Path) -> None:
    await asyncio.sleep(stream.SECONDS)
    with measured.timed("full base backup"):
        full = await service.create_base(deps, BackupKind.FULL, asked_by="bench")
    await asyncio.to_thread(_traffic, deps, 1)
    with measured.timed("incremental base backup"):
        built = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="bench")
    middle = await asyncio.to_thread(_traffic, deps, 1 + _TRAFFIC)
    await asyncio.sleep(2 * stream.SECONDS)
    for one, what in ((full, "full base backup"), (built, "incremental base backup")):
        assert one.bytes is not None
        measured.bytes[what] = one.bytes
    with measured.timed("trial of the base backups"):
        await _require_good(deps, built)
    manifests: list[Manifest] = [one.manifest for one in (full, built) if one.manifest is not None]
    for turn in range(_TURNS):
        target = Target(at=middle)
        with measured.timed("to a minute"):
            cluster = await asyncio.to_thread(
                recover,
                deps.folder,
                chain_for(deps.folder, manifests, target, deps.keys.identity),
                target,
                deps.keys.identity,
                place / f"again{turn}",
            )
        cluster.stop()


def _traffic(deps: Deps, first: int) -> datetime:
    """Customers who come one by one; returns a moment in their middle."""
    middle = utc_now()
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for number in itertools.islice(itertools.count(first), _TRAFFIC):
            connection.execute("INSERT INTO users (user_id) VALUES (%s)", [900_000_000 + number])
            if number == first + _TRAFFIC // 2:
                middle = utc_now()
    return middle


def _shell(url: str, program: str, rest: str, *, before: str = "") -> None:
    """A line of the guide, on this server."""
    (path, *address), environment = tools_for(_MAJOR).client(program, url)
    line = f"{before} {path} {' '.join(address)} {rest}"
    subprocess.run(["/bin/sh", "-c", line], check=True, env=environment)


def as_markdown(measured: Measured, *, command: str) -> str:
    gigabytes = measured.bytes["database"] / _GB
    of = measured.of
    guide, latest, fast = "guide's dump", f"Пишем {LATEST}", "Пишем копию"
    sizes = {what: measured.bytes[what] / _MB for what in (guide, latest, fast)}
    lines = [
        f"{utc_now():%Y-%m-%d}, `{command}`; a database of {gigabytes:.2f} GB.",
        "",
        "| | measured | to hold |",
        "|---|---|---|",
        f"| the guide's `pg_dump \\| gzip` | {of(guide):.1f} s, {sizes[guide]:.0f} MB | |",
        (
            f"| the fast form, encrypted | {of(fast):.1f} s, {of(guide) / of(fast):.1f} times faster;"
            f" {sizes[fast]:.0f} MB, {sizes[fast] / sizes[guide] - 1:+.0%} | ≥ 3 times, ≤ +5 % |"
        ),
        (
            f"| `latest.sql.gz` | {of(latest):.1f} s, {of(guide) / of(latest):.1f} times faster;"
            f" {sizes[latest]:.0f} MB | not slower |"
        ),
        f"| counting for the manifest | {of('Считаем строки и суммы'):.1f} s | |",
        f"| `gunzip \\| psql` | {of(_GUIDES_RESTORE):.1f} s | |",
        f"| restore of the fast form | {of('restore of the fast form'):.1f} s | |",
        (
            f"| restore test of it, with a purchase | {of('restore test'):.1f} s,"
            f" {of('restore test') / gigabytes:.0f} s/GB | < 60 s/GB |"
        ),
        (
            f"| full base backup | {of('full base backup'):.1f} s,"
            f" {measured.bytes['full base backup'] / _MB:.0f} MB | |"
        ),
        (
            f"| incremental, after {_TRAFFIC} new rows | {of('incremental base backup'):.1f} s,"
            f" {measured.bytes['incremental base backup'] / _MB:.1f} MB | |"
        ),
        (
            f"| trial of both, with a purchase | {of('trial of the base backups'):.1f} s,"
            f" {of('trial of the base backups') / gigabytes:.0f} s/GB | < 60 s/GB |"
        ),
        (
            f"| back to a minute | {of('to a minute'):.1f} s,"
            f" {of('to a minute') / gigabytes:.1f} s/GB | < 10 s/GB and replay |"
        ),
        "",
        f"Medians of {_TURNS} turns, the guide's line and ours one after the other.",
    ]
    return "\n".join(lines) + "\n"
