"""The routines, built and joined."""

import os
from functools import partial
from pathlib import Path

from getpro.backups import claims, drills
from getpro.backups.claims import Compared
from getpro.backups.deps import Prepare, prepared
from getpro.backups.drills import Drill
from getpro.backups.keys import NEXT
from getpro.bootstrap.backups import folder
from getpro.checks.check import Line
from getpro.incidents.deps import Deps as IncidentsDeps
from getpro.kit.clock import Clock, utc_now
from getpro.operations.chat import OperatorsChat
from getpro.operations.dependencies import Packages
from getpro.operations.deps import Absent, Chat, Deps, nothing_absent
from getpro.operations.looks.ports import watched_outside
from getpro.operations.models import BY_SCHEDULE
from getpro.operations.monitoring import OWN
from getpro.operations.secrets import BACKUP_KEY, DATABASE_KEY, DATABASE_PASSWORD, inventory
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.postgres import default_directory
from getpro.platform.settings import Settings


def operations_deps(
    settings: Settings,
    *,
    db: Database,
    jobs: Jobs,
    api: BotApi,
    backups: Prepare,
    clock: Clock = utc_now,
    asked_by: str = BY_SCHEDULE,
    incidents: IncidentsDeps | None = None,
    absent: Absent = nothing_absent,
) -> Deps:
    async def rehearse() -> Drill:
        return await drills.rehearse(prepared(backups), asked_by=asked_by)

    async def compare() -> Compared:
        return await claims.compare(prepared(backups))

    return Deps(
        db=db,
        jobs=jobs,
        clock=clock,
        zone=settings.zone,
        settings=settings.operations,
        folders=folders(settings),
        urls=_urls(settings),
        sentry=settings.sentry,
        chat=_chat(settings, api),
        keeps_log=settings.backup.enabled and settings.backup.point_in_time,
        makes_backups=settings.backup.enabled,
        compare=compare if settings.backup.enabled and settings.backup.s3_bucket is not None else None,
        rehearse=rehearse if settings.backup.enabled else None,
        packages=Packages(osv_url=settings.operations.osv_url),
        incidents=incidents,
        shop_name=settings.shop.name,
        operators=frozenset(settings.shop.operators),
        inventory=partial(inventory, settings),
        private=_private(settings),
        absent=_with_the_outside(absent) if settings.operations.firewall == "outside" else absent,
    )


def _with_the_outside(absent: Absent) -> Absent:
    def why(line: Line) -> str | None:
        return absent(line) or watched_outside(line, is_root=os.geteuid() == 0)

    return why


def _urls(settings: Settings) -> tuple[str, ...]:
    """What has a certificate, if it has TLS."""
    domains = (f"https://{domain}" for domain in settings.operations.domains)
    return tuple(filter(None, (settings.public_url, settings.panel.url, *domains)))


def _private(settings: Settings) -> tuple[Path, ...]:
    """What holds secrets, in files."""
    own = settings.data_dir or default_directory()
    names = (BACKUP_KEY, NEXT, DATABASE_KEY, DATABASE_PASSWORD, "postgres/data")
    return (Path(".env"), Path(".env.bak"), OWN, *(own / name for name in names))


def _chat(settings: Settings, api: BotApi) -> Chat | None:
    chat_id = settings.operations.chat
    return None if chat_id is None else OperatorsChat(api, chat_id)


def folders(settings: Settings) -> dict[str, Path]:
    """What is written to on this machine, by purpose."""
    own = settings.data_dir or default_directory()
    found = {
        "data": own if settings.database_url is None else settings.data_dir,
        "logs": settings.log_dir,
        "backups": folder(settings) if settings.backup.enabled else settings.operations.backups,
    }
    return {purpose: folder for purpose, folder in found.items() if folder is not None}
