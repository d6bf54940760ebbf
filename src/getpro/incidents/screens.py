"""An incident on a phone: the page, its buttons, its answers; pure. HTML whose values are escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from getpro.incidents.escalation import Reason
from getpro.incidents.first_steps import first_steps
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
    Reason.STILL: None,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """All that a page shows."""

    incident: Incident
    signals: Sequence[SignalSeen]
    impact: Impact | None
    answer_by: datetime | None = None
    """When the level's time is over; None: nobody was called yet."""
    is_asked_still: bool = False
    """Whoever has taken it is asked whether they still work on it."""
    runbooks_url: str | None = None
    before: Change | None = None
    """What was done to the shop shortly before."""
    complaints: int = 0
    """Of how many customers."""
    told: int = 0
    """How many customers have been told how things stand."""
    owed: int = 0
    """Of these, how many do not hear by themselves that it works again: it was closed before it did."""
    closed: Sequence[str] = ()
    """What is not sold just now, in words."""


def page(
    shown: Shown, zone: ZoneInfo, *, now: datetime, reason: Reason = Reason.PAGE, is_repeat: bool = False
) -> str:
    """The verdict first: a locked phone shows no more."""
    one = shown.incident
    light = "🟢" if one.state is IncidentState.RESOLVED else LIGHTS[one.level]
    lines = [f"{light} <b>{one.level} · {_short(one.title)}</b>"]
    if one.state is IncidentState.OPEN and (why := _REASONS[reason]) is not None:
        lines.append(why)
    lines += _asked_still(shown)
    lines.append(
        f"№{one.incident_id} · с {clock(one.opened_at, zone, now=now)}{_state(shown, zone, now=now)}"
    )
    if is_repeat:
        lines.append("<i>повтор: первый раз мог не дойти</i>")
    lines += _came_back(one, zone, now=now)
    lines += _impact(shown, zone, now=now)
    lines += [f"⛔ {_short(what)}" for what in shown.closed]
    lines += _before(shown)
    lines += _signals(shown, zone, now=now)
    if one.state is IncidentState.RESOLVED:
        lines += ["", f"Причина: {_short(one.cause or '')}", f"Сделано: {_short(one.fix or '')}"]
    elif one.asked is not None:
        lines += ["", ASK_WHY if one.is_asked_why else ASK]
    elif one.closing_by is not None:
        lines += ["", f"⏳ {escape(one.closing_by)}: решён. Закроется, когда станет тихо."]
    return "\n".join(lines)


ASK: Final = "✍️ Ответьте на это сообщение: причина; что сделано."
"""With a semicolon, or each on a line of its own."""

ASK_WHY: Final = "✍️ Ответьте на это сообщение: почему закрыть, хотя не тихо."


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
    if shown.answer_by is None:
        return " · ждёт утра" if one.next_step_at is not None and one.next_step_at > now else ""
    return f" · ответ до {clock(shown.answer_by, zone, now=now)}"


def _asked_still(shown: Shown) -> list[str]:
    if not shown.is_asked_still or shown.incident.state is not IncidentState.TAKEN:
        return []
    return [f"⏰ {escape(shown.incident.taken_by or '')}, ещё занимаетесь? Без ответа зовём заново."]


def _came_back(one: Incident, zone: ZoneInfo, *, now: datetime) -> list[str]:
    """What was solved after the moment to which the database was brought back stands there unsolved."""
    if one.restored_to is None or one.state is not IncidentState.OPEN:
        return []
    return [f"⏪ База возвращена на {clock(one.restored_to, zone, now=now)}: возможно, уже решён"]


def _impact(shown: Shown, zone: ZoneInfo, *, now: datetime) -> list[str]:
    """Who waits now; of what is over, all who have waited."""
    lines = []
    if (impact := shown.impact) is not None:
        is_over = shown.incident.state is IncidentState.RESOLVED
        what = "Заплатили и ждали" if is_over else "Заплатили и ждут"
        orders = "" if impact.payments == impact.customers else f", заказов {impact.payments}"
        since = clock(impact.since, zone, now=now)
        lines.append(f"{what}: {impact.customers}{orders}, на {impact.roubles}, с {since}")
    customers = [
        f"{what}: {count}"
        for what, count in (("Жалуются", shown.complaints), ("им написали", shown.told))
        if count
    ]
    if customers:
        said = ", ".join(customers)
        lines.append(f"{said[:1].upper()}{said[1:]}")
    if shown.owed:
        lines.append(f"Закрыт не по тишине: «снова работает» не писали {shown.owed}, решите сами")
    return lines


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
    steps = _first_steps(runbook)
    if shown.runbooks_url is not None and runbook.endswith(".md"):
        return [*steps, f'→ <a href="{escape(shown.runbooks_url)}">Что делать</a>: {escape(_name(runbook))}']
    return [*steps, f"→ {_short(runbook)}"]


def _first_steps(runbook: str) -> list[str]:
    """What to look at and what to do about it, short: the page is one tap away."""
    steps = first_steps(runbook)
    if steps is None:
        return []
    command = [f"<code>{escape(steps.command)}</code>"] if steps.command else []
    return ["", f"1. {_short(steps.look)}", *command, f"2. {_short(steps.mend)}"]


def _name(runbook: str) -> str:
    return runbook.rpartition("/")[2].removesuffix(".md")


def _short(text: str) -> str:
    text = " ".join(text.replace("\0", "").split())
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def keyboard(shown: Shown) -> dict[str, Any]:
    """The buttons as the Bot API takes them.

    Also what is resolved leads to help, where something is not sold just now or customers wait for a word.
    """
    one = shown.incident
    up = [("Выше", f"up{one.level}")] if one.level is not Level.L3 else []
    asked = [[("Ещё не решён", "wait")]] if one.asked is not None else []
    help_row = [("Чем помочь", "help")]
    match one.state:
        case IncidentState.OPEN:
            rows = [
                [("Взять", "take")],
                [("Отложить 30 мин", "later"), *up],
                help_row,
                *(asked or [[("Решён", "done")]]),
            ]
        case IncidentState.TAKEN:
            end = ("Решён", "done") if one.closing_by is None else ("Закрыть всё равно", "force")
            still = [[("Занимаюсь", "still")]] if shown.is_asked_still else []
            rows = [*still, *(asked or [[end]]), help_row, [("Отпустить", "drop"), *up]]
        case _:
            rows = [help_row] if shown.closed or shown.owed else []
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
    lines += _asked_still(shown)
    lines.append(f"С {clock(one.opened_at, zone, now=now)}{_state(shown, zone, now=now)}")
    lines += _came_back(one, zone, now=now)
    lines += [f"{'горит' if s.is_firing else 'прошло'}: {s.title[:_LONGEST]}" for s in shown.signals[:_SHOWN]]
    lines += _impact(shown, zone, now=now)
    for runbook in [s.runbook for s in shown.signals[:1] if s.runbook]:
        steps = first_steps(runbook)
        lines += [said for said in (steps.look, steps.command, steps.mend) if said] if steps else []
        lines.append(f"Что делать: {runbook}")
    lines.append(f"Взять: 2getpro incident take {one.incident_id}, или кнопкой в Telegram")
    return title, "\n".join(lines)
