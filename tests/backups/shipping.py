"""A process that sends copies until it is killed: ``shipping.py URL FOLDER ENDPOINT BUCKET``.

It says ``begun`` before each round: a copy is made, sent, and what is out of its time goes, here and there.
"""

import asyncio
import itertools
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from copies import copies_in, later_each_time
from getpro.backups import sending, service
from getpro.backups.offsite import S3Bucket
from getpro.platform.database import Database
from getpro.platform.settings import BackupSettings


async def main(url: str, folder: Path, endpoint: str, name: str) -> None:
    began = later_each_time()
    seconds = itertools.count()
    settings = BackupSettings.model_validate(
        {"s3_bucket": name, "s3_endpoint": endpoint, "s3_access_key_id": "k", "s3_secret_access_key": "s"}
    )
    made = copies_in(
        folder,
        db=Database(url, pool_size=2),
        database_url=url,
        clock=lambda: began + timedelta(seconds=next(seconds)),  # no two copies of one name
        daily=1,
    )
    deps = replace(made, bucket=S3Bucket(settings))
    while True:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await service.create(deps, asked_by="killed")
        await sending.send(deps)
        await service.prune(deps)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
