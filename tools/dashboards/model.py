"""What a dashboard is made of, and how Grafana wants it written.

The JSON is the classic model, which Grafana 11, 12 and 13 read:
https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

SOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
"""The data source of ``deploy/grafana/provisioning``."""
SCHEMA_VERSION: Final = 39
"""Grafana 11's; later ones bring it up to theirs as they read it."""
TAG: Final = "2getpro"
RUNBOOKS_UID: Final = "getpro-runbooks"
FIRING: Final = 'ALERTS{alertstate="firing", alertname!="Watchdog"}'
_COLUMNS: Final = 24
_GREEN, _YELLOW, _RED = "green", "yellow", "red"
UNSEEN: Final = "Не видно"


@dataclass(frozen=True, slots=True)
class Query:
    """``legend`` may name labels: ``{{provider}}``."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """From ``value`` on the colour is ``color``; ``of`` is the number in the alert's rule, if another.

    A rule says ``> 0`` of what is counted; Grafana colours from a value on: from 1.
    """

    value: float
    color: str
    of: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """``good`` tells what good looks like; ``alerts`` are those whose numbers the limits are."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    good: str
    kind: str
    limits: tuple[Limit, ...] = ()
    base: str = _GREEN
    """The colour below all limits."""
    alerts: tuple[str, ...] = ()
    words: tuple[tuple[int, str, str], ...] = ()
    """Values that are shown as a word in a colour."""
    is_stacked: bool = False
    floor: int | None = 0
    """Where a graph's axis begins; None: where the lines are."""
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Numbers or graphs: what is alike stands together."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """``uid`` is its address and its file's name."""

    uid: str
    title: str
    question: str
    rows: tuple[Row, ...]
    since: str = "now-6h"

    def panels(self) -> Iterator[Panel]:
        for row in self.rows:
            yield from row.panels


def bad_above(value: float, *, warn: float | None = None) -> tuple[Limit, ...]:
    return (*([Limit(warn, _YELLOW)] if warn is not None else []), Limit(value, _RED))


def bad_if_any() -> tuple[Limit, ...]:
    """Of what is counted: one is too many."""
    return (Limit(1, _RED, of=0),)


def good_above(value: float, *, best: float | None = None) -> dict[str, Any]:
    """Red below ``value``; with ``best``, yellow up to that."""
    if best is None:
        return {"base": _RED, "limits": (Limit(value, _GREEN),)}
    return {"base": _RED, "limits": (Limit(value, _YELLOW), Limit(best, _GREEN))}


YES_NO: Final = ((1, "Да", _GREEN), (0, "Нет", _RED))


def stat(title: str, unit: str, expr: str, good: str, **more: Any) -> Panel:
    """One number, of now: what is not seen now must not pass for well because it was well an hour ago."""
    return Panel(title, unit, (Query(expr),), good, "stat", **more)


def graph(title: str, unit: str, queries: Iterable[Query] | Query, good: str, **more: Any) -> Panel:
    chosen = (queries,) if isinstance(queries, Query) else tuple(queries)
    return Panel(title, unit, chosen, good, "timeseries", **more)


def as_json(dashboard: Dashboard, runbooks: dict[str, tuple[int, str]]) -> dict[str, Any]:
    """``runbooks``: by alert, the number of its panel on the page of runbooks, and the title."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.question,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {},
        "templating": {"list": []},
        "annotations": {"list": [_alerts_as_annotations()]},
        "links": [_other_dashboards()],
        "panels": list(_placed(dashboard, runbooks)),
    }


def _placed(dashboard: Dashboard, runbooks: dict[str, tuple[int, str]]) -> Iterator[dict[str, Any]]:
    """Panels from left to right, row under row, as a reader goes."""
    numbers, y = itertools.count(1), 0
    for row in dashboard.rows:
        yield _row(next(numbers), row.title, y)
        y, x = y + 1, 0
        height, widths = _sizes(row.panels)
        for panel, width in zip(row.panels, widths, strict=True):
            place = {"x": x, "y": y, "w": width, "h": height}
            yield _panel(panel, next(numbers), place, runbooks)
            x += width
            if x == _COLUMNS:
                x, y = 0, y + height


def _sizes(panels: tuple[Panel, ...]) -> tuple[int, list[int]]:
    """The height and the widths of what is alike: full lines of four or six numbers, or of two graphs."""
    if panels[0].kind == "stat":
        a_line = 6 if len(panels) % 6 == 0 else 4
        return 4, [_COLUMNS // a_line] * len(panels)
    widths = [_COLUMNS // 2] * len(panels)
    return 8, [*widths[:-1], _COLUMNS] if len(panels) % 2 else widths


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(
    panel: Panel, number: int, place: dict[str, int], runbooks: dict[str, tuple[int, str]]
) -> dict[str, Any]:
    is_stat = panel.kind == "stat"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.good,
        "datasource": SOURCE,
        "gridPos": place,
        "links": [_runbook(*runbooks[alert]) for alert in _first_of_each(panel.alerts, runbooks)],
        "targets": [_target(query, chr(ord("A") + i), panel) for i, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _AS_STAT if is_stat else _AS_GRAPH,
    }


def _first_of_each(alerts: tuple[str, ...], runbooks: dict[str, tuple[int, str]]) -> Iterable[str]:
    """Of alerts with one page, one."""
    return {runbooks[alert]: alert for alert in alerts}.values()


def _target(query: Query, letter: str, panel: Panel) -> dict[str, Any]:
    is_stat = panel.kind == "stat"
    return {
        "refId": letter,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or panel.title,
        "instant": is_stat,
        "range": not is_stat,
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [(panel.base, None), *((limit.color, limit.value) for limit in panel.limits)]
    known: dict[str, Any] = {
        "unit": panel.unit,
        "noValue": UNSEEN,
        "mappings": _mappings(panel),
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": color, "value": value} for color, value in steps],
        },
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
    }
    if panel.decimals is not None:
        known["decimals"] = panel.decimals
    if panel.kind == "timeseries":
        known |= {} if panel.floor is None else {"min": panel.floor}
        known["custom"] = _drawn(panel)
    return known


def _mappings(panel: Panel) -> list[dict[str, Any]]:
    """Words for values; and on a number of now, that what nobody sees is not well."""
    words = {
        str(value): {"text": word, "color": color, "index": i}
        for i, (value, word, color) in enumerate(panel.words)
    }
    unseen = {"match": "null+nan", "result": {"text": UNSEEN, "color": _RED, "index": len(words)}}
    return [
        *([{"type": "value", "options": words}] if words else []),
        *([{"type": "special", "options": unseen}] if panel.kind == "stat" else []),
    ]


def _drawn(panel: Panel) -> dict[str, Any]:
    return {
        "drawStyle": "line",
        "lineWidth": 2,
        "fillOpacity": 30 if panel.is_stacked else 5,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.is_stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if panel.limits else "off"},
    }


_AS_STAT: Final = {
    "colorMode": "background",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "textMode": "value",
}
_AS_GRAPH: Final = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


def _runbook(number: int, title: str) -> dict[str, Any]:
    return {"title": f"Что делать: {title}", "url": f"/d/{RUNBOOKS_UID}?viewPanel=panel-{number}"}


def _other_dashboards() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Другие",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _alerts_as_annotations() -> dict[str, Any]:
    """A mark on every graph while an alert was firing: what has to do with what."""
    return {
        "name": "Оповещения",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": _RED,
        "expr": FIRING,
        "step": "60s",
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}}",
        "tagKeys": "severity",
    }


def text_panels(pages: Iterable[tuple[int, str, str]]) -> Iterator[dict[str, Any]]:
    """Of each page, given as its number, title and Markdown, a panel; two beside each other."""
    width, height = _COLUMNS // 2, 16
    for i, (number, title, words) in enumerate(pages):
        yield {
            "id": number,
            "type": "text",
            "title": title,
            "gridPos": {"x": i % 2 * width, "y": i // 2 * height, "w": width, "h": height},
            "options": {"mode": "markdown", "content": words},
        }
