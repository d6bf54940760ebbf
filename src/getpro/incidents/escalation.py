"""The escalation clock: of a policy, an incident and a moment, what is due and when to look again.

Pure: it pages nobody. A step that comes late is carried out once, and the waits after it begin then: whoever
is called has the whole of their time, and a shop that was down does not call everybody at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from getpro.incidents.states import Level, Reach, Role


@dataclass(frozen=True, slots=True)
class Step:
    """Call ``role``, then wait."""

    role: Role
    reach: Reach
    wait: timedelta


Policy = Mapping[Level, Sequence[Step]]
"""Of each level at least one step."""

GUIDES: Final[Policy] = {
    Level.L1: (Step(Role.ON_CALL, Reach.TELEGRAM, timedelta(hours=2)),) * 2,
    Level.L2: (Step(Role.TECH_LEAD, Reach.TELEGRAM, timedelta(minutes=30)),) * 2,
    Level.L3: (Step(Role.EVERYONE, Reach.ALL, timedelta(minutes=5)),) * 3,
}
"""The guide's: 4 hours, 1 hour, 15 minutes; half the time, and a reminder."""


class Reason(StrEnum):
    """Why somebody is called."""

    PAGE = "page"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    """The level below has let its time pass."""
    STILL = "still"
    """Whoever has taken it has said nothing for long."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is due. ``step`` of ``level`` counts from 1; ``next_at`` is when it has been waited for."""

    level: Level
    step: int
    whom: Step
    reason: Reason
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Night:
    """The hours in which L1 wakes nobody; from and until the same hour: there is no night."""

    zone: ZoneInfo
    from_hour: int
    until_hour: int

    def over(self, level: Level, moment: datetime) -> datetime:
        """``moment`` itself, or the end of the night that holds a step of this level back; aware, UTC."""
        local = moment.astimezone(self.zone)
        if level is not Level.L1 or self.from_hour == self.until_hour:
            return moment
        is_past_midnight = self.from_hour < self.until_hour
        if is_past_midnight and not self.from_hour <= local.hour < self.until_hour:
            return moment
        if not is_past_midnight and self.until_hour <= local.hour < self.from_hour:
            return moment
        day = local.date()
        if not is_past_midnight and local.hour >= self.from_hour:
            day += timedelta(days=1)
        return datetime.combine(day, time(self.until_hour), self.zone).astimezone(moment.tzinfo)


def answer_within(policy: Policy, level: Level) -> timedelta:
    """The level's limit: all its waits."""
    return sum((step.wait for step in policy[level]), timedelta())


def call(policy: Policy, level: Level, step: int, *, now: datetime, night: Night) -> Call:
    """What is due of an incident that stands at ``level`` with ``step`` of its steps carried out."""
    steps = policy[level]
    reason = Reason.PAGE if step == 0 else Reason.REMINDER
    if step >= len(steps):
        if (above := level.above) is not None:
            level, step, reason = above, 0, Reason.ESCALATED
        else:
            step = len(steps) - 1
    whom = policy[level][step]
    return Call(level, step + 1, whom, reason, night.over(level, now + whom.wait))
