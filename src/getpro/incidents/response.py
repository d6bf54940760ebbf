"""How an incident was answered, against the level's limit; of a time line, pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from getpro.incidents.escalation import Night, Policy, Reason
from getpro.incidents.states import EventKind, Level
from getpro.incidents.store import SHOP, Event

_ANSWERS: Final = {EventKind.TAKEN, EventKind.CLOSING, EventKind.FORCED, EventKind.RESOLVED}
"""Of a person: whoever closes it at once has answered, too."""


@dataclass(frozen=True, slots=True)
class Response:
    """The first answer. ``due_at`` is when the level that was called last had to have answered."""

    called_at: datetime | None = None
    level: Level | None = None
    due_at: datetime | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None
    was_escalated: bool = False
    """A level let its time pass before anybody answered."""

    @property
    def is_kept(self) -> bool | None:
        """Whether it was answered within the limit; None: nobody had to answer, or there is time yet."""
        if self.was_escalated:
            return False
        if self.answered_at is None:
            return None
        return self.due_at is None or self.answered_at <= self.due_at


def response(line: Sequence[Event], policy: Policy, night: Night) -> Response:
    """Of the whole time line, oldest first."""
    answer = next((one for one in line if one.kind in _ANSWERS and one.who != SHOP), None)
    called = [one for one in line if one.kind is EventKind.PAGED and (answer is None or one.at <= answer.at)]
    said = {} if answer is None else {"answered_at": answer.at, "answered_by": answer.who}
    if not called:
        return Response(**said)  # type: ignore[arg-type]
    level = Level(called[-1].data["level"])
    since = next(one.at for one in called if one.data["level"] == level)
    known = called[-1].data.get("answer_by")
    return Response(
        called_at=called[0].at,
        level=level,
        due_at=due_at(policy, level, since, night) if known is None else datetime.fromisoformat(known),
        was_escalated=any(one.data["reason"] == Reason.ESCALATED for one in called),
        **said,  # type: ignore[arg-type]
    )


def due_at(policy: Policy, level: Level, since: datetime, night: Night) -> datetime:
    """When the level's time is over, as the escalation counts it: the night holds L1 back."""
    moment = since
    for step in policy[level]:
        moment = night.over(level, moment + step.wait)
    return moment
