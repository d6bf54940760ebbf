"""A new place for a database of the past: a data directory beside the living one, ready to be run."""

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg

from getpro import migrations
from getpro.backups.errors import Busy, NoFolder, Unsuitable
from getpro.backups.folder import PASSED_THROUGH, UNFINISHED, abandon, held
from getpro.backups.progress import OnProgress, silent
from getpro.backups.restore import NAME
from getpro.backups.sources import SERVER, Source
from getpro.backups.trial import clear, thrown_away
from getpro.kit import crashpoints
from getpro.kit.trouble import system_words
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.address import impatient

RESTORED: Final = "restored"
"""The folder, in a shop's data directory, of all that is not asked to be restored elsewhere."""
SCRATCH: Final = f"{UNFINISHED}scratch"
"""In it, what is thrown away: a dump in clear, a past that was only looked at."""
_HALF: Final = f"{UNFINISHED}restored"
"""The folder, in a new place, of a database that is not whole yet."""


def require_empty(directory: Path) -> None:
    """That a data directory may be made there; raises Unsuitable and NoFolder."""
    try:
        server = directory / SERVER
        if Cluster(server).is_made:
            raise Unsuitable(f"{directory}: там уже есть база")
        if server.exists():
            raise Unsuitable(f"{server}: там остатки базы, уберите их в сторону: mv {server} {server}-lost")
    except OSError as error:
        raise NoFolder(f"{directory}: {system_words(error)}") from error


Mark = Callable[[str, datetime], None]
"""Told of a database, by its address, that it knows nothing of what came after the moment.

It writes that down there, before any process of the shop sees the database. Where a new one is made, its
tables are of this program's version.
"""


def into_new_place(
    source: Source, directory: Path, on_progress: OnProgress = silent, *, mark: Mark | None = None
) -> None:
    """Make ``directory`` a data directory of the product with the database of ``source``.

    Whatever goes wrong, or kills us, leaves no database there: it takes its name when it is whole. What a
    killed one has left, the next one throws away. Raises BackupError and Trouble.
    """
    try:
        with held(directory, mode=PASSED_THROUGH):
            require_empty(directory)
            with thrown_away(directory / _HALF) as place:
                with source.restored(place, on_progress, durable=True) as (_, url):
                    finish(source, url, on_progress, mark=mark)
                crashpoints.reach("restore: place ready")
                (place / SERVER).rename(directory / SERVER)
    except BaseException:
        abandon(directory)
        raise


def sweep(parent: Path) -> None:
    """Throw away what killed ones have left in ``parent`` and its folders, and their servers."""
    if (parent / SCRATCH).exists():
        with contextlib.suppress(Busy, NoFolder), held(parent, mode=PASSED_THROUGH):
            clear(parent / SCRATCH)
    for half in parent.glob(f"*/{_HALF}"):
        with contextlib.suppress(Busy, NoFolder):
            with held(half.parent, mode=PASSED_THROUGH):
                clear(half)
            abandon(half.parent)


def finish(source: Source, url: str, on_progress: OnProgress, *, mark: Mark | None) -> None:
    """See that it is what it should be, bring it to our version, mark it, count for the planner.

    Raises NotRestored, and Trouble of a database that a newer program has changed.
    """
    on_progress("Строки и суммы")
    source.require_the_same(url)
    on_progress("Версия схемы")
    migrations.upgrade(url)
    if mark is not None:
        mark(url, source.moment)
    on_progress("Статистика")
    with psycopg.connect(impatient(url), autocommit=True, application_name=NAME) as connection:
        connection.execute("ANALYZE")  # a dump has none: for minutes each plan would be a guess
