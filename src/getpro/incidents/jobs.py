"""Background entry points of incidents, and when the clock is looked at."""

from functools import partial
from typing import Final

from getpro.incidents import (
    calling,
    closing,
    documents,
    hand_over,
    heartbeat,
    holding,
    paging,
    tellings,
    weighing,
)
from getpro.incidents.deps import Deps
from getpro.incidents.other import NotSent
from getpro.platform.http import ServiceUnavailable
from getpro.platform.jobs import Backoff, JobKind
from getpro.platform.schedules import Schedule, job_of

_FOR_EVER: Final = Backoff(longest_seconds=60)
_ONCE_MORE: Final = Backoff(longest_seconds=300, attempts=15)
_COMES_AGAIN: Final = Backoff(attempts=1)
_CLOCK: Final = "escalate"
_HOLD: Final = "ask_holders"
_CLOSE: Final = "close_incidents"
_WEIGH: Final = "weigh_incidents"
_TELL: Final = "tell_customers"
_DUTY: Final = "hand_over"
_HEART: Final = "heartbeat"

SCHEDULES: Final = [
    Schedule(_CLOCK, "every 15s"),
    Schedule(_HOLD, "every 60s"),
    Schedule(_CLOSE, "every 15s"),
    Schedule(_WEIGH, "every 15s"),
    Schedule(_TELL, "every 15s"),
    Schedule(_DUTY, "every 60s"),
    Schedule(_HEART, "every 60s"),
]
"""The waits of the policy are minutes; a row says when each step is due."""


def job_kinds(deps: Deps) -> list[JobKind]:
    async def beat() -> None:
        await heartbeat.beat(deps)

    return [
        JobKind(paging.SEND, partial(paging.send, deps), _FOR_EVER, (ServiceUnavailable, NotSent)),
        JobKind(paging.SHOW, partial(paging.show, deps), _FOR_EVER, (ServiceUnavailable,)),
        JobKind(documents.WRITE_UP, partial(documents.write_up, deps), _ONCE_MORE, (ServiceUnavailable,)),
        JobKind(documents.SEND, partial(documents.send, deps), _ONCE_MORE, (ServiceUnavailable,)),
        JobKind(hand_over.TELL, partial(hand_over.tell, deps), _FOR_EVER, (ServiceUnavailable, NotSent)),
        JobKind(job_of(_CLOCK), partial(calling.carry_on, deps), _COMES_AGAIN),
        JobKind(job_of(_HOLD), partial(holding.carry_on, deps), _COMES_AGAIN),
        JobKind(job_of(_CLOSE), partial(closing.carry_on, deps), _COMES_AGAIN),
        JobKind(job_of(_WEIGH), partial(weighing.weigh, deps), _COMES_AGAIN),
        JobKind(job_of(_TELL), partial(tellings.carry_on, deps), _COMES_AGAIN),
        JobKind(job_of(_DUTY), partial(hand_over.look, deps), _COMES_AGAIN),
        JobKind(job_of(_HEART), beat, _COMES_AGAIN),
    ]
