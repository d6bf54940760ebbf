"""Pictures for a phone: charts with the figures written on them, drawn by Typst."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

_WEEKDAYS: Final = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")
_MONTHS: Final = (
    "января", "февраля", "марта", "апреля", "мая", "июня",
    "июля", "августа", "сентября", "октября", "ноября", "декабря",
)  # fmt: skip
_HEIGHT: Final = 120
"""Points, of the tallest bar."""
_THOUSAND: Final = 1000
_LONGEST_WHOLE: Final = 100 * _THOUSAND
_PAGE: Final = """
#set page(width: 360pt, height: auto, margin: (x: 12pt, y: 14pt), fill: white)
#set text(font: "Libertinus Serif", size: 13pt, lang: "ru", fill: rgb("#1b2733"))
#set par(leading: 0.5em)
"""
_NOW: Final = 'rgb("#1f6fb2")'
_BEFORE: Final = 'rgb("#d5dbe1")'
_BAD: Final = 'rgb("#b3261e")'
_BEFORE_EDGE: Final = 'rgb("#7d8894")'


@dataclass(frozen=True, slots=True)
class Bars:
    """A figure by day: of a week, and of the week before it, the same weekdays."""

    title: str
    now: Sequence[float]
    before: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure with its name below."""

    name: str
    value: float
    is_good: bool


def one_by_one(title: str, bars: Sequence[Bar]) -> str:
    """Typst's source: one bar each, at most twelve; what is not good is in red and says so by its mark."""
    tallest = max((bar.value for bar in bars), default=0) or 1
    cells = ",\n".join(_single(bar, tallest) for bar in bars)
    grid = f"#grid(columns: (1fr,) * {max(len(bars), 1)}, align: bottom + center, {cells})" if bars else "—"
    return "\n".join([_PAGE, f'#text(size: 16pt, weight: "bold")[{title}]', "#v(8pt)", grid])


def _single(bar: Bar, tallest: float) -> str:
    colour = _NOW if bar.is_good else _BAD
    mark = "" if bar.is_good else "✗ "
    return (
        f"stack(dir: ttb, text(size: 11pt, fill: {colour})[{mark}{_short(bar.value)}], 4pt,"
        f" rect(width: 16pt, height: {bar.value / tallest * _HEIGHT:.1f}pt, fill: {colour}, stroke: none),"
        f" line(length: 100%, stroke: 0.7pt + {_BEFORE_EDGE}), 4pt, text(size: 11pt)[{bar.name}])"
    )


def week_against_week(charts: Sequence[Bars], first_day: date, last_day: date) -> str:
    """Typst's source. ``first_day`` and ``last_day`` are those of the later week."""
    span = f"{_in_words(first_day)} – {_in_words(last_day)}"
    key = (
        f"#box(width: 10pt, height: 10pt, fill: {_NOW}) {span} (с цифрами) #h(6pt)"
        f" #box(width: 10pt, height: 10pt, fill: {_BEFORE}, stroke: 0.7pt + {_BEFORE_EDGE}) неделей раньше"
    )
    days = [_WEEKDAYS[(first_day.weekday() + number) % 7] for number in range(7)]
    return "\n".join([_PAGE, key, *(_chart(chart, days) for chart in charts)])


def _chart(chart: Bars, days: Sequence[str]) -> str:
    tallest = max((*chart.now, *chart.before), default=0) or 1
    columns = zip(days, chart.now, chart.before, strict=True)
    cells = ",\n".join(_column(day, now, before, tallest) for day, now, before in columns)
    return (
        f'#v(8pt)\n#text(size: 16pt, weight: "bold")[{chart.title}]\n'
        f"#grid(columns: (1fr,) * 7, align: bottom + center, row-gutter: 0pt, {cells})"
    )


def _column(day: str, now: float, before: float, tallest: float) -> str:
    """The figure, two bars that begin at zero, the day."""
    heights = (before / tallest * _HEIGHT, now / tallest * _HEIGHT)
    return (
        f"stack(dir: ttb, text(size: 12pt, fill: {_NOW})[{_short(now)}], 4pt,"
        " grid(columns: (14pt, 20pt), column-gutter: 1pt, align: bottom,"
        f" rect(width: 14pt, height: {heights[0]:.1f}pt, fill: {_BEFORE}, stroke: 0.7pt + {_BEFORE_EDGE}),"
        f" rect(width: 20pt, height: {heights[1]:.1f}pt, fill: {_NOW}, stroke: none)),"
        f" line(length: 100%, stroke: 0.7pt + {_BEFORE_EDGE}), 4pt, text(size: 12pt)[{day}])"
    )


def _short(value: float) -> str:
    """At most six signs: 12 345, 123 тыс, 1,2 млн."""
    if value >= _THOUSAND**2:
        return f"{value / _THOUSAND**2:.1f} млн".replace(".", ",")
    if value >= _LONGEST_WHOLE:
        return f"{value / _THOUSAND:.0f} тыс"
    return f"{value:,.0f}".replace(",", "\u00a0")


def _in_words(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]}"
