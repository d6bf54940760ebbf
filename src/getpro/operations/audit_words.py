"""The month's audit in words: a message for a phone, and the report; Russian, pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from getpro.checks.check import Finding, Level, worst
from getpro.incidents.words import plain
from getpro.operations.acceptance import WANTING
from getpro.operations.models import BY_SCHEDULE
from getpro.operations.report import LIGHTS

_MONTHS: Final = (
    "январь", "февраль", "март", "апрель", "май", "июнь",
    "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь",
)  # fmt: skip
BOXES: Final = {
    "access": "Проверка логов доступа",
    "suspicious": "Анализ подозрительной активности",
    "secrets": "Обновление паролей (если требуется)",
    "rights": "Проверка прав доступа",
    "api": "Аудит API ключей",
}
"""The guide's five, by how the names of their findings begin."""
_REST: Final = "Сверх руководства"
_WORDS: Final = {
    Level.WRONG: "неверно",
    Level.UNKNOWN: "не проверено",
    Level.ATTENTION: "внимание",
    Level.OK: "в порядке",
    Level.ABSENT: "—",
}
_SHOWN: Final = 5
_BREAK: Final = "  \n   "
"""A new line of the same item, in Markdown."""
_ACCEPTED: Final = "принято до "


@dataclass(frozen=True, slots=True)
class Changes:
    """What is not well, by name, against the audit before."""

    new: frozenset[str]
    still: frozenset[str]
    gone: tuple[Finding, ...]
    """As they were then."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody with rights, and when they used them last; None: not in half a year."""

    name: str
    roles: str
    acted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Aged:
    """A secret, and how long it may serve."""

    title: str
    name: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report is made of."""

    month: date
    made_at: datetime
    asked_by: str
    findings: Sequence[Finding]
    before: date | None
    """The month that it is held against."""
    changes: Changes | None
    """None where there is nothing to hold it against."""
    head: str
    """Of the audit log's chain."""
    people: Sequence[Member] = ()
    secrets: Sequence[Aged] = ()


def is_accepted(finding: Finding) -> bool:
    return finding.level is Level.ABSENT and finding.seen.startswith(_ACCEPTED)


def compared(before: Sequence[Finding], now: Sequence[Finding]) -> Changes:
    """Pure. What was accepted since is not gone."""
    was = {one.name for one in before if one.level in WANTING}
    wanting = {one.name for one in now if one.level in WANTING}
    accepted = {one.name for one in now if is_accepted(one)}
    gone = [
        one for one in before if one.level in WANTING and one.name not in wanting and one.name not in accepted
    ]
    return Changes(frozenset(wanting - was), frozenset(wanting & was), tuple(gone))


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """What is not well, the gravest first; of the same gravity in the guide's order."""
    order = list(Level)
    boxes = [*BOXES, ""]
    wanting = [one for one in findings if one.level in WANTING]
    return sorted(wanting, key=lambda one: (-order.index(one.level), boxes.index(_box(one))))


def in_month(month: date) -> str:
    """``ноябрь 2026``."""
    return f"{_MONTHS[month.month - 1]} {month.year}"


def message(facts: Facts, zone: ZoneInfo) -> str:
    """HTML for Telegram: the verdict, the gravest, what to do next; the rest is in the paper behind it."""
    wanting = ranked(facts.findings)
    when = f"{facts.made_at.astimezone(zone):%d.%m %H:%M}"
    lines = [
        f"{LIGHTS[worst(facts.findings)]} <b>Аудит безопасности: {in_month(facts.month)}</b>, {when}",
        escape(_counted(facts.findings)),
    ]
    if (against := _against(facts)) is not None:
        lines.append(escape(against))
    lines += ["", *(line for one in wanting[:_SHOWN] for line in _told(one, facts.changes))]
    if len(wanting) > _SHOWN:
        lines.append(f"…и ещё {len(wanting) - _SHOWN}: в отчёте")
    lines += [
        "",
        f"Журнал решений: {escape(facts.head)}",
        "Прочитали — подпишите: <code>2getpro ops audit --sign --by ИМЯ</code>",
    ]
    return "\n".join(lines)


def _told(finding: Finding, changes: Changes | None) -> Iterator[str]:
    mark = " (новое)" if changes is not None and finding.name in changes.new else ""
    yield f"{LIGHTS[finding.level]} {escape(finding.title)}{mark}: {escape(finding.seen)}"
    if finding.remedy:
        yield f"   → {escape(finding.remedy)}"


def _counted(findings: Sequence[Finding]) -> str:
    counts = [
        f"{_WORDS[level]} {count}"
        for level in (Level.WRONG, Level.UNKNOWN, Level.ATTENTION)
        if (count := sum(one.level is level for one in findings))
    ]
    accepted = sum(map(is_accepted, findings))
    return ", ".join([*counts, *([f"принято {accepted}"] if accepted else [])]) or "всё в порядке"


def _against(facts: Facts) -> str | None:
    if facts.before is None:
        return None
    if facts.changes is None:
        return f"Против: {in_month(facts.before)} уже забыт"
    new, still, gone = len(facts.changes.new), len(facts.changes.still), len(facts.changes.gone)
    return f"Против прежнего ({in_month(facts.before)}): новых {new}, осталось {still}, ушло {gone}"


def markdown(facts: Facts, zone: ZoneInfo) -> str:
    """The report, without a signature."""
    return "\n\n".join(_parts(facts, zone)) + "\n"


def _parts(facts: Facts, zone: ZoneInfo) -> Iterator[str]:
    yield f"# Аудит безопасности: {in_month(facts.month)}"
    by = "по расписанию" if facts.asked_by == BY_SCHEDULE else facts.asked_by
    rows = [
        ("Проверено", f"{facts.made_at.astimezone(zone):%d.%m.%Y %H:%M}, {by}"),
        ("Итог", _counted(facts.findings)),
        ("Сравнение", _against(facts) or "это первый аудит"),
        ("Журнал решений", f"кончается на {facts.head}"),
    ]
    yield _table(("", ""), rows)
    yield "## Что исправить"
    yield "\n".join(_numbered(ranked(facts.findings), facts.changes)) or "Нечего."
    if facts.changes is not None and facts.changes.gone:
        yield "## Прошло с прошлого раза"
        yield "\n".join(f"- {plain(one.title)}: {plain(one.seen)}" for one in facts.changes.gone)
    if accepted := [one for one in facts.findings if is_accepted(one)]:
        yield "## Принято людьми"
        yield "\n".join(
            f"- {plain(one.title)}: {plain(one.seen)}. Имя: `{_code(one.name)}`" for one in accepted
        )
    for number, (box, title) in enumerate(BOXES.items(), 1):
        yield f"## {number}. {title}"
        yield _checked([one for one in facts.findings if _box(one) == box])
    yield f"## {_REST}"
    yield _checked([one for one in facts.findings if not _box(one)])
    if facts.people:
        yield "## Люди и их права"
        people = [(plain(one.name), one.roles, _day(one.acted_at, zone)) for one in facts.people]
        yield _table(("Кто", "Роли", "Действовал"), people)
    if facts.secrets:
        yield "## Секреты и их сроки"
        ages = [
            (one.title, f"`{one.name}`", _day(one.since, zone), _day(one.until, zone))
            for one in facts.secrets
        ]
        yield _table(("Секрет", "Имя", "Известен с", "Служит до"), ages)


def _numbered(wanting: Sequence[Finding], changes: Changes | None) -> Iterator[str]:
    for number, one in enumerate(wanting, 1):
        mark = ", новое" if changes is not None and one.name in changes.new else ""
        lines = [f"{number}. **{plain(one.title)}** ({_WORDS[one.level]}{mark}): {plain(one.seen)}"]
        if one.remedy:
            lines.append(f"→ {plain(one.remedy)}")
        yield _BREAK.join([*lines, f"Имя: `{_code(one.name)}`"])


def _checked(findings: Sequence[Finding]) -> str:
    rows = [(plain(one.title), _WORDS[one.level], plain(one.seen)) for one in findings]
    return _table(("Что", "Итог", "Видно"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _day(moment: datetime | None, zone: ZoneInfo) -> str:
    return "полгода ничего" if moment is None else f"{moment.astimezone(zone):%d.%m.%Y}"


def _box(finding: Finding) -> str:
    """Empty for what the guide has no box for."""
    name = finding.name.partition(".")[0]
    return name if name in BOXES else ""


def _code(name: str) -> str:
    """A name may have a person's in it, and no code of Markdown has a backtick inside."""
    return name.replace("`", "'")
