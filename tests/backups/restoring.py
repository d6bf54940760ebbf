"""A process that restores over a living database: ``restoring.py URL COPIES KEY PLACE [POINT]``.

It says ``begun``, and dies at the crash point if one is given.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from getpro.backups import live
from getpro.backups.choice import dumps_in
from getpro.backups.keys import read_identity
from getpro.backups.sources import Copy
from getpro.backups.trial import thrown_away
from getpro.kit import crashpoints


def main(url: str, folder: Path, key: Path, place: Path, point: str | None) -> None:
    crashpoints.listen(lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached == point else None)
    source = Copy(folder, dumps_in(folder)[0], read_identity(key))
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    with thrown_away(place):
        live.over_live(source, url, place, now=datetime.now(UTC))


if __name__ == "__main__":
    _, address, copies, key_file, scratch, *points = sys.argv
    main(address, Path(copies), Path(key_file), Path(scratch), next(iter(points), None))
