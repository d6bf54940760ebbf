"""Background entry points of copies, and when they run by themselves."""

from functools import partial
from typing import Final

import structlog

from getpro.backups import service
from getpro.backups.deps import Deps
from getpro.backups.errors import BackupError
from getpro.kit.clock import DEFAULT_ZONE
from getpro.platform.jobs import Backoff, JobKind
from getpro.platform.schedules import Schedule, job_of

log = structlog.get_logger(__name__)

BY_SCHEDULE: Final = "schedule"
_MAKE, _PROVE = "make_backup", "prove_backup"
_THREE_TIMES: Final = Backoff(longest_seconds=900, attempts=3)


def schedules(zone: str = DEFAULT_ZONE) -> list[Schedule]:
    """Every night a copy; on Fridays, before the operators' routine of that day, the newest is proven."""
    return [Schedule(_MAKE, "30 2 * * *", zone), Schedule(_PROVE, "0 5 * * 5", zone)]


def job_kinds(deps: Deps) -> list[JobKind]:
    return [
        JobKind(job_of(_MAKE), partial(_make, deps), _THREE_TIMES, (BackupError,)),
        JobKind(job_of(_PROVE), partial(_prove, deps), _THREE_TIMES, (BackupError,)),
    ]


async def _make(deps: Deps) -> None:
    await service.create(deps, asked_by=BY_SCHEDULE)
    await service.prune(deps)


async def _prove(deps: Deps) -> None:
    await service.verify(deps)
