"""An incident on a phone: the page, its buttons, its answers; pure. HTML whose values are escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from getpro.incidents.escalation import Reason
from getpro.incidents.impact import Impact
from getpro.incidents.states import IncidentState, Level
from getpro.incidents.store import Incident, SignalSeen
from getpro.incidents.words import LIGHTS, clock, span
from getpro.platform.changes import Change

PREFIX: Final = "inc"
SNOOZE: Final = timedelta(minutes=30)
_SHOWN: Final = 5
_LONGEST: Final = 160
"""Of a line: so that what matters is on the phone's first screen."""
_REASONS: Final = {
    Reason.PAGE: None,
    Reason.REMINDER: "⏰ Напоминание: никто не взял",
    Reason.ESCALATED: "⬆️ Прежний уровень не ответил",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """All that a page shows."""

    incident: Incident
    signals: Sequence[SignalSeen]
    impact: Impact | None
    limit: timedelta
    """The level's."""
    runbooks_url: str | None = None
    before: Change | None = None
    """What was done to the shop shortly before."""


def page(
    shown: Shown, zone: ZoneInfo, *, now: datetime, reason: Reason = Reason.PAGE, is_repeat: bool = False
) -> str:
    """The verdict first: a locked phone shows no more."""
    one = shown.incident
    light = "🟢" if one.state is IncidentState.RESOLVED else LIGHTS[one.level]
    lines = [f"{light} <b>{one.level} · {_short(one.title)}</b>"]
    if one.state is IncidentState.OPEN and (why := _REASONS[reason]) is not None:
        lines.append(why)
    lines.append(
        f"№{one.incident_id} · с {clock(one.opened_at, zone, now=now)}{_state(shown, zone, now=now)}"
    )
    if is_repeat:
        lines.append("<i>повтор: первый раз мог не дойти</i>")
    lines += _came_back(one, zone, now=now)
    lines += _impact(shown.impact, zone, now=now)
    lines += _before(shown)
    lines += _signals(shown, zone, now=now)
    if one.state is IncidentState.RESOLVED:
        lines += ["", f"Причина: {_short(one.cause or '')}", f"Сделано: {_short(one.fix or '')}"]
    elif one.asked is not None:
        lines += ["", ASK]
    return "\n".join(lines)


ASK: Final = "✍️ Ответьте на это сообщение: причина; что сделано."
"""With a semicolon, or each on a line of its own."""


def _state(shown: Shown, zone: ZoneInfo, *, now: datetime) -> str:
    one = shown.incident
    match one.state:
        case IncidentState.TAKEN:
            assert one.taken_at is not None
            return f" · взял {escape(one.taken_by or '')} в {clock(one.taken_at, zone, now=now)}"
        case IncidentState.RESOLVED:
            assert one.resolved_at is not None
            who = f", {escape(one.resolved_by)}" if one.resolved_by else ""
            at = clock(one.resolved_at, zone, now=now)
            return f" · решён в {at}{who}, за {span(one.resolved_at - one.opened_at)}"
    if one.snoozed_until is not None and one.snoozed_until > now:
        return f" · отложен до {clock(one.snoozed_until, zone, now=now)}"
    if one.called_at is None:
        return " · ждёт утра" if one.next_step_at is not None and one.next_step_at > now else ""
    return f" · ответ до {clock(one.called_at + shown.limit, zone, now=now)}"


def _came_back(one: Incident, zone: ZoneInfo, *, now: datetime) -> list[str]:
    """What was solved after the moment to which the database was brought back stands there unsolved."""
    if one.restored_to is None or one.state is not IncidentState.OPEN:
        return []
    return [f"⏪ База возвращена на {clock(one.restored_to, zone, now=now)}: возможно, уже решён"]


def _impact(impact: Impact | None, zone: ZoneInfo, *, now: datetime) -> list[str]:
    if impact is None or not impact.customers:
        return []
    since = clock(impact.since, zone, now=now)
    return [f"Заплатили и ждут: {impact.customers}, на {impact.roubles}, с {since}"]


def _before(shown: Shown) -> list[str]:
    """Who answers asks first what was changed."""
    if shown.before is None or shown.incident.state is IncidentState.RESOLVED:
        return []
    ago = span(shown.incident.opened_at - shown.before.at)
    return [f"За {ago} до этого: {_short(shown.before.words)}"]


def _signals(shown: Shown, zone: ZoneInfo, *, now: datetime) -> list[str]:
    signals = shown.signals
    if not signals:
        return []
    firing = sum(one.is_firing for one in signals)
    times = sum(one.times for one in signals)
    lines = []
    if shown.incident.state is not IncidentState.RESOLVED and not firing:
        ended = max(one.over_at for one in signals if one.over_at is not None)
        lines.append(f"🟢 Сигналов больше нет с {clock(ended, zone, now=now)}")
    if times > 1:
        lines += [
            "",
            f"Сигналов: {len(signals)}, горит {firing}"
            + (f", всего раз {times}" if times > len(signals) else ""),
        ]
        lines += [_signal(one) for one in signals[:_SHOWN]]
        if len(signals) > _SHOWN:
            lines.append(f"И ещё {len(signals) - _SHOWN}.")
    if shown.incident.state is not IncidentState.RESOLVED:
        lines += _what_to_do(shown)
    return lines


def _signal(one: SignalSeen) -> str:
    return f"{'•' if one.is_firing else '✓'} {_short(one.title)}"


def _what_to_do(shown: Shown) -> list[str]:
    runbook = next((one.runbook for one in shown.signals if one.runbook), None)
    if runbook is None:
        return []
    if shown.runbooks_url is not None and runbook.endswith(".md"):
        return [f'→ <a href="{escape(shown.runbooks_url)}">Что делать</a>: {escape(_name(runbook))}']
    return [f"→ {_short(runbook)}"]


def _name(runbook: str) -> str:
    return runbook.rpartition("/")[2].removesuffix(".md")


def _short(text: str) -> str:
    text = " ".join(text.replace("\0", "").split())
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def keyboard(one: Incident) -> dict[str, Any] | None:
    """The buttons as the Bot API takes them; None where there is nothing to be done any more."""
    up = [("Выше", "up")] if one.level is not Level.L3 else []
    match one.state:
        case IncidentState.OPEN:
            rows = [[("Взять", "take")], [("Отложить 30 мин", "later"), *up], [("Решён", "done")]]
        case IncidentState.TAKEN:
            rows = [[("Решён", "done")], [("Отпустить", "drop"), *up]]
        case _:
            return {"inline_keyboard": []}
    return {
        "inline_keyboard": [
            [{"text": text, "callback_data": f"{PREFIX}:{deed}:{one.incident_id}"} for text, deed in row]
            for row in rows
        ]
    }


def superseded(one: Incident) -> str:
    """What an older message of the same incident's becomes: the newest one is below."""
    return f"№{one.incident_id} · {_short(one.title)}\nНовое сообщение об этом ниже."


def in_plain(
    shown: Shown, zone: ZoneInfo, *, now: datetime, reason: Reason, is_repeat: bool
) -> tuple[str, str]:
    """A title and a text without HTML, for mail and the like."""
    one = shown.incident
    title = f"{one.level} №{one.incident_id}: {' '.join(one.title.split())[:_LONGEST]}"
    lines = [
        why for why in (_REASONS[reason], "Повтор: первый раз мог не дойти" if is_repeat else None) if why
    ]
    lines.append(f"С {clock(one.opened_at, zone, now=now)}{_state(shown, zone, now=now)}")
    lines += _came_back(one, zone, now=now)
    lines += [f"{'горит' if s.is_firing else 'прошло'}: {s.title[:_LONGEST]}" for s in shown.signals[:_SHOWN]]
    lines += [f"Что делать: {s.runbook}" for s in shown.signals[:1] if s.runbook]
    lines.append(f"Взять: 2getpro incident take {one.incident_id}, или кнопкой в Telegram")
    return title, "\n".join(lines)
