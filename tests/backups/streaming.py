"""A process that takes the log until it is killed: ``streaming.py URL FOLDER``."""

import asyncio
import sys
from pathlib import Path

from copies import copies_in
from getpro.backups import stream
from getpro.kit.clock import utc_now
from getpro.platform.database import Database


def main(url: str, folder: Path) -> None:
    stream.SECONDS = 0.1  # type: ignore[misc] # so that a kill meets it at work
    deps = copies_in(folder, db=Database(url, pool_size=2), database_url=url, clock=utc_now)
    asyncio.run(stream.keep_for_ever(lambda: deps))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
