"""Background entry points of copies, and when they run by themselves."""

from functools import partial
from typing import Final

import structlog

from getpro.backups import sending, service, telegram
from getpro.backups.deps import Prepare, prepared
from getpro.backups.errors import BackupError, TooLarge
from getpro.platform.jobs import UPKEEP, Backoff, JobKind, JobName, Jobs
from getpro.platform.schedules import Schedule, job_of

BY_SCHEDULE: Final = "schedule"
TELEGRAM: Final = JobName("backup_to_telegram", UPKEEP)
_MAKE: Final = "make_backup"
_PROVE: Final = "prove_backup"
_BASE: Final = "make_base_backup"
_SEND: Final = "send_backups"
_LONG: Final = Backoff(longest_seconds=900, attempts=10)
"""A quarter of an hour: a server that is started again, or another copy that is being made."""
_THREE_TIMES: Final = Backoff(longest_seconds=900, attempts=3)
_ONCE: Final = Backoff(attempts=1)

log = structlog.get_logger(__name__)


def schedules(zone: str, *, sends: bool) -> list[Schedule]:
    """Every night a copy; on Fridays, before the operators' routine of that day, the newest is proven.

    ``sends``: every hour what is not off-site yet goes there, also a copy made by hand.
    """
    sent = [Schedule(_SEND, "50 * * * *", zone)] if sends else []
    return [Schedule(_MAKE, "30 2 * * *", zone), Schedule(_PROVE, "0 5 * * 5", zone), *sent]


def point_in_time_schedules(zone: str) -> list[Schedule]:
    """Looked at every few minutes: after a gap in the log nothing is safe until there is a new beginning."""
    return [Schedule(_BASE, "*/10 * * * *", zone)]


def job_kinds(prepare: Prepare, jobs: Jobs | None = None) -> list[JobKind]:
    """Without ``jobs`` nothing follows a copy."""
    return [
        JobKind(job_of(_MAKE), partial(_make, prepare, jobs), _LONG, (BackupError,)),
        JobKind(TELEGRAM, partial(_send_to_chat, prepare), _THREE_TIMES, (BackupError,)),
        JobKind(job_of(_PROVE), partial(_prove, prepare), _LONG, (BackupError,)),
        JobKind(job_of(_BASE), partial(_make_base, prepare), _ONCE, (BackupError,)),
        JobKind(job_of(_SEND), partial(_send, prepare), _ONCE, (BackupError,)),  # it comes again by itself
    ]


async def _make(prepare: Prepare, jobs: Jobs | None) -> None:
    deps = prepared(prepare)
    made = await service.create(deps, asked_by=BY_SCHEDULE)
    if deps.bucket is not None:
        try:
            await sending.send(deps)
        except BackupError as error:  # the copy is made; the next hour sends it
            log.warning("backup.send_postponed", error=str(error))
    if deps.telegram is not None and jobs is not None:
        async with deps.db.begin("backup: to telegram") as session:
            await jobs.defer(session, TELEGRAM, name=made.name)
    try:
        await service.prune(deps)
    except BackupError as error:  # the next night deletes it; another try would make another copy
        log.warning("backup.prune_postponed", error=str(error))


async def _send_to_chat(prepare: Prepare, name: str) -> None:
    """A copy that does not fit is told once; it will not fit the next time either."""
    try:
        await telegram.send(prepared(prepare), name)
    except TooLarge as error:
        log.error("backup.not_in_telegram", backup=name, error=str(error))


async def _prove(prepare: Prepare) -> None:
    await service.verify(prepared(prepare))


async def _make_base(prepare: Prepare) -> None:
    """Make the base backup that is due, if one is, and prove it; or prove one that was not yet."""
    deps = prepared(prepare)
    if (kind := await service.base_due(deps)) is None:
        if (untried := await service.untried_base(deps)) is not None:
            await service.verify(deps, untried)
        return
    made = await service.create_base(deps, kind, asked_by=BY_SCHEDULE)
    await service.verify(deps, made.name)
    await service.prune(deps)


async def _send(prepare: Prepare) -> None:
    """Raises BackupError with what the first copy that stays behind has against it."""
    done = await sending.send(prepared(prepare))
    for one in done.failed:
        raise BackupError(f"{one.copy.name}: {one.why}")
