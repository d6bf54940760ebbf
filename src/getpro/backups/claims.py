"""What the catalogue claims to lie off this machine, compared with what lies there.

By the place's own lists, for which a key needs less than for reading.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import structlog

from getpro.backups import store
from getpro.backups.deps import Deps
from getpro.backups.folder import MANIFEST, SETTINGS
from getpro.backups.interruption import leavable
from getpro.backups.mirror import gone_of_log
from getpro.backups.sending import PREFIX, key_of, place_of, required
from getpro.backups.store import Backup

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Compared:
    """How many copies were claimed, and what is not there as it was sent: a sentence for each."""

    copies: int
    gone: list[str]


async def compare(deps: Deps) -> Compared:
    """Withdraw every claim that does not hold; a flow.

    What lies here still goes there again, with the next round of sending. Raises OffsiteRefused where the
    credentials may not look, OffsiteError, and Busy where the log is on its way for long.
    """
    bucket = required(deps.bucket)
    async with deps.db.read("backup: claims") as session:  # first: what is let go meanwhile has none any more
        known = await store.newest_first(session)
    claimed = [one for one in known if one.offsite_at and one.offsite_place == place_of(bucket, one.name)]
    listed = await leavable(lambda: list(bucket.listing(PREFIX)))
    there = {one.key: one.bytes for one in listed}
    gone = []
    for copy in claimed:
        if (trouble := next(_troubles(deps, copy, there), None)) is None:
            continue
        async with deps.db.begin("backup: gone off-site") as session:
            is_withdrawn = await store.withdrawn(session, copy, trouble)
        if is_withdrawn:
            log.error("backup.gone_offsite", backup=copy.name, error=trouble)
            gone.append(f"{copy.name}: {trouble}")
    if lost := await gone_of_log(deps):
        log.error("backup.log_gone_offsite", files=len(lost), first=lost[0])
        gone.append(f"журнал: пропало файлов {len(lost)}, первый {lost[0]}")
    return Compared(len(claimed), gone)


def _troubles(deps: Deps, copy: Backup, there: Mapping[str, int]) -> Iterator[str]:
    beside = [f"{copy.name}{MANIFEST}"]
    if (deps.folder / f"{copy.name}{SETTINGS}").exists():
        beside.append(f"{copy.name}{SETTINGS}")
    wanted = {key_of(copy.name, copy.kind): copy.bytes} | {f"{PREFIX}{name}": None for name in beside}
    for key, size in wanted.items():
        if key not in there:
            yield f"в хранилище нет {key.removeprefix(PREFIX)}"
        elif size is not None and there[key] != size:
            yield f"в хранилище {key.removeprefix(PREFIX)} другого размера"
