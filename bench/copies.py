"""What copies cost on a database of about a gigabyte, beside the guide's own lines, in one run.

``./2getpro bench --copies`` makes the table of docs/development/copies.md, and ends with 1 where a target is
missed; ``./2getpro test --full`` ends with that run.
"""

import asyncio
import contextlib
import itertools
import math
import os
import subprocess
import threading
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
from getpro.backups import drills, service, store, stream
from getpro.backups.deps import Deps
from getpro.backups.folder import LATEST
from getpro.backups.keys import keys
from getpro.backups.manifest import Manifest
from getpro.backups.recovery import Target, chain_for, recover
from getpro.backups.restore import decrypt, require_whole, restore
from getpro.backups.retention import Keep
from getpro.backups.states import BackupKind
from getpro.backups.store import Backup
from getpro.backups.trial import Use
from getpro.bootstrap.backups import sell_once
from getpro.kit.clock import utc_now
from getpro.platform.database import Database
from getpro.platform.postgres import Cluster, tools_for

_GUIDES_RESTORE: Final = "guide's restore"
_GB: Final = 1000**3
_MB: Final = 1000**2
_MAJOR: Final = 18
_TRIED: Final = frozenset({"Контрольная сумма", "Расшифровка", "Строки и суммы", "Страницы и индексы"})
"""Steps of a trial that are no restoring and no selling."""
_CATCH_UP_SECONDS: Final = 600
_PATIENCE: Final = 3
"""Seconds are of a machine and of its hour, ratios of a program: the former may be so many times missed."""
_SETTINGS: Final = """\
TELEGRAM_BOT_TOKEN=42:of-a-bench
PANEL_URL=http://panel.example
PANEL_TOKEN=of-a-bench
"""
"""What lies beside each copy: a drill starts from that."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    amounts: Amounts
    turns: int
    """How often what is short is measured."""
    traffic: int
    """Rows that come after the base backup, a transaction each."""


def size_of(gigabytes: float) -> Size:
    """A shop whose database takes about so much."""
    amounts = Amounts(
        users=round(250_000 * gigabytes),
        payments=round(600_000 * gigabytes),
        messages=round(4_200_000 * gigabytes),
    )
    return Size(amounts, turns=3, traffic=round(20_000 * gigabytes))


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


def measure(place: Path, size: Size, *, use: Use = sell_once) -> Measured:
    """In ``place``, which a server's user may enter; a gigabyte takes about fifteen minutes."""
    measured = Measured()
    cluster = Cluster(place / "postgres")
    cluster.start()
    try:
        migrations.upgrade(cluster.url())
        fill(cluster.url(), size.amounts)
        with psycopg.connect(cluster.url()) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        measured.bytes["database"] = row[0]
        asyncio.run(_measure(measured, cluster, place, size, use))
    finally:
        cluster.stop()
    return measured


async def _measure(measured: Measured, cluster: Cluster, place: Path, size: Size, use: Use) -> None:
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
        keys=keys(place, place / "backups"),
        keep=Keep(daily=100, weekly=0, monthly=0, yearly=0),
        window=timedelta(days=1),
        use=use,
        environment=_SETTINGS,
    )
    try:
        await _dumps(measured, deps, place, size)
        await _restores(measured, deps, place, size)
        async with _flowing(deps):
            await _any_minute(measured, deps, place, size)
            await _drill(measured, deps)
    finally:
        await db.close()


async def _dumps(measured: Measured, deps: Deps, place: Path, size: Size) -> None:
    """In turns, so that the machine's moods meet both."""
    theirs = place / "guide.sql.gz"
    made = None
    for _ in range(size.turns):
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
        tried = await _tried(deps, made)
    measured.seconds["verified"] = [sum(seconds for step, seconds in tried if step in _TRIED)]


async def _tried(deps: Deps, made: Backup) -> list[tuple[str, float]]:
    """The steps of its trial, with their seconds."""
    tried = await service.verify(deps, made.name)
    assert tried.is_good, tried.verification
    assert tried.verification is not None
    return list(tried.verification["steps"])


async def _restores(measured: Measured, deps: Deps, place: Path, size: Size) -> None:
    async with deps.db.read("bench") as session:
        newest = (await store.newest_first(session))[0]
    assert newest.manifest is not None
    for _ in range(size.turns):
        with _empty(deps, "theirs") as url, measured.timed(_GUIDES_RESTORE):
            _shell(url, "psql", "-q > /dev/null", before=f"gunzip < {place / 'guide.sql.gz'} |")
        with _empty(deps, "ours") as url, measured.timed("restore of the fast form"):
            plain = place / "plain"
            decrypt(
                require_whole(deps.folder, newest.manifest, deps.keys.identity), deps.keys.identity, plain
            )
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


async def _any_minute(measured: Measured, deps: Deps, place: Path, size: Size) -> None:
    await _caught_up(deps)
    with measured.timed("full base backup"):
        full = await service.create_base(deps, BackupKind.FULL, asked_by="bench")
    await asyncio.to_thread(_traffic, deps, 1, size.traffic)
    with measured.timed("incremental base backup"):
        built = await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="bench")
    assert built.kind is BackupKind.INCREMENTAL
    middle = await asyncio.to_thread(_traffic, deps, 1 + size.traffic, size.traffic)
    await _caught_up(deps)
    for one, what in ((full, "full base backup"), (built, "incremental base backup")):
        assert one.bytes is not None
        measured.bytes[what] = one.bytes
    with measured.timed("trial of the base backups"):
        await _tried(deps, built)
    manifests: list[Manifest] = [one.manifest for one in (full, built) if one.manifest is not None]
    for turn in range(size.turns):
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


async def _caught_up(deps: Deps) -> None:
    """Return when all that is committed by now lies in the folder."""
    now = deps.clock()
    async with asyncio.timeout(_CATCH_UP_SECONDS):
        while True:
            async with deps.db.read("bench") as session:
                if await store.flowing(session, since=now) is not None:
                    return
            await asyncio.sleep(0.1)


def _traffic(deps: Deps, first: int, rows: int) -> datetime:
    """Customers who come one by one; returns a moment in their middle."""
    middle = utc_now()
    with psycopg.connect(deps.database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for number in range(first, first + rows):
            connection.execute("INSERT INTO users (user_id) VALUES (%s)", [900_000_000 + number])
            if number == first + rows // 2:
                middle = utc_now()
    return middle


async def _drill(measured: Measured, deps: Deps) -> None:
    """The shop from its copies alone, and what of the last work is missing there, while customers come."""
    with _customers(deps):
        await _caught_up(deps)
        drill = await drills.rehearse(deps, asked_by="bench")
    assert drill.is_good, drill.trouble
    assert drill.rpo is not None
    measured.seconds["drill"] = [drill.rto.total_seconds()]
    measured.seconds["lost in the drill"] = [drill.rpo.total_seconds()]


@contextlib.contextmanager
def _customers(deps: Deps) -> Iterator[None]:
    """A few a second while the block runs."""
    over = threading.Event()

    def come() -> None:
        with psycopg.connect(deps.database_url, autocommit=True) as connection:
            for number in itertools.count():
                if over.wait(0.2):
                    return
                connection.execute("INSERT INTO users (user_id) VALUES (%s)", [800_000_000 + number])

    coming = threading.Thread(target=come)
    coming.start()
    try:
        yield
    finally:
        over.set()
        coming.join()


def _shell(url: str, program: str, rest: str, *, before: str = "") -> None:
    """A line of the guide, on this server."""
    (path, *address), environment = tools_for(_MAJOR).client(program, url)
    line = f"{before} {path} {' '.join(address)} {rest}"
    subprocess.run(["/bin/sh", "-c", line], check=True, env=environment)


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured; ``value`` is what of it must not be above ``most``."""

    what: str
    measured: str
    to_hold: str = ""
    value: float = 0
    most: float = math.inf
    patience: float = 1

    @property
    def mark(self) -> str:
        return "" if self.most == math.inf else "✓" if self.value <= self.most else "✗"

    @property
    def is_missed(self) -> bool:
        return self.value > self.most * self.patience


def rows(measured: Measured) -> list[Row]:
    gigabytes = measured.bytes["database"] / _GB
    of = measured.of
    guide, latest, fast = "guide's dump", f"Пишем {LATEST}", "Пишем копию"
    sizes = {what: size / _MB for what, size in measured.bytes.items()}

    def a_gigabyte(what: str, measure: str, most: float, *, more: str = "") -> Row:
        seconds = of(measure) / gigabytes
        told = f"{of(measure):.1f} s, {seconds:.1f} s/GB"
        return Row(what, told, f"< {most:g} s/GB{more}", seconds, most, _PATIENCE)

    return [
        Row("the guide's `pg_dump \\| gzip`", f"{of(guide):.1f} s, {sizes[guide]:.0f} MB"),
        Row(
            "the fast form, encrypted",
            f"{of(fast):.1f} s, {of(guide) / of(fast):.1f} times faster",
            "≥ 3 times",
            of(fast),
            of(guide) / 3,
        ),
        Row(
            "… its size",
            f"{sizes[fast]:.0f} MB, {sizes[fast] / sizes[guide] - 1:+.0%}",
            "≤ +5 %",
            sizes[fast],
            sizes[guide] * 1.05,
        ),
        Row(
            "`latest.sql.gz`",
            f"{of(latest):.1f} s, {of(guide) / of(latest):.1f} times faster; {sizes[latest]:.0f} MB",
            "not slower",
            of(latest),
            of(guide),
        ),
        Row("counting for the manifest", f"{of('Считаем строки и суммы'):.1f} s"),
        Row("the guide's `gunzip \\| psql`", f"{of(_GUIDES_RESTORE):.1f} s"),
        Row("restore of the fast form", f"{of('restore of the fast form'):.1f} s"),
        a_gigabyte("restore test of it, with a purchase", "restore test", 60),
        Row("… of that verified: bytes, rows, money, pages, indexes", f"{of('verified'):.1f} s"),
        Row("full base backup", f"{of('full base backup'):.1f} s, {sizes['full base backup']:.0f} MB"),
        Row(
            "… of what has changed",
            f"{of('incremental base backup'):.1f} s, {sizes['incremental base backup']:.1f} MB",
        ),
        a_gigabyte("restore test of both, with a purchase", "trial of the base backups", 60),
        a_gigabyte("back to a minute", "to a minute", 10, more=" and replay"),
        Row(
            "drill: the shop sells on what the copies alone brought up (RTO)",
            f"{of('drill'):.1f} s",
            "≤ 15 min",
            of("drill"),
            900,
        ),
        Row(
            "… the last work that is missing there (RPO)",
            f"{of('lost in the drill'):.1f} s",
            "≤ 60 s",
            of("lost in the drill"),
            60,
        ),
    ]


def as_markdown(table: list[Row], measured: Measured, *, command: str) -> str:
    lines = [
        (
            f"{utc_now():%Y-%m-%d}, `{command}`; {os.cpu_count()} cores,"
            f" a database of {measured.bytes['database'] / _GB:.2f} GB."
        ),
        "",
        "| | measured | to hold | |",
        "|---|---|---|---|",
        *(f"| {row.what} | {row.measured} | {row.to_hold} | {row.mark} |" for row in table),
        "",
        (
            "Dumps, their restores and the way back to a minute are medians of"
            f" {len(measured.seconds['to a minute'])}, the guide's line and ours in turn."
        ),
    ]
    return "\n".join(lines) + "\n"
