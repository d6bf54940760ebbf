"""A process that takes the log until it is killed: ``streaming.py URL FOLDER``."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from getpro.backups import stream
from getpro.backups.deps import Deps
from getpro.backups.keys import keys
from getpro.backups.retention import Keep
from getpro.kit.clock import utc_now
from getpro.platform.database import Database
from getpro.platform.postgres import tools_for


def main(url: str, folder: Path) -> None:
    stream.SECONDS = 0.1  # type: ignore[misc] # so that a kill meets it at work
    deps = Deps(
        db=Database(url, pool_size=2),
        clock=utc_now,
        zone=ZoneInfo("UTC"),
        database_url=url,
        tools=tools_for,
        folder=folder / "backups",
        trials=folder / "trials",
        spool=folder / "wal",
        keys=keys(folder),
        keep=Keep(daily=1, weekly=0, monthly=0, yearly=0),
        window=timedelta(days=1),
        use=lambda _: None,
    )
    asyncio.run(stream.keep_for_ever(lambda: deps))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
