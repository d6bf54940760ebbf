"""What whoever comes on call, and whoever leaves, reads on a phone; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from getpro.incidents.states import IncidentState
from getpro.incidents.store import Incident
from getpro.incidents.team import Person
from getpro.incidents.words import LIGHTS, clock

_SHOWN: Final = 8
_LONGEST: Final = 80
"""Of a title: a locked phone shows the first of them whole."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """The duty has passed on, as one of the two sees it."""

    comes: bool
    """The reader is on call from now on; else they were."""
    other: Person | None
    """Who was on call before, or is now; None: nobody alone."""
    until: datetime | None
    name: str
    """The reader's, in the team."""
    open: Sequence[Incident]
    """What is not resolved, the newest first."""
    is_repeat: bool


def hand_over(shown: HandOver, zone: ZoneInfo, *, now: datetime) -> str:
    """HTML, whose first line is what a locked phone shows."""
    title, *lines = (escape(line) for line in _lines(shown, zone, now=now))
    return "\n".join([f"<b>{title}</b>", *lines])


def hand_over_in_plain(shown: HandOver, zone: ZoneInfo, *, now: datetime) -> tuple[str, str]:
    """A title and a text, for mail and the like."""
    title, *lines = _lines(shown, zone, now=now)
    return title, "\n".join(lines)


def _lines(shown: HandOver, zone: ZoneInfo, *, now: datetime) -> list[str]:
    until = "" if shown.until is None else f" до {clock(shown.until, zone, now=now)}"
    lines = []
    if shown.comes:
        lines.append(f"Вы дежурите{until}")
        if shown.other is not None:
            lines.append(f"До вас: {shown.other.name}")
    elif shown.other is None:
        lines += ["Ваше дежурство окончено", "По графику теперь никто: зовём всех дежурных инженеров"]
    else:
        lines += ["Ваше дежурство окончено", f"Дальше {shown.other.name}{until}"]
    if shown.is_repeat:
        lines.append("повтор: первый раз могло не дойти")
    lines += ["", *_matters(shown, zone, now=now)]
    held = [f"№{one.incident_id}" for one in shown.open if one.taken_by == shown.name]
    if held and not shown.comes:
        lines += ["", f"За вами остаётся: {', '.join(held)}. Отдать: кнопка «Отпустить»."]
    return lines


def _matters(shown: HandOver, zone: ZoneInfo, *, now: datetime) -> list[str]:
    if not shown.open:
        return ["Открытых дел нет."]
    lines = [f"Открытых дел: {len(shown.open)}"]
    for one in shown.open[:_SHOWN]:
        title = " ".join(one.title.split())
        cut = title if len(title) <= _LONGEST else f"{title[:_LONGEST]}…"
        lines += [f"{LIGHTS[one.level]} №{one.incident_id} {one.level} · {cut}", _stands(one, zone, now=now)]
    if len(shown.open) > _SHOWN:
        lines.append(f"И ещё {len(shown.open) - _SHOWN}. Все: /incident")
    return lines


def _stands(one: Incident, zone: ZoneInfo, *, now: datetime) -> str:
    """Whose it is, or when somebody is called about it next."""
    if one.state is IncidentState.TAKEN:
        since = "" if one.taken_at is None else f" в {clock(one.taken_at, zone, now=now)}"
        return f"взял {one.taken_by}{since}"
    if one.snoozed_until is not None and one.snoozed_until > now:
        return f"отложен до {clock(one.snoozed_until, zone, now=now)}"
    if one.quiet_since is not None:
        return f"не взят, сигналов нет с {clock(one.quiet_since, zone, now=now)}"
    if one.next_step_at is not None and one.next_step_at > now:
        return f"не взят, зовём снова в {clock(one.next_step_at, zone, now=now)}"
    return "не взят, зовём сейчас"
