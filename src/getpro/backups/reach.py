"""Which minutes can be gone back to, as the folder of copies says it: no catalogue is asked."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pyrage import x25519

from getpro.backups.errors import Damaged
from getpro.backups.manifest import Manifest, Physical
from getpro.backups.wal import Log, Way, position, words
from getpro.kit.trouble import Trouble
from getpro.platform.postgres.tools import tools_of

_COMMIT: Final = re.compile(r"desc: COMMIT(?: PREPARED \S+)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")
_LOOKED_THROUGH: Final = 4
"""So many segments, the last ones: a shop in which nothing was committed for longer has lost nothing."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Any minute between."""

    since: datetime
    until: datetime | None
    """When what was committed last was; None where the last segments do not say."""


def major_of(server: str) -> int:
    """18 of "18.6 (Debian 18.6-1)"."""
    return int(server.partition(".")[0])


def log_of(folder: Path, physical: Physical) -> Log:
    return Log(folder, physical.system, physical.segment_bytes)


def reach(folder: Path, chains: Sequence[Sequence[Manifest]], identity: x25519.Identity) -> Reach | None:
    """By the base backups that lead to the end of the log; None where none does. Raises Damaged.

    ``chains`` are full ones and what builds on them, each oldest first, in no order.
    """
    last = max(chains, key=lambda chain: chain[-1].moment, default=None)
    if last is None or (newest := last[-1].physical) is None:
        return None
    log = log_of(folder, newest)
    line = log.living(None, identity)
    end = log.until(position(newest.start), line)
    leading = [
        physical
        for chain in chains
        if (physical := chain[-1].physical) is not None
        and physical.system == newest.system
        and line.passes(physical.timeline, position(physical.end))
        and log.until(position(physical.start), line) == end >= position(physical.end)
    ]
    if not leading:
        return None
    since = min(datetime.fromisoformat(physical.usable_from) for physical in leading)
    return Reach(since, last_commit_before(end, log, line, identity, major_of(last[-1].server)))


def last_commit_before(
    end: int, log: Log, line: Way, identity: x25519.Identity, major: int
) -> datetime | None:
    """When what stands last before that place in the log was committed.

    None where the last segments do not say, or the programs of that server's version are not here.
    """
    try:
        program, environment = tools_of(major).path("pg_waldump"), tools_of(major).environment()
    except Trouble:
        return None
    last = (end - 1) // log.segment_bytes
    with tempfile.TemporaryDirectory(prefix="getpro-log-") as place:
        for number in range(last, max(last - _LOOKED_THROUGH, -1), -1):
            start = number * log.segment_bytes
            try:
                log.write_out(start, line, Path(place), identity, end=end)
            except Damaged:  # a history, without which the way is not known
                return None
            done = subprocess.run(  # noqa: S603 -- our own program and settings
                [
                    program,
                    f"--path={place}",
                    f"--timeline={line.writer_of(number, log.segment_bytes)}",
                    f"--start={words(start)}",
                    f"--end={words(end)}",
                    "--rmgr=Transaction",
                ],
                check=False,  # where the log ends in the middle of a record it says so, after all the others
                capture_output=True,
                text=True,
                errors="replace",
                env={"TZ": "UTC", "LC_ALL": "C"} | environment,
            )
            if found := _COMMIT.findall(done.stdout):
                return datetime.fromisoformat(f"{found[-1]}+00:00")
    return None
