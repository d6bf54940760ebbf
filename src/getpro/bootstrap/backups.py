"""Copies of the database, built and joined."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from getpro import __version__
from getpro.backups import service
from getpro.backups.bucket import Bucket
from getpro.backups.deps import Deps
from getpro.backups.errors import NotRestored
from getpro.backups.folder import has_copies
from getpro.backups.interruption import ended_by
from getpro.backups.keys import keys
from getpro.backups.retention import Keep
from getpro.backups.sources import SERVER
from getpro.backups.telegram import TelegramChat
from getpro.kit.clock import Clock, utc_now
from getpro.kit.trouble import Trouble
from getpro.platform.bot_api import BotApi
from getpro.platform.cipher import database_keys
from getpro.platform.database import Database
from getpro.platform.env_file import EnvFile
from getpro.platform.postgres import Cluster, default_directory, tools_for
from getpro.platform.settings import BackupSettings, CopySettings, Settings, TelegramSettings, variables

_HEADER: Final = f"""\
# Настройки магазина, записанные с копией базы. 2GETPRO {__version__}.
# Ключа копий (backup.key) здесь нет: он хранится отдельно.
"""
_PLAN: Final = Path(__file__).parents[3] / "docs/operations/disaster-recovery.md"
"""In a checkout; an installed package has none."""
_PROOF: Final = "getpro.sandbox.shop.proof"
_UPLOAD_SECONDS: Final = 600
"""For a part; a slow line takes its time."""
_PROOF_SECONDS: Final = 600
_OURS_BESIDES: Final = ("PG_BIN", "COMPOSE_PROJECT_NAME")
"""No setting of the shop's; by the last one ``2getpro setup`` knows that it ran in the stack."""


class Preparing:
    """Makes what copies need whenever there is something to do, with one bucket for as long as it is open."""

    def __init__(
        self, settings: CopySettings, *, db: Database, database_url: str, clock: Clock = utc_now
    ) -> None:
        self._settings, self._db, self._database_url, self._clock = settings, db, database_url, clock

    def __call__(self) -> Deps:
        """Raises Trouble where the key of the copies cannot be had."""
        return backups_deps(
            self._settings,
            db=self._db,
            database_url=self._database_url,
            clock=self._clock,
            bucket=self._bucket,
        )

    @cached_property
    def _bucket(self) -> Bucket | None:
        return bucket(self._settings.backup, clock=self._clock)

    def close(self) -> None:
        made: Bucket | None = self.__dict__.pop("_bucket", None)
        if made is not None:
            made.close()


def backups_deps(
    settings: CopySettings,
    *,
    db: Database,
    database_url: str,
    clock: Clock = utc_now,
    bucket: Bucket | None = None,
) -> Deps:
    """``bucket`` stays its caller's. Raises Trouble where the key of the copies cannot be had."""
    data = settings.data_dir or default_directory()
    data.mkdir(parents=True, exist_ok=True)
    wanted = settings.backup
    return Deps(
        db=db,
        clock=clock,
        zone=settings.zone,
        database_url=database_url,
        tools=tools_for,
        folder=folder(settings),
        trials=data / "trials",
        spool=data / "wal",
        keys=keys(data, folder(settings), wanted.recipients),
        keep=Keep(wanted.keep_daily, wanted.keep_weekly, wanted.keep_monthly, wanted.keep_yearly),
        window=timedelta(days=wanted.window_days),
        use=sell_once,
        plan=_PLAN,
        bucket=bucket,
        environment=what_is_set(settings),
        telegram=_telegram(settings),
    )


def bucket(
    settings: BackupSettings, *, clock: Clock = utc_now, attempts: int = 4, timeout_seconds: float = 60
) -> Bucket | None:
    """Where copies go off this machine; None where no bucket is set."""
    if settings.s3_bucket is None:
        return None
    from getpro.backups.offsite import S3Bucket  # noqa: PLC0415 -- 20 MiB that a shop without one does without

    return S3Bucket(settings, clock=clock, attempts=attempts, timeout_seconds=timeout_seconds)


def _telegram(settings: CopySettings) -> Callable[[], AbstractAsyncContextManager[TelegramChat]] | None:
    chat_id = settings.backup.telegram_chat
    if chat_id is None or not isinstance(settings, Settings):
        return None
    return partial(_opened, settings.telegram, chat_id)


@asynccontextmanager
async def _opened(settings: TelegramSettings, chat_id: int) -> AsyncIterator[TelegramChat]:
    api = BotApi(settings, timeout_seconds=_UPLOAD_SECONDS)
    try:
        yield TelegramChat(api, chat_id)
    finally:
        await api.close()


def what_is_set(settings: CopySettings) -> str:
    """All settings as ``.env`` takes them: of the file everything, of the environment what is ours.

    And the keys without which the secrets in the copied tables stay closed. Raises Trouble for a file that
    cannot be read.
    """
    ours = {*variables(), *_OURS_BESIDES}
    found = EnvFile.read(Path(".env")).values
    found |= {name.upper(): value for name, value in os.environ.items() if value and name.upper() in ours}
    found["DATABASE_KEYS"] = ",".join(database_keys(settings))
    file, left = EnvFile(Path(".env"), _HEADER), ""
    for name, value in sorted(found.items()):
        try:
            file = file.changed({name: value})
        except Trouble:  # the file would give it back otherwise
            left += (
                f"# Задайте в окружении, здесь не прочтётся: {name}={json.dumps(value, ensure_ascii=False)}\n"
            )
    return file.text + left


async def copy_before_migration(settings: CopySettings, database_url: str) -> str:
    """The name of the copy that was made; raises BackupError and Trouble."""
    db = Database(database_url, pool_size=1)
    try:
        deps = backups_deps(settings, db=db, database_url=database_url)
        return (await service.create_unlisted(deps, asked_by="migration")).name
    finally:
        await db.close()


def folder(settings: CopySettings) -> Path:
    """Where copies lie: beside the data unless it is said otherwise."""
    return settings.operations.backups or (settings.data_dir or default_directory()) / "backups"


def lost_beside_copies(settings: CopySettings) -> Trouble | None:
    """What to say of a database that is not there, or is empty, while copies lie there: it was lost.

    A new one would be an empty shop, whose copies in time drive out those of the one that was. None: there
    was none.
    """
    copies, data = folder(settings), settings.data_dir or default_directory()
    if not has_copies(copies):
        return None
    if settings.database_url is not None:
        where, command = "База под DATABASE_URL пуста", "2getpro restore --over-live --to end"
    elif Cluster(data / SERVER).is_made:
        where, command = f"База в {data} пуста", "2getpro restore --over-live --to end"
    else:
        where, command = f"В {data} базы нет", f"2getpro restore --to end --into {shlex.quote(str(data))}"
    return Trouble(
        "База магазина пропала, а копии её целы.",
        f"{where}, а в {copies} лежат её копии: начать с новой значит начать пустой магазин.",
        f"Вернуть прежнюю: {command} (журнала нет — без --to end)."
        " Нужен и правда новый магазин: уберите из папки прежние копии вместе с wal.",
    )


def sell_once(database_url: str) -> None:
    """Boot the product on a restored database and buy there; raises NotRestored with what stopped it.

    In a process of its own: it stands above us, and its memory goes with it.
    """
    kept = ("PATH", "PYTHONPATH", "LANG", "TMPDIR")  # nothing of the shop's own settings
    try:
        said, complained, code = _proof(database_url, kept)
    except subprocess.TimeoutExpired as error:
        raise NotRestored(f"магазин на ней не продал и за {_PROOF_SECONDS} с") from error
    if code != 0:
        lines = (said.strip() or complained.strip()).splitlines()
        raise NotRestored(lines[-1] if lines else f"магазин на ней не продал: код {code}")


def _proof(database_url: str, kept: Sequence[str]) -> tuple[str, str, int]:
    """What it says, what it complains of, its code; raises TimeoutExpired."""
    with subprocess.Popen(  # noqa: S603 -- our own module
        [sys.executable, "-m", _PROOF],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: os.environ[name] for name in kept if name in os.environ},
    ) as process:
        try:
            with ended_by(process.kill):
                said, complained = process.communicate(database_url, timeout=_PROOF_SECONDS)
        except BaseException:
            process.kill()
            raise
    return said, complained, process.returncode
