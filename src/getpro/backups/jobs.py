"""Background entry points of copies, and when they run by themselves."""

from collections.abc import Callable
from functools import partial
from typing import Final

from getpro.backups import service
from getpro.backups.deps import Deps
from getpro.backups.errors import BackupError
from getpro.kit.trouble import Trouble
from getpro.platform.jobs import Backoff, JobKind
from getpro.platform.schedules import Schedule, job_of

BY_SCHEDULE: Final = "schedule"
_MAKE: Final = "make_backup"
_PROVE: Final = "prove_backup"
_THREE_TIMES: Final = Backoff(longest_seconds=900, attempts=3)

Prepare = Callable[[], Deps]
"""Made when there is something to do: a broken key must not stop the shop. May raise Trouble."""


def schedules(zone: str) -> list[Schedule]:
    """Every night a copy; on Fridays, before the operators' routine of that day, the newest is proven."""
    return [Schedule(_MAKE, "30 2 * * *", zone), Schedule(_PROVE, "0 5 * * 5", zone)]


def job_kinds(prepare: Prepare) -> list[JobKind]:
    return [
        JobKind(job_of(_MAKE), partial(_make, prepare), _THREE_TIMES, (BackupError,)),
        JobKind(job_of(_PROVE), partial(_prove, prepare), _THREE_TIMES, (BackupError,)),
    ]


async def _make(prepare: Prepare) -> None:
    deps = _prepared(prepare)
    await service.create(deps, asked_by=BY_SCHEDULE)
    await service.prune(deps)


async def _prove(prepare: Prepare) -> None:
    await service.verify(_prepared(prepare))


def _prepared(prepare: Prepare) -> Deps:
    try:
        return prepare()
    except Trouble as trouble:
        raise BackupError(f"{trouble.what} {trouble.why}") from trouble
