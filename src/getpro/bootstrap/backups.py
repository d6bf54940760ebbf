"""Copies of the database, built and joined."""

from pathlib import Path

from getpro.backups.deps import Deps
from getpro.backups.keys import keys
from getpro.backups.retention import Keep
from getpro.backups.trial import Use
from getpro.kit.clock import Clock, utc_now
from getpro.platform.database import Database
from getpro.platform.postgres import default_directory, external_tools
from getpro.platform.postgres.account import server_account
from getpro.platform.postgres.tools import embedded_tools
from getpro.platform.settings import Settings


def backups_deps(
    settings: Settings, *, db: Database, database_url: str, use: Use, clock: Clock = utc_now
) -> Deps:
    """Raises Trouble where the key of the copies cannot be had."""
    data = settings.data_dir or default_directory()
    data.mkdir(parents=True, exist_ok=True)
    is_ours = settings.database_url is None
    wanted = settings.backup
    return Deps(
        db=db,
        clock=clock,
        zone=settings.zone,
        database_url=database_url,
        tools=embedded_tools(server_account()) if is_ours else external_tools(),
        folder=folder(settings),
        trials=data / "trials",
        keys=keys(data, wanted.recipients),
        keep=Keep(wanted.keep_daily, wanted.keep_weekly, wanted.keep_monthly, wanted.keep_yearly),
        use=use,
    )


def folder(settings: Settings) -> Path:
    """Where copies lie: beside the data unless it is said otherwise."""
    return settings.operations.backups or (settings.data_dir or default_directory()) / "backups"
