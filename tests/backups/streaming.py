"""A process that takes the log until it is killed: ``streaming.py URL FOLDER [ENDPOINT BUCKET]``.

With a bucket, it sends it there, too.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from copies import copies_in
from getpro.backups import mirror, stream
from getpro.backups.deps import Deps
from getpro.backups.offsite import S3Bucket
from getpro.kit.clock import utc_now
from getpro.platform.database import Database
from storage import Place, Storage


async def main(url: str, folder: Path, *where: str) -> None:
    stream.SECONDS = mirror.SECONDS = 0.1  # type: ignore[misc] # so that a kill meets them at work
    deps = copies_in(folder, db=Database(url, pool_size=2), database_url=url, clock=utc_now)
    if where:
        endpoint, name = where
        deps = replace(deps, bucket=S3Bucket(Place(Storage(endpoint), name).settings()))

    def prepare() -> Deps:
        return deps

    sys.stdout.write("begun\n")
    sys.stdout.flush()
    await asyncio.gather(stream.keep_for_ever(prepare), mirror.mirror_for_ever(prepare))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
