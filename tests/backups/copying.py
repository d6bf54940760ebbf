"""A process that copies until it is killed: ``copying.py URL FOLDER``. It says ``begun`` before each copy."""

import asyncio
import itertools
import sys
from datetime import timedelta
from pathlib import Path

from copies import copies_in, later_each_time
from getpro.backups import service
from getpro.platform.database import Database


async def main(url: str, folder: Path) -> None:
    began = later_each_time()
    seconds = itertools.count()
    deps = copies_in(
        folder,
        db=Database(url, pool_size=2),
        database_url=url,
        clock=lambda: began + timedelta(seconds=next(seconds)),  # no two copies of one name
        daily=1,
    )
    while True:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await service.create(deps, asked_by="killed")
        await service.prune(deps)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
