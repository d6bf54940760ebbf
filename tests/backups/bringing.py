"""A process that brings a copy back until it is killed: ``bringing.py URL FOLDER ENDPOINT BUCKET NAME``."""

import asyncio
import sys
from pathlib import Path

from getpro.backups.fetching import fetch
from getpro.backups.offsite import S3Bucket
from getpro.platform.database import Database
from storage import Place, Storage


async def main(url: str, folder: Path, endpoint: str, bucket: str, name: str) -> None:
    place = S3Bucket(Place(Storage(endpoint), bucket).settings())
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    await fetch(place, folder, name, catalogue=Database(url, pool_size=2))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
