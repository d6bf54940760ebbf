"""The incident report and the post-mortem, drafted from what is known; Markdown in Russian, pure.

What only people know is asked for in italics. What the shop knows already it does not ask.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from getpro.incidents.actions import Action, section
from getpro.incidents.impact import Impact, Trade, in_roubles
from getpro.incidents.response import Response
from getpro.incidents.states import EventKind, IncidentState, Level
from getpro.incidents.store import Event, Incident, SignalSeen
from getpro.incidents.words import STATES, plain, span

REPORT: Final = "report"
POST_MORTEM: Final = "post_mortem"
TITLES: Final = {REPORT: "Отчёт об инциденте", POST_MORTEM: "Разбор инцидента"}
_GATHERED: Final = {EventKind.SIGNAL: "Ещё сигналы", EventKind.OVER: "Прошли сигналы"}
_MANY: Final = 4
"""So many of a kind in a row are one line: a storm is not read signal by signal."""
_LEFT_OUT: Final = {EventKind.DELIVERED, EventKind.REFUSED}
_LEVELS: Final = {
    Level.L1: "небольшой",
    Level.L2: "серьёзный",
    Level.L3: "критический",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the shop knows of an incident."""

    incident: Incident
    signals: Sequence[SignalSeen]
    line: Sequence[Event]
    response: Response
    actions: Sequence[Action]
    impact: Impact | None
    """All whom it has touched; None where that is nobody."""
    trade: Trade
    purchases: tuple[int, int] | None
    """Synthetic purchases made and failed while it lasted; None: none are made."""
    until: datetime
    """When it was resolved, or now."""

    @property
    def began_at(self) -> datetime:
        return min([self.incident.opened_at, *(one.began_at for one in self.signals)])


def draft(kind: str, facts: Facts, zone: ZoneInfo) -> str:
    """The Markdown of a document that nobody has edited yet."""
    parts = _report(facts, zone) if kind == REPORT else _post_mortem(facts, zone)
    return "\n\n".join(parts) + "\n"


def _report(facts: Facts, zone: ZoneInfo) -> Iterator[str]:
    one = facts.incident
    yield f"# {TITLES[REPORT]} №{one.incident_id}: {plain(one.title)}"
    yield _table(_summary(facts, zone))
    yield "## Что случилось"
    yield _cause(one)
    yield "## Влияние"
    yield _bullets(_impact(facts, zone))
    yield "## Обнаружение"
    yield _bullets(_detection(facts, zone))
    yield "## Ответ"
    yield _bullets(_answer(facts, zone))
    yield "## Решение"
    yield _bullets(_resolution(facts, zone))
    yield "## Хроника"
    yield _time_line(facts, zone)


def _post_mortem(facts: Facts, zone: ZoneInfo) -> Iterator[str]:
    one = facts.incident
    yield f"# {TITLES[POST_MORTEM]} №{one.incident_id}: {plain(one.title)}"
    yield _table(_summary(facts, zone))
    yield "> Ищем, что в системе позволило этому случиться, а не кто виноват."
    yield "## Влияние"
    yield _bullets(_impact(facts, zone))
    yield "## Обнаружение"
    yield _bullets(_detection(facts, zone))
    yield "## Ответ"
    yield _bullets(_answer(facts, zone))
    yield "## Причина и решение"
    yield _cause(one)
    yield _bullets(_resolution(facts, zone))
    yield "*Почему это стало возможно? Спросите «почему» ещё раз о каждом ответе.*"
    yield "## Что прошло хорошо"
    yield _bullets([*_well(facts), "*допишите*"])
    yield "## Что прошло плохо"
    yield _bullets([*_badly(facts), "*допишите*"])
    yield "## Где повезло"
    yield _bullets(["*что могло быть хуже, и что нас спасло?*"])
    yield section(facts.actions)


def _summary(facts: Facts, zone: ZoneInfo) -> list[tuple[str, str]]:
    one = facts.incident
    rows = [
        ("Уровень", f"**{one.level}**, {_LEVELS[one.level]}"),
        ("Началось", _moment(facts.began_at, zone)),
    ]
    if one.state is IncidentState.RESOLVED:
        rows += [
            ("Решено", _moment(facts.until, zone)),
            ("Длилось", span(facts.until - facts.began_at)),
            ("Решил", plain(one.resolved_by) if one.resolved_by else "прошло само"),
        ]
    else:
        rows.append(("Сейчас", STATES[one.state]))
    return rows


def _cause(one: Incident) -> str:
    return _bullets([
        f"**Причина:** {plain(one.cause) if one.cause else '*ещё не сказана*'}",
        f"**Что сделано:** {plain(one.fix) if one.fix else '*ещё не сказано*'}",
    ])  # fmt: skip


def _impact(facts: Facts, zone: ZoneInfo) -> Iterator[str]:
    if (touched := facts.impact) is not None:
        since = _clock(touched.since, facts, zone)
        yield f"Заплатили и ждали доступа: **{touched.customers}**, на **{touched.roubles}**, с {since}"
    else:
        yield "Тех, кто заплатил и ждал доступа дольше обычного, не было"
    trade = facts.trade
    amount = in_roubles(trade.amount)
    yield f"За это время оплачено {trade.paid}, на {amount}; не оплачено заказов {trade.unpaid}"
    if facts.purchases is not None and facts.purchases[0]:
        made, failed = facts.purchases
        yield f"Пробных покупок {made}, не прошли {failed}"


def _detection(facts: Facts, zone: ZoneInfo) -> Iterator[str]:
    one = facts.incident
    known = one.opened_at
    yield (
        f"Началось {_moment(facts.began_at, zone)}, узнали {_clock(known, facts, zone)}:"
        f" через {span(known - facts.began_at)}"
    )
    if one.opened_by is not None:
        yield f"Заметил человек: {plain(one.opened_by)}. *Началось раньше? Исправьте*"
    if facts.signals:
        first = min(facts.signals, key=lambda signal: signal.first_seen_at)
        yield f"Первый сигнал: {plain(first.title)}; всего сигналов {sum(s.times for s in facts.signals)}"


def _answer(facts: Facts, zone: ZoneInfo) -> Iterator[str]:
    found = facts.response
    if found.called_at is None:
        yield "Звать не пришлось" if found.answered_at else "Никого не позвали"
    else:
        yield f"Позвали {_clock(found.called_at, facts, zone)}"
    if found.answered_at is not None and found.answered_by is not None:
        took = span(found.answered_at - (found.called_at or facts.incident.opened_at))
        yield f"Ответил {plain(found.answered_by)} {_clock(found.answered_at, facts, zone)}: через {took}"
    if found.due_at is not None and found.level is not None and found.is_kept is not None:
        kept = "уложились" if found.is_kept else "**не уложились**"
        yield f"Срок {found.level}: до {_clock(found.due_at, facts, zone)}, {kept}"
    for event in facts.line:
        if event.kind is EventKind.LEVEL:
            yield f"{_clock(event.at, facts, zone)} {plain(event.words)}"


def _resolution(facts: Facts, zone: ZoneInfo) -> Iterator[str]:
    one = facts.incident
    if one.resolved_at is None:
        yield "Ещё не решён"
        return
    who = f", {plain(one.resolved_by)}" if one.resolved_by else ""
    took = span(one.resolved_at - one.opened_at)
    yield f"Решён {_moment(one.resolved_at, zone)}{who}: через {took} после того, как узнали"
    for event in facts.line:
        if event.kind is EventKind.FORCED:
            yield f"**{plain(event.words)}**"


def _well(facts: Facts) -> Iterator[str]:
    if facts.incident.opened_by is None and facts.incident.opened_at - facts.began_at < timedelta(minutes=5):
        yield f"Узнали сами, через {span(facts.incident.opened_at - facts.began_at)}"
    found = facts.response
    if found.is_kept and found.answered_at is not None and found.called_at is not None:
        yield f"Ответили в срок, через {span(found.answered_at - found.called_at)}"
    if facts.impact is None:
        yield "Никто из заплативших не остался без доступа"


def _badly(facts: Facts) -> Iterator[str]:
    late = facts.incident.opened_at - facts.began_at
    if late >= timedelta(minutes=5):
        yield f"Узнали только через {span(late)}"
    if facts.incident.opened_by is not None:
        yield "Заметил человек, а не проверка"
    if facts.response.is_kept is False:
        yield "В срок уровня не ответили"
    failed = {event.words.partition(": ")[2] for event in facts.line if event.words.startswith("Не дошло: ")}
    yield from (f"Вызов не дошёл: {plain(words)}" for words in sorted(failed))
    if any(event.kind is EventKind.FORCED for event in facts.line):
        yield "Закрыли, хотя не было тихо"


def _time_line(facts: Facts, zone: ZoneInfo) -> str:
    rows = []
    for events in _gathered([one for one in facts.line if one.kind not in _LEFT_OUT]):
        first = events[0]
        words = first.words
        if len(events) >= _MANY:
            words = f"{_GATHERED[first.kind]}: {len(events)}, до {_clock(events[-1].at, facts, zone)}"
        rows.append((_clock(first.at, facts, zone), plain(first.who), plain(words)))
    return _table(rows, head=("Когда", "Кто", "Что"))


def _gathered(line: Sequence[Event]) -> Iterator[list[Event]]:
    waiting: list[Event] = []
    for one in line:
        if waiting and one.kind is waiting[0].kind and one.kind in _GATHERED:
            waiting.append(one)
            continue
        yield from _together(waiting)
        waiting = [one]
    yield from _together(waiting)


def _together(those: list[Event]) -> Iterator[list[Event]]:
    if len(those) >= _MANY:
        yield those
    else:
        yield from ([one] for one in those)


def _table(rows: Sequence[Sequence[str]], *, head: Sequence[str] | None = None) -> str:
    width = len(rows[0]) if rows else len(head or ())
    lines = [head or [""] * width, ["---"] * width, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(lines: Sequence[str] | Iterator[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%d.%m.%Y %H:%M}"


def _clock(at: datetime, facts: Facts, zone: ZoneInfo) -> str:
    """``14:05``, on another day than it began ``29.11 14:05``."""
    local = at.astimezone(zone)
    is_same = local.date() == facts.began_at.astimezone(zone).date()
    return f"{local:%H:%M}" if is_same else f"{local:%d.%m %H:%M}"
