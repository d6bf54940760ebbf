"""A report in pictures: for phones, and for the paper. Pure: Typst's source."""

from collections.abc import Sequence
from typing import Final

from getpro.operations import pictures
from getpro.operations.month.figures import WEEKS, Figures
from getpro.operations.month.period import in_short
from getpro.operations.month.report import Report, Seen
from getpro.operations.month.tables import COHORTS, provider_title, sums
from getpro.operations.pictures import Bar, Bars, pairs, singles

_WEEKS: Final = ("1–7", "8–14", "15–21", "22–28", "29–31")
_MOST: Final = 5
"""Providers on a chart."""
_LEAST_MONTHS: Final = 3
_SMALLER: Final = 72
"""Hundredths of the size that they have on a phone."""
_WIDTH: Final = 312
"""Points of a chart before that."""


def charts(seen: Seen) -> list[list[str]]:
    """By pictures: two below each other fill a phone, and Telegram makes taller ones coarse."""
    now, before = seen.report.this.figures, seen.report.earlier.figures
    weeks = Bars("Выручка по числам месяца, ₽", _roubles(now.weeks), _roubles(before.weeks), _WEEKS)
    moved = Bars(
        "Платные подписки", _moved(now), _moved(before), ("пришли", "вернулись", "ушли", "продлений")
    )
    kept = [Bar(in_short(one.month), 100 * one.active / one.size) for one in now.cohorts[-COHORTS:]]
    durations = [_by("Выручка по срокам, ₽", now, before, by_months=True)]
    if len(seen.past) >= _LEAST_MONTHS:
        months = [Bar(in_short(month), max(net, 0) / 100) for month, net in seen.past]
        durations.append(singles("Чистая выручка по месяцам, ₽", months))
    return [
        [pairs(weeks), _by("Выручка по способам оплаты, ₽", now, before, by_months=False)],
        durations,
        [
            pairs(moved),
            singles("Действуют из оплативших впервые, %", kept),
        ],
    ]


def picture(report: Report, parts: Sequence[str]) -> str:
    """One for a phone."""
    return pictures.page(_key(report), *parts)


def for_paper(seen: Seen) -> str:
    """All of them, two beside each other."""
    cells = ",\n".join(
        f"scale(x: {_SMALLER}%, y: {_SMALLER}%, reflow: true)[#block(width: {_WIDTH}pt)[{part}]]"
        for parts in charts(seen)
        for part in parts
    )
    return f"{_key(seen.report)}\n#grid(columns: (1fr, 1fr), gutter: 12pt, {cells})"


def _key(report: Report) -> str:
    return pictures.key(report.title.lower(), report.earlier_title.lower())


def _by(title: str, now: Figures, before: Figures, *, by_months: bool) -> str:
    sold, sold_before = (sums(one, by_months=by_months) for one in (now, before))
    keys = sorted(sold.keys() | sold_before.keys(), key=lambda one: (-sold.get(one, (0, 0))[1], str(one)))
    if by_months:
        keys.sort()
    keys = keys[:_MOST]
    amounts, amounts_before = (
        _roubles([those.get(key, (0, 0))[1] for key in keys]) for those in (sold, sold_before)
    )
    names = [f"{key} мес." if by_months else provider_title(str(key)) for key in keys]
    return (
        pairs(Bars(title, amounts, amounts_before, names)) if keys else f"#v(8pt)\n*{title}*: оплат не было"
    )


def _moved(figures: Figures) -> list[float]:
    return [figures.new, figures.returned, figures.lost, figures.renewals]


def _roubles(kopeks: Sequence[int]) -> list[float]:
    return [one / 100 for one in kopeks]


assert len(_WEEKS) == WEEKS
