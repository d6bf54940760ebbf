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
from getpro.backups import schema
from getpro.backups.environment import read, require_secrets
from getpro.backups.errors import BackupError, NoRoom, NotRestored
from getpro.backups.folder import PASSED_THROUGH
from getpro.backups.interruption import ended_by
from getpro.backups.manifest import Manifest
from getpro.backups.progress import OnStep, silent
from getpro.backups.room import require_room_to_spare
from getpro.backups.sources import SERVER, proven_as
from getpro.kit.trouble import Trouble, system_words
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.address import impatient, name_of
from getpro.platform.postgres.cluster import SUPERUSER

Use = Callable[[str], None]
"""Boots the product on the database at an address, and buys there; raises NotRestored with why it cannot."""
SCRATCH: Final = "scratch"
"""The folder of one that is under way."""
_REFERENCES: Final = """
SELECT conname, format(
    'SELECT FROM %s child WHERE %s AND NOT EXISTS (SELECT FROM %s parent WHERE %s) LIMIT 1',
    conrelid::regclass, string_agg(format('child.%I IS NOT NULL', child.attname), ' AND '),
    confrelid::regclass, string_agg(format('parent.%I = child.%I', parent.attname, child.attname), ' AND '))
FROM pg_constraint CROSS JOIN unnest(conkey, confkey) AS of(child, parent)
JOIN pg_attribute child ON child.attrelid = conrelid AND child.attnum = of.child
JOIN pg_attribute parent ON parent.attrelid = confrelid AND parent.attnum = of.parent
WHERE contype = 'f' AND conparentid = 0 AND convalidated AND connamespace = 'public'::regnamespace
GROUP BY pg_constraint.oid, conname, conrelid, confrelid ORDER BY conname
"""
"""For each a question that has an answer where it is broken."""


@dataclass
class Trial:
    """How it went: the steps that were done with their seconds, and what was wrong."""

    steps: list[tuple[str, float]] = field(default_factory=list)
    trouble: str | None = None
    says_nothing: bool = False
    """Of the copy: what was in its way was this machine."""

    @property
    def is_good(self) -> bool:
        return self.trouble is None

    def __enter__(self) -> None:
        """What goes wrong in the block is the trial's trouble, and nobody else's."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, BackupError):
            self.trouble, self.says_nothing = str(error), isinstance(error, NoRoom)
        elif isinstance(error, Trouble):
            self.trouble = f"{error.what} {error.why}"
        elif isinstance(error, OSError):
            self.says_nothing = True
            self.trouble = f"{error.filename or 'диск'}: {system_words(error)}"
        elif isinstance(error, psycopg.Error):
            self.trouble = f"восстановленная база не отвечает: {type(error).__name__}"
        return self.trouble is not None


class Steps:
    """Keeps how long each step takes: until the next one begins, or :meth:`end`."""

    def __init__(self, trial: Trial, on_progress: OnStep) -> None:
        self._trial = trial
        self._on_progress = on_progress
        self._step: str | None = None
        self._began = 0.0

    def __call__(self, step: str, share: float | None = None, /) -> None:
        if share is None:
            self.end()
            self._step, self._began = step, time.monotonic()
            self._on_progress(step)

    def end(self) -> None:
        if self._step is not None:
            self._trial.steps.append((self._step, round(time.monotonic() - self._began, 2)))
        self._step = None


def prove(
    folder: Path,
    chain: Sequence[Manifest],
    identity: x25519.Identity,
    *,
    scratch: Path,
    use: Use,
    on_progress: OnStep = silent,
) -> Trial:
    """Restore the last of ``chain``, and see whether a shop could go on with it.

    A dump stands alone; before an incremental base backup stand those that it builds on. Whatever is not well
    is in the result.
    """
    trial, source, settings = Trial(), proven_as(folder, chain, identity), None
    step = Steps(trial, on_progress)
    with trial, thrown_away(scratch):
        require_room_to_spare(scratch, source.restored_bytes)
        if chain[-1].settings is not None:
            step("Настройки")
            settings = read(folder, chain[-1], identity, scratch / "settings")
        with (
            source.restored(scratch, step) as (cluster, url),
            ended_by(cluster.kill),  # whoever works on it fails
        ):
            step("Строки и суммы")
            source.require_the_same(url)
            step("Ссылки между таблицами")
            _require_references(url)
            step("Страницы и индексы")
            _look_through(cluster, name_of(url))
            step("Версия схемы")
            migrations.upgrade(url)
            schema.require_all(cluster, url)
            if settings is not None:
                step("Секреты")
                require_secrets(url, settings)
            step("Пробная покупка")
            use(url)
            step.end()
    return trial


@contextlib.contextmanager
def thrown_away(place: Path) -> Iterator[Path]:
    """A new folder for a cluster, gone with all that is there after the block."""
    clear(place)
    place.mkdir(parents=True, mode=PASSED_THROUGH)
    try:
        yield place
    finally:
        clear(place)


def clear(place: Path) -> None:
    """Stop what was left running there by who was killed, and throw it away."""
    if (place / SERVER).exists():
        Cluster(place / SERVER).kill()
    shutil.rmtree(place, ignore_errors=True)


def _require_references(url: str) -> None:
    """See that every row that is referred to is there: the files of a server hold whatever lay in them."""
    with psycopg.connect(impatient(url), autocommit=True) as connection:
        for name, query in connection.execute(_REFERENCES).fetchall():
            if connection.execute(query.encode()).fetchone() is not None:
                raise NotRestored(f"{name}: есть строки, которые ссылаются на то, чего нет")


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
