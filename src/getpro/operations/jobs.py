"""Background entry points of operations, and when they run by themselves."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from getpro.operations import alarms, audits, chasing, chat, refused, runs, samples
from getpro.operations.deps import Deps
from getpro.operations.routines import ROUTINES, Routine, carry_out_due
from getpro.platform.http import ServiceUnavailable
from getpro.platform.jobs import Backoff, JobKind
from getpro.platform.schedules import Schedule, job_of

log = structlog.get_logger(__name__)

_FOR_EVER: Final = Backoff(longest_seconds=300)
_ONCE_MORE: Final = Backoff(longest_seconds=60, attempts=3)
_FORGET: Final = "forget_operations"
_MISSED: Final = "look_for_missed"
_CHASE: Final = "chase_actions"


def schedules(zone: str) -> list[Schedule]:
    """When the routines run; ``zone`` is the operator's."""
    return [
        Schedule(samples.TAKE.name, f"every {samples.EVERY.total_seconds():.0f}s"),
        Schedule(_FORGET, "15 4 * * *", zone),
        Schedule(_MISSED, "every 300s"),
        Schedule(_CHASE, chasing.RULE, zone),
        *(Schedule(routine.schedule, routine.rule, zone) for routine in ROUTINES.values()),
    ]


def job_kinds(deps: Deps) -> list[JobKind]:
    return [
        JobKind(chat.TELL, partial(chat.send, deps), _FOR_EVER, (ServiceUnavailable,)),
        JobKind(audits.SEND, partial(audits.send, deps), _FOR_EVER, (ServiceUnavailable,)),
        JobKind(samples.TAKE, partial(samples.take, deps), _ONCE_MORE),
        JobKind(job_of(_FORGET), partial(_forget, deps), _ONCE_MORE),
        JobKind(job_of(_CHASE), partial(chasing.chase, deps), _ONCE_MORE),
        JobKind(job_of(_MISSED), partial(look_for_missed, deps), _ONCE_MORE),
        *(
            JobKind(job_of(routine.schedule), _by_schedule(deps, routine), _ONCE_MORE)
            for routine in ROUTINES.values()
        ),
    ]


def _by_schedule(deps: Deps, routine: Routine) -> Callable[[], Awaitable[None]]:
    async def carry() -> None:
        log.info("ops.begun", routine=routine.name)  # so that a quiet night is not a log that nobody writes
        await carry_out_due(deps, routine)

    return carry


async def look_for_missed(deps: Deps) -> None:
    """Raise the alarm about routines that did not take place; a flow."""
    if deps.incidents is not None:
        async with deps.db.begin("operations: missed") as session:
            await alarms.of_missed(session, deps.incidents, [*ROUTINES.values()])


async def _forget(deps: Deps) -> None:
    now = deps.clock()
    async with deps.db.begin("operations: forget") as session:
        await chat.forget_old(session, now=now)
        await runs.forget_old(session, now=now)
        await refused.forget_old(session, now=now)
