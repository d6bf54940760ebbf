"""The proof of a copy: restored into a cluster that is thrown away, counted, looked through, used."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
from pyrage import x25519

from getpro import migrations
from getpro.backups.errors import BackupError, NotRestored
from getpro.backups.manifest import Manifest, facts_of
from getpro.backups.recovery import Target, recover
from getpro.backups.restore import decrypt, require_whole, restore
from getpro.kit.trouble import Trouble
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.cluster import DATABASE, SUPERUSER

OnProgress = Callable[[str], object]
Use = Callable[[str], None]
"""Boots the product on the database at an address, and buys there; raises NotRestored with why it cannot."""
SCRATCH: Final = "scratch"
"""The folder of one that is under way."""


@dataclass
class Trial:
    """How it went: the steps that were done with their seconds, and what was wrong."""

    steps: list[tuple[str, float]] = field(default_factory=list)
    trouble: str | None = None

    @property
    def is_good(self) -> bool:
        return self.trouble is None

    @contextlib.contextmanager
    def step(self, name: str, on_progress: OnProgress) -> Iterator[None]:
        on_progress(name)
        began = time.monotonic()
        yield
        self.steps.append((name, round(time.monotonic() - began, 2)))


def prove(
    folder: Path,
    chain: Sequence[Manifest],
    identity: x25519.Identity,
    *,
    scratch: Path,
    use: Use,
    on_progress: OnProgress = lambda _: None,
) -> Trial:
    """Restore the last of ``chain``, and see whether a shop could go on with it.

    A dump stands alone; before an incremental base backup stand those that it builds on. Whatever is not well
    is in the result.
    """
    trial = Trial()
    manifest = chain[-1]
    try:
        with trial.step("Контрольная сумма", on_progress):
            for one in chain:
                require_whole(folder, one)
        with _cluster(scratch, trial, folder, chain, identity, on_progress) as (cluster, database):
            url = cluster.url(database)
            with trial.step("Строки и суммы", on_progress):
                _require_the_same(manifest, url)
            with trial.step("Страницы и индексы", on_progress):
                _look_through(cluster, database)
            with trial.step("Версия схемы", on_progress):
                migrations.upgrade(url)
            with trial.step("Пробная покупка", on_progress):
                use(url)
    except BackupError as error:
        trial.trouble = str(error)
    except Trouble as trouble:
        trial.trouble = f"{trouble.what} {trouble.why}"
    except psycopg.Error as error:
        trial.trouble = f"восстановленная база не отвечает: {type(error).__name__}"
    return trial


@contextlib.contextmanager
def _cluster(
    scratch: Path,
    trial: Trial,
    folder: Path,
    chain: Sequence[Manifest],
    identity: x25519.Identity,
    on_progress: OnProgress,
) -> Iterator[tuple[Cluster, str]]:
    """The copy as a running cluster and the shop's database in it; all of it gone after the block."""
    clear(scratch)
    scratch.mkdir(parents=True, mode=0o711)
    physical = chain[-1].physical
    try:
        if physical is None:
            database = DATABASE
            cluster = _from_dump(scratch, trial, folder, chain[-1], identity, on_progress)
        else:
            database = physical.database
            target = Target(lsn=physical.counted_at)
            with trial.step("Восстановление", on_progress):
                cluster = recover(folder, chain, target, identity, scratch, durable=False)
        try:
            yield cluster, database
        finally:
            cluster.stop()
    finally:
        clear(scratch)


def _from_dump(
    scratch: Path,
    trial: Trial,
    folder: Path,
    manifest: Manifest,
    identity: x25519.Identity,
    on_progress: OnProgress,
) -> Cluster:
    cluster = Cluster(scratch / "postgres", durable=False)
    cluster.start()
    try:
        dump = scratch / "dump"
        with trial.step("Расшифровка", on_progress):
            decrypt(require_whole(folder, manifest), identity, dump)
        with trial.step("Восстановление", on_progress):
            restore(dump, cluster.tools, cluster.url())
    except BaseException:
        cluster.stop()
        raise
    return cluster


def clear(scratch: Path) -> None:
    """Stop what a killed trial has left running, and throw it away."""
    if (scratch / "postgres").exists():
        Cluster(scratch / "postgres").kill()
    shutil.rmtree(scratch, ignore_errors=True)


def _require_the_same(manifest: Manifest, url: str) -> None:
    with psycopg.connect(url) as connection:
        found = manifest.facts.differences(facts_of(connection))
    if found:
        raise NotRestored("; ".join(found[:5]))


def _look_through(cluster: Cluster, database: str) -> None:
    """Every page of every table, and every row in its indexes."""
    (program, *_), environment = cluster.tools.client("pg_amcheck", cluster.url())
    done = subprocess.run(  # noqa: S603 -- our own program and settings
        # Not by its address: it takes that for the pattern of a name.
        [
            program,
            "--host=127.0.0.1",
            f"--port={cluster.port}",
            f"--username={SUPERUSER}",
            "--install-missing",
            "--heapallindexed",
            "--jobs=2",
            database,
        ],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
        raise NotRestored(f"pg_amcheck: {lines[0] if lines else done.returncode}")
