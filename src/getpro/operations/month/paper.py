"""A report on paper: one page says it all, details after. Pure: Typst's source."""

from typing import Any
from zoneinfo import ZoneInfo

from getpro.incidents.paper import laid_out
from getpro.operations.month import charts
from getpro.operations.month.report import Seen
from getpro.operations.month.tables import Table, tables

Node = dict[str, Any]


def layout(seen: Seen, *, shop: str, zone: ZoneInfo) -> str:
    report = seen.report
    made = report.made_at.astimezone(zone)
    main, *rest = tables(seen)
    state = "закрыт" if report.is_closed else "предварительно: месяц ещё не закрыт"
    return laid_out(
        [
            {"kind": "heading", "level": 1, "inside": _words(f"Отчёт: {report.title}")},
            {"kind": "paragraph", "inside": _words(_lead(seen))},
            *_table(main),
            {"kind": "heading", "level": 2, "inside": _words("Графики")},
            {"kind": "chart", "number": 0},
            *(block for table in rest for block in _table(table)),
        ],
        kicker=shop,
        short=report.title,
        footer=f"{state}; посчитано {made:%d.%m.%Y %H:%M}",
        author=shop,
        day=made.date(),
        charts=[charts.for_paper(seen)],
    )


def _lead(seen: Seen) -> str:
    if seen.report.is_closed:
        return f"Рядом: {seen.report.earlier_title.lower()}. Месяц закрыт: эти числа больше не меняются."
    return f"Рядом: {seen.report.earlier_title.lower()}. Месяц ещё не закрыт: числа могут измениться."


def _table(table: Table) -> list[Node]:
    rows = [[_words(cell.words) for cell in row] for row in table.rows]
    numbers = any(cell.value is not None for row in table.rows for cell in row)
    widths = [
        max(len(name), *(len(row[at].words) for row in table.rows)) if table.rows else len(name)
        for at, name in enumerate(table.head)
    ]
    found: list[Node] = [{"kind": "heading", "level": 2, "inside": _words(table.name)}]
    if rows:
        found.append(
            {
                "kind": "table",
                "is-facts": False,
                "numbers": numbers,
                "head": [_words(name) for name in table.head],
                "rows": rows,
                "widths": [0 if width <= _NARROW else min(width, _WIDEST) for width in widths],
            }
        )
    else:
        found.append({"kind": "paragraph", "inside": _words("Пусто.")})
    if table.note:
        found.append({"kind": "quote", "inside": [{"kind": "paragraph", "inside": _words(table.note)}]})
    return found


_NARROW = 18
_WIDEST = 60


def _words(text: str) -> list[Node]:
    return [{"kind": "text", "text": text}]
