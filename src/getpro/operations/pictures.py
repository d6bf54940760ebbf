"""Pictures for a phone: charts with the figures written on them, drawn by Typst."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from getpro.operations.units import Unit

_WEEKDAYS: Final = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")
_MONTHS: Final = (
    "января", "февраля", "марта", "апреля", "мая", "июня",
    "июля", "августа", "сентября", "октября", "ноября", "декабря",
)  # fmt: skip
MONTHS_SHORT: Final = (
    "янв", "фев", "мар", "апр", "май", "июн", "июл", "авг", "сен", "окт", "ноя", "дек",
)  # fmt: skip
_HEIGHT: Final = 120
"""Points, of the tallest bar."""
_AXIS: Final = 46.0
_PLOT: Final = (284.0, 104.0)
"""Points: what stands left of a curve's field, and the field's width and height."""
_LABEL: Final = 13.0
_ABOVE: Final = 17.0
_TICKS: Final = 4
_NICE: Final = (1, 2, 2.5, 5, 10)
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
_VEIL: Final = 'rgb("#ffffffcc")'
"""Behind figures that stand on a line."""
_MAYBE: Final = 'rgb("#cfe2f3")'


@dataclass(frozen=True, slots=True)
class Bars:
    """A figure by day, by way of paying …: of this time and of the time before it. At most seven."""

    title: str
    now: Sequence[float]
    before: Sequence[float]
    names: Sequence[str] = ()
    """Below the bars; in a chart of a week its days."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure with its name below."""

    name: str
    value: float
    is_good: bool = True


@dataclass(frozen=True, slots=True)
class Ahead:
    """A day to come: what is expected, and between what it will be."""

    day: date
    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure by day, and where it goes."""

    title: str
    unit: Unit
    past: Sequence[tuple[date, float]]
    """At least one, oldest first."""
    ahead: Sequence[Ahead] = ()
    """From the past's last day on, oldest first."""
    limit: float | None = None
    """What it must not reach: lines are drawn at 80, 90 and 100 % of it."""


def one_by_one(title: str, bars: Sequence[Bar]) -> str:
    """Typst's source of a picture with one such chart."""
    return page(singles(title, bars))


def growing(title: str, bars: Sequence[Bar], curves: Sequence[Curve], *, shades: str) -> str:
    """Typst's source: the bars, and below them the curves; ``shades`` says what those mean."""
    below = ["#v(6pt)", f"#text(size: 12pt, {_quoted(shades)})"] if curves else []
    return page(singles(title, bars), *below, *(_curve(curve) for curve in curves))


def _curve(curve: Curve) -> str:
    """The past as a line, what is to come as a broken one in a band; figures where each ends."""
    (width, height), (first, _), (today, last) = _PLOT, curve.past[0], curve.past[-1]
    end = curve.ahead[-1].day if curve.ahead else today
    ticks = _ticks(curve)
    top = ticks[-1][0] or 1.0
    days = max(1, (end - first).days)

    def at(day: date, value: float) -> str:
        """Where it is drawn; what is beyond the field stands at its edge."""
        x, y = (day - first).days / days * width, height * (1 - min(value, top) / top)
        return f"({x:.1f}pt, {y:.1f}pt)"

    def path(points: Sequence[str], style: str, *, is_closed: bool = False) -> str:
        moves = [f"curve.move({points[0]})", *(f"curve.line({point})" for point in points[1:])]
        return f"place(curve({style}, {', '.join(moves)}{', curve.close()' if is_closed else ''}))"

    drawn = []
    for value, name, is_limit in ticks:
        y = height * (1 - value / top)
        colour = _BAD if is_limit else _BEFORE_EDGE if value == 0 else _BEFORE
        drawn += [
            f"place(dy: {y:.1f}pt, line(length: {width}pt, stroke: 0.7pt + {colour}))",
            (
                f"place(dx: -{_AXIS}pt, dy: {y - _LABEL / 2:.1f}pt, box(width: {_AXIS - 4}pt,"
                f" align(right, text(size: 10.5pt, {_quoted(name)}))))"
            ),
        ]
    for day in _months_between(first, end):
        x, name = (day - first).days / days * width, MONTHS_SHORT[day.month - 1]
        drawn += [
            f"place(dx: {x:.1f}pt, dy: {height}pt, line(angle: 90deg, length: 4pt, stroke: {_BEFORE_EDGE}))",
            (
                f"place(dx: {x - 20:.1f}pt, dy: {height + 6}pt,"
                f" box(width: 40pt, align(center, text(size: 10.5pt)[{name}])))"
            ),
        ]
    if curve.ahead:
        band = [at(one.day, one.high) for one in curve.ahead]
        band += [at(one.day, one.low) for one in reversed(curve.ahead)]
        drawn.append(path(band, f"fill: {_MAYBE}", is_closed=True))
        style = f'stroke: (paint: {_NOW}, thickness: 1.5pt, dash: "dashed")'
        drawn.append(path([at(one.day, one.expected) for one in curve.ahead], style))
        far = curve.ahead[-1]
        drawn.append(
            _figure(curve.unit.short(far.expected), width, (far.low / top, far.high / top), is_end=True)
        )
    drawn.append(path([at(day, value) for day, value in curve.past], f"stroke: 2pt + {_NOW}"))
    x, share = (today - first).days / days * width, last / top
    drawn.append(_figure(curve.unit.short(last), x, (share, share), is_end=not curve.ahead))
    inside = "; ".join(drawn)
    return (
        f'#v(10pt)\n#text(size: 16pt, weight: "bold", {_quoted(curve.title)})\n#v(4pt)\n'
        f"#pad(left: {_AXIS}pt, box(width: {width}pt, height: {height + 20}pt, {{ {inside} }}))"
    )


def _figure(words: str, x: float, between: tuple[float, float], *, is_end: bool) -> str:
    """Above what is drawn there, or below where there is no room above; ``between`` by the field's height."""
    low, high = (_PLOT[1] * (1 - min(share, 1.0)) for share in between)
    y = high - _ABOVE if high > _ABOVE + 5 else low + 9
    side, left = ("right", x - 90) if is_end else ("center", x - 45)
    figure = f'text(size: 12pt, weight: "bold", fill: {_NOW}, {_quoted(words)})'
    veiled = f"box(fill: {_VEIL}, outset: 1pt, {figure})"
    return f"place(dx: {left:.1f}pt, dy: {y:.1f}pt, box(width: 90pt, align({side}, {veiled})))"


def _ticks(curve: Curve) -> list[tuple[float, str, bool]]:
    """Where lines lie across, the last on top; their names; whether it is the limit's."""
    if curve.limit is not None:
        shares = (0, 0.5, 0.8, 0.9, 1)
        return [(share * curve.limit, f"{share:.0%}" if share else "0", share == 1) for share in shares]
    tallest = max(*(value for _, value in curve.past), *(one.high for one in curve.ahead), 0.0) or 1.0
    divisor, _ = curve.unit.scale(tallest)
    step = _nice(tallest / divisor / _TICKS) * divisor
    count = math.ceil(tallest / step)
    return [
        (number * step, curve.unit.short(number * step) if number else "0", False)
        for number in range(count + 1)
    ]


def _nice(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 and 10 of a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(one * power for one in _NICE if one * power >= least * (1 - 1e-9))


def _months_between(first: date, last: date) -> Iterator[date]:
    month = (first.replace(day=1) + timedelta(days=31)).replace(day=1)
    while month <= last:
        yield month
        month = (month + timedelta(days=31)).replace(day=1)


def _quoted(words: str) -> str:
    """Typst's string: of anybody's words, none is its language."""
    return json.dumps(words, ensure_ascii=False)


def week_against_week(charts: Sequence[Bars], first_day: date, last_day: date) -> str:
    """Typst's source. ``first_day`` and ``last_day`` are those of the later week."""
    span = f"{_in_words(first_day)} – {_in_words(last_day)}"
    days = [_WEEKDAYS[(first_day.weekday() + number) % 7] for number in range(7)]
    named = (pairs(replace(chart, names=days)) for chart in charts)
    return page(key(span, "неделей раньше"), *named)


def page(*parts: str) -> str:
    """Typst's source of a picture for a phone, one part below the other."""
    return "\n".join([_PAGE, *parts])


def key(now: str, before: str) -> str:
    """What the two bars of a pair are."""
    return (
        f"#box(width: 10pt, height: 10pt, fill: {_NOW}) #{_quoted(now)} (с цифрами) #h(6pt)"
        f" #box(width: 10pt, height: 10pt, fill: {_BEFORE}, stroke: 0.7pt + {_BEFORE_EDGE})"
        f" #{_quoted(before)}"
    )


def singles(title: str, bars: Sequence[Bar]) -> str:
    """A chart of one bar each, at most twelve; what is not good is in red and says so by its mark."""
    tallest = max((bar.value for bar in bars), default=0) or 1
    cells = ",\n".join(_single(bar, tallest) for bar in bars)
    grid = f"#grid(columns: (1fr,) * {max(len(bars), 1)}, align: bottom + center, {cells})" if bars else "—"
    return "\n".join(["#v(8pt)", f'#text(size: 16pt, weight: "bold")[{title}]', "#v(8pt)", grid])


def _single(bar: Bar, tallest: float) -> str:
    colour = _NOW if bar.is_good else _BAD
    mark = "" if bar.is_good else "✗ "
    return (
        f"stack(dir: ttb, text(size: 11pt, fill: {colour})[{mark}{_short(bar.value)}], 4pt,"
        f" rect(width: 16pt, height: {bar.value / tallest * _HEIGHT:.1f}pt, fill: {colour}, stroke: none),"
        f" line(length: 100%, stroke: 0.7pt + {_BEFORE_EDGE}), 4pt, text(size: 11pt, {_quoted(bar.name)}))"
    )


def pairs(chart: Bars) -> str:
    """A chart of two bars each: of now, with its figure, and of before."""
    tallest = max((*chart.now, *chart.before), default=0) or 1
    columns = zip(chart.names, chart.now, chart.before, strict=True)
    cells = ",\n".join(_column(name, now, before, tallest) for name, now, before in columns)
    return (
        f'#v(8pt)\n#text(size: 16pt, weight: "bold")[{chart.title}]\n'
        f"#grid(columns: (1fr,) * {len(chart.names)}, align: bottom + center, row-gutter: 0pt, {cells})"
    )


def _column(name: str, now: float, before: float, tallest: float) -> str:
    """The figure, two bars that begin at zero, the name."""
    heights = (before / tallest * _HEIGHT, now / tallest * _HEIGHT)
    return (
        f"stack(dir: ttb, text(size: 12pt, fill: {_NOW})[{_short(now)}], 4pt,"
        " grid(columns: (14pt, 20pt), column-gutter: 1pt, align: bottom,"
        f" rect(width: 14pt, height: {heights[0]:.1f}pt, fill: {_BEFORE}, stroke: 0.7pt + {_BEFORE_EDGE}),"
        f" rect(width: 20pt, height: {heights[1]:.1f}pt, fill: {_NOW}, stroke: none)),"
        f" line(length: 100%, stroke: 0.7pt + {_BEFORE_EDGE}), 4pt, text(size: 12pt, {_quoted(name)}))"
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
