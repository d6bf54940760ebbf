"""Background entry points of copies, and when they run by themselves."""

from functools import partial
from typing import Final

from getpro.backups import service
from getpro.backups.deps import Prepare, prepared
from getpro.backups.errors import BackupError
from getpro.platform.jobs import Backoff, JobKind
from getpro.platform.schedules import Schedule, job_of

BY_SCHEDULE: Final = "schedule"
_MAKE: Final = "make_backup"
_PROVE: Final = "prove_backup"
_BASE: Final = "make_base_backup"
_THREE_TIMES: Final = Backoff(longest_seconds=900, attempts=3)

_ONCE: Final = Backoff(attempts=1)


def schedules(zone: str) -> list[Schedule]:
    """Every night a copy; on Fridays, before the operators' routine of that day, the newest is proven."""
    return [Schedule(_MAKE, "30 2 * * *", zone), Schedule(_PROVE, "0 5 * * 5", zone)]


def point_in_time_schedules(zone: str) -> list[Schedule]:
    """Looked at every few minutes: after a gap in the log nothing is safe until there is a new beginning."""
    return [Schedule(_BASE, "*/10 * * * *", zone)]


def job_kinds(prepare: Prepare) -> list[JobKind]:
    return [
        JobKind(job_of(_MAKE), partial(_make, prepare), _THREE_TIMES, (BackupError,)),
        JobKind(job_of(_PROVE), partial(_prove, prepare), _THREE_TIMES, (BackupError,)),
        JobKind(job_of(_BASE), partial(_make_base, prepare), _ONCE, (BackupError,)),
    ]


async def _make(prepare: Prepare) -> None:
    deps = prepared(prepare)
    await service.create(deps, asked_by=BY_SCHEDULE)
    await service.prune(deps)


async def _prove(prepare: Prepare) -> None:
    await service.verify(prepared(prepare))


async def _make_base(prepare: Prepare) -> None:
    """Make the base backup that is due, if one is, and prove it."""
    deps = prepared(prepare)
    if (kind := await service.base_due(deps)) is None:
        return
    made = await service.create_base(deps, kind, asked_by=BY_SCHEDULE)
    await service.verify(deps, made.name)
    await service.prune(deps)
