"""A process that copies until it is killed: ``copying.py URL FOLDER``. It says ``begun`` before each copy."""

import asyncio
import itertools
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from getpro.backups import service
from getpro.backups.deps import Deps
from getpro.backups.keys import keys
from getpro.backups.retention import Keep
from getpro.platform.database import Database
from getpro.platform.postgres import tools_for


async def main(url: str, folder: Path) -> None:
    began = datetime.now(UTC)
    seconds = itertools.count()
    deps = Deps(
        db=Database(url, pool_size=2),
        clock=lambda: began + timedelta(seconds=next(seconds)),  # no two copies of one name
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
    while True:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await service.create(deps, asked_by="killed")
        await service.prune(deps)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
