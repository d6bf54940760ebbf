"""Grafana's files: made by the generator, whole, and asking what Prometheus understands."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.dashboards import runbooks
from tools.dashboards.model import SOURCE, Dashboard, Panel
from tools.dashboards.queries import (
    PURCHASE_FAILED,
    ROUBLES,
    WINDOW,
    availability,
    burn,
    counted,
    known,
    quick_quantile,
    share,
    within,
)
from tools.dashboards.written import DASHBOARDS, FOLDER, files

PROVISIONING = FOLDER.parent / "provisioning"
BODIES = {name: json.loads(text) for name, text in files().items()}
PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels()]
RULES = {rule["alert"]: rule for rule in runbooks.rules()}


def panels_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Without the titles of rows."""
    return [panel for panel in body["panels"] if panel["type"] != "row"]


def expressions() -> set[str]:
    asked = {
        target["expr"]
        for body in BODIES.values()
        for one in panels_of(body)
        for target in one.get("targets", [])
    }
    marked = {one["expr"] for body in BODIES.values() for one in body["annotations"]["list"]}
    return {expr.replace(WINDOW, "1m") for expr in asked | marked}


def test_the_files_are_what_the_generator_makes() -> None:
    said = "run: .venv-dev/bin/python -m tools.dashboards"
    assert {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()} == files(), said


def test_the_seven_questions_have_a_dashboard_each_and_the_runbooks_one() -> None:
    assert {body["uid"] for body in BODIES.values()} == {
        f"getpro-{name}"
        for name in ("business", "payments", "bot", "delivery", "database", "host", "slo", "runbooks")
    }
    assert len({body["title"] for body in BODIES.values()}) == len(BODIES)


@pytest.mark.parametrize("name", BODIES)
def test_panels_have_numbers_of_their_own_and_do_not_overlap(name: str) -> None:
    panels = BODIES[name]["panels"]
    numbers = [panel["id"] for panel in panels]
    assert len(set(numbers)) == len(numbers)
    places = [panel["gridPos"] for panel in panels]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


@pytest.mark.parametrize("name", sorted(set(BODIES) - {"runbooks.json"}))
def test_panels_fill_the_page_without_holes(name: str) -> None:
    """Line under line, each as wide as the page."""
    lines: dict[int, list[dict[str, int]]] = {}
    for panel in BODIES[name]["panels"]:
        lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])
    y = 0
    for top, places in sorted(lines.items()):
        assert top == y
        assert sum(place["w"] for place in places) == 24
        [height] = {place["h"] for place in places}
        y += height


@pytest.mark.parametrize("name", sorted(set(BODIES) - {"runbooks.json"}))
def test_every_panel_says_what_it_is_in_what_unit_and_what_is_good(name: str) -> None:
    for panel in panels_of(BODIES[name]):
        title = panel["title"]
        assert re.search("[а-яА-Я]", title), title
        assert panel["fieldConfig"]["defaults"]["unit"], title
        assert panel["description"].endswith("."), title
        assert panel["datasource"] == SOURCE, title
        assert panel["targets"], title
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {SOURCE["uid"]}, title
        assert all(target["legendFormat"] for target in panel["targets"]), title
    titles = [panel["title"] for panel in BODIES[name]["panels"]]
    assert len(titles) < 26, "who looks at all of them?"


@pytest.mark.parametrize("name", sorted(set(BODIES) - {"runbooks.json"}))
def test_the_top_row_answers_whether_it_is_well(name: str) -> None:
    """By numbers of this moment, in colours; and what is not seen is red."""
    row, *rest = BODIES[name]["panels"]
    assert row["type"] == "row"
    top = list(itertools.takewhile(lambda panel: panel["type"] != "row", rest))
    assert len(top) >= 4
    for panel in top:
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["type"] == "stat"
        assert all(target["instant"] and not target["range"] for target in panel["targets"]), panel["title"]
        assert panel["options"]["colorMode"] == "background"
        steps = defaults["thresholds"]["steps"]
        colors = {step["color"] for step in steps} | {
            word["color"]
            for mapping in defaults["mappings"]
            if mapping["type"] == "value"
            for word in mapping["options"].values()
        }
        assert {"green", "red"} <= colors, panel["title"]
        unseen = defaults["mappings"][-1]["options"]
        assert (unseen["match"], unseen["result"]["color"]) == ("null+nan", "red"), panel["title"]


def test_steps_of_colours_rise_from_below_all_values() -> None:
    for body in BODIES.values():
        for panel in panels_of(body):
            if panel["type"] == "text":
                continue
            first, *others = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            values = [step["value"] for step in others]
            assert first["value"] is None, panel["title"]
            assert values == sorted(set(values)), panel["title"]


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda one: one.title)
def test_red_begins_where_the_alert_does(dashboard: Dashboard, panel: Panel) -> None:
    del dashboard
    if not panel.alerts or not panel.limits:
        return
    numbers = {float(found) for alert in panel.alerts for found in numbers_in(RULES[alert]["expr"])}
    if panel.base == "red":
        red = panel.limits[0].value
    else:
        [red] = [
            limit.value if limit.of is None else limit.of for limit in panel.limits if limit.color == "red"
        ]
    assert red in numbers or panel.alerts == ("Watchdog",)


def numbers_in(expr: str) -> list[str]:
    return re.findall(r"(?<![\w.\[])\d+(?:\.\d+)?(?:e\d+)?(?![\w.])", expr)


def test_money_is_in_roubles() -> None:
    for _, panel in PANELS:
        is_money = any("_roubles" in query.expr for query in panel.queries)
        assert is_money == (panel.unit == ROUBLES), panel.title


OF_REPORTS = {
    "FirewallDrift",
    "VulnerableDependency",
    "AuditIncomplete",
    "NewErrorSpike",
    "SecretOverdueRotation",
    "AdminLoginAnomaly",
}


def test_every_alert_can_be_seen_on_a_dashboard() -> None:
    """Apart from those about the watching itself, and what a routine's report tells line by line."""
    shown = {alert for _, panel in PANELS for alert in panel.alerts}
    assert set(RULES) - shown <= {"NotificationsFailing", "AckOverdue", *OF_REPORTS}


def test_a_runbook_is_one_tap_away_from_its_panel() -> None:
    pages = {panel["id"]: panel for panel in BODIES["runbooks.json"]["panels"]}
    assert len(pages) == len(list(runbooks.PAGES.glob("*.md"))) - 1
    for name in set(BODIES) - {"runbooks.json"}:
        for panel in panels_of(BODIES[name]):
            for link in panel["links"]:
                number = int(link["url"].removeprefix("/d/getpro-runbooks?viewPanel=panel-"))
                assert link["title"] == f"Что делать: {pages[number]['title']}"
                assert "## Исправить" in pages[number]["options"]["content"]
    linked = {panel.title for _, panel in PANELS if panel.alerts}
    shown = {p["title"] for name in BODIES for p in panels_of(BODIES[name]) if p.get("links")}
    assert shown == linked


def test_links_between_runbooks_lead_to_panels() -> None:
    text = "\n".join(panel["options"]["content"] for panel in BODIES["runbooks.json"]["panels"])
    assert ".md)" not in text
    assert "](/d/getpro-runbooks?viewPanel=panel-" in text


def test_grafana_is_given_the_data_source_that_the_panels_name() -> None:
    file = PROVISIONING / "datasources/prometheus.yml"
    [source] = yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == SOURCE
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((PROVISIONING / "dashboards/getpro.yml").read_text(encoding="utf-8"))[
        "providers"
    ]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


@pytest.mark.monitoring
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """By promtool, which knows them as rules."""
    rules = [{"record": f"asked:{i}", "expr": expr} for i, expr in enumerate(sorted(expressions()))]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}), encoding="utf-8")
    said = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr + said.stdout
    assert f"{len(rules)} rules found" in said.stdout


BOT = {'up{job="bot"}': "1x60"}
DATABASE = {"getpro_database_up": "1x60"}
STUCK = "sum(max by (kind) (getpro_stuck_payments))"
ANSWERS = {
    'a_total{result="failed"}': "0+1x60",
    'a_total{result="ok"}': "0+3x60",
    'a_seconds_bucket{le="2.0"}': "0+9x60",
    'a_seconds_bucket{le="+Inf"}': "0+10x60",
    "a_seconds_count": "0+10x60",
}


@pytest.mark.monitoring
@pytest.mark.parametrize(
    ("expr", "series", "value"),
    [
        (known(STUCK), DATABASE | {'getpro_stuck_payments{kind="underpaid"}': "2x60"}, 2),
        (known(STUCK), DATABASE, 0),
        (known(STUCK), {"getpro_database_up": "0x60"}, None),
        (known(STUCK), {}, None),
        (counted("a_total", "1h", job="bot"), BOT, 0),
        (counted("a_total", "1h", job="bot"), {'up{job="bot"}': "0x60"}, None),
        (counted("a_total", "1h", job="bot|worker"), BOT | {'up{job="worker"}': "0x60"}, None),
        (share('a_total{result="failed"}', "a_total", "1h", job="bot"), BOT | ANSWERS, 0.25),
        (share('a_total{result="failed"}', "a_total", "1h", job="bot"), BOT | {"a_total": "7x60"}, 0),
        (share('a_total{result="failed"}', "a_total", "1h", job="bot"), {}, None),
        (within("2.0", "a_seconds", "1h", job="bot"), BOT | ANSWERS, 0.9),
        (within("2.0", "a_seconds", "1h", job="bot"), BOT, 1),
        (within("2.0", "a_seconds", "1h", job="bot"), {}, None),
        (quick_quantile(0.5, "a_seconds", "5m", job="bot"), BOT | {"a_seconds_bucket": "0x60"}, 0),
        (quick_quantile(0.5, "a_seconds", "5m", job="bot"), {}, None),
        (availability("1h"), {PURCHASE_FAILED: "0x60"}, 1),
        (burn("1h"), {PURCHASE_FAILED: "1x60"}, 200),
        (burn("1h"), {}, None),
    ],
)
def test_nothing_is_zero_and_what_is_not_seen_is_no_number(
    expr: str, series: dict[str, str], value: float | None, tmp_path: Path
) -> None:
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": "1h", "exp_samples": samples}],
    }
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps({"tests": [test]}), encoding="utf-8")
    said = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr + said.stdout
