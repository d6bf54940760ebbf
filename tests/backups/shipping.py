"""A process that sends copies until it is killed: ``shipping.py URL FOLDER ENDPOINT BUCKET``.

It says ``begun`` before each round: a copy is made, sent, and what is out of its time goes, here and there.
"""

import asyncio
import itertools
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from getpro.backups import sending, service
from getpro.backups.deps import Deps
from getpro.backups.keys import keys
from getpro.backups.offsite import S3Bucket
from getpro.backups.retention import Keep
from getpro.platform.database import Database
from getpro.platform.postgres import tools_for
from getpro.platform.settings import BackupSettings


async def main(url: str, folder: Path, endpoint: str, name: str) -> None:
    began = datetime.now(UTC)
    seconds = itertools.count()
    settings = BackupSettings.model_validate(
        {"s3_bucket": name, "s3_endpoint": endpoint, "s3_access_key_id": "k", "s3_secret_access_key": "s"}
    )
    deps = Deps(
        db=Database(url, pool_size=2),
        clock=lambda: began + timedelta(seconds=next(seconds)),  # no two copies of one name
        zone=ZoneInfo("UTC"),
        database_url=url,
        tools=tools_for,
        folder=folder / "backups",
        trials=folder / "trials",
        spool=folder / "spool",
        keys=keys(folder),
        keep=Keep(daily=1, weekly=0, monthly=0, yearly=0),
        window=timedelta(days=7),
        use=lambda _: None,
        bucket=S3Bucket(settings),
    )
    while True:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await service.create(deps, asked_by="killed")
        await sending.send(deps)
        await service.prune(deps)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
