"""What making and proving copies needs, as tests want it."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from folders import open_up
from getpro.backups.choice import choose
from getpro.backups.deps import Deps
from getpro.backups.keys import keys
from getpro.backups.manifest import Manifest
from getpro.backups.retention import Keep
from getpro.kit.clock import Clock
from getpro.platform.database import Database
from getpro.platform.postgres import tools_for
from shop import KEY

SETTINGS = f"""\
TELEGRAM_BOT_TOKEN=42:SECRET
PANEL_URL=http://panel.example
PANEL_TOKEN=t
DATABASE_KEYS={KEY}
"""


def newest(deps: Deps) -> Manifest:
    """The dump that is restored where none is named."""
    return choose(deps.folder, None, deps.keys.identity, now=deps.clock()).manifest


def later_each_time() -> datetime:
    """Ten minutes a second: whoever is started after another has no name for a copy in common with it."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=10 * (time.monotonic() % 20_000))


def copies_in(
    folder: Path,
    *,
    db: Database,
    database_url: str,
    clock: Clock,
    daily: int = 2,
    settings: str | None = SETTINGS,
) -> Deps:
    """Copies that lie below ``folder``, ``daily`` of them kept; a restored database need not sell."""
    open_up(folder)
    return Deps(
        db=db,
        clock=clock,
        zone=ZoneInfo("Europe/Moscow"),
        database_url=database_url,
        tools=tools_for,
        folder=folder / "backups",
        trials=folder / "trials",
        spool=folder / "wal",
        keys=keys(folder, folder / "backups"),
        keep=Keep(daily=daily, weekly=0, monthly=0, yearly=0),
        window=timedelta(days=1),
        use=lambda _: None,
        environment=settings,
    )
