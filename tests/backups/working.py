"""A process that does one thing with copies until it is killed: ``working.py WHAT URL HOME``.

It says ``begun`` before it does. WHAT is a base backup, a trial of the newest one, or a restore into a new
place: of the newest dump, or to the end of the log.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from copies import copies_in, newest
from getpro.backups import places, service, store
from getpro.backups.deps import Deps
from getpro.backups.recovery import Target
from getpro.backups.sources import Copy, Source, minute_of
from getpro.backups.states import BackupKind
from getpro.kit.clock import utc_now
from getpro.platform.database import Database

NEW: Final = "new"
"""The place, in HOME."""


async def base(deps: Deps) -> None:
    await service.create_base(deps, BackupKind.INCREMENTAL, asked_by="killed")


async def verify(deps: Deps) -> None:
    async with deps.db.read("test") as session:
        newest = (await store.newest_bases(session, now=deps.clock()))[0].name
    await service.verify(deps, newest)


async def into(deps: Deps) -> None:
    await _restore(deps, Copy(deps.folder, newest(deps), deps.keys.identity))


async def to(deps: Deps) -> None:
    await _restore(deps, minute_of(deps.folder, Target(), deps.keys.identity))


async def _restore(deps: Deps, source: Source) -> None:
    await asyncio.to_thread(places.into_new_place, source, deps.folder.parent / NEW / "place")


WORK: Final[dict[str, Callable[[Deps], Awaitable[None]]]] = {
    "base": base,
    "verify": verify,
    "into": into,
    "to": to,
}


async def main(what: str, url: str, home: Path) -> None:
    deps = copies_in(home, db=Database(url, pool_size=2), database_url=url, clock=utc_now)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    await WORK[what](deps)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
