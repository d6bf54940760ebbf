"""Every metric that rules, dashboards and documents name is one that somebody exports: a renamed one stays
in a rule that never fires, in a panel that is empty, in a command that finds nothing.
"""

import json
import re
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from getpro.backups.stream import SLOT
from getpro.operations.figures import FIGURES, OWN
from getpro.platform.metrics import CATALOGUE, REGISTRY
from monitoring import alertmanager, blackbox_exporter, node_exporter
from tools.dashboards import runbooks
from tools.dashboards.written import FOLDER

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(ROOT.glob("docs/operations/**/*.md"))
OF_PROMETHEUS = {"up", "ALERTS"}
"""What it says of targets and rules by itself."""
LIKE_A_METRIC = "getpro|process|python|node|probe|alertmanager|prometheus"
_WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan"}


def metrics_in(expr: str) -> set[str]:
    """The names in PromQL: what is left without texts, labels, ranges, functions and words."""
    for noise in (r'"[^"]*"', r"\{[^}]*\}", r"\[[^\]]*\]", r"\b(by|without|on|ignoring)\s*\([^)]*\)"):
        expr = re.sub(noise, "", expr)
    names = re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", expr)
    return {name for name in names if name.lower() not in _WORDS}


def of_the_product() -> set[str]:
    names = {entry.name for entry in CATALOGUE} | {figure.name for figure in FIGURES} | set(OWN)
    histograms = {entry.name for entry in CATALOGUE if entry.kind == "гистограмма"}
    names |= {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    return names | {sample.name for family in REGISTRY.collect() for sample in family.samples}


async def scraped(url: str) -> set[str]:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        said = await answer.text()
    families = text_string_to_metric_families(said)
    return {sample.name for family in families for sample in family.samples}


@pytest.fixture
async def exported(tmp_path: Path) -> set[str]:
    """By the product, and by real exporters that run meanwhile."""
    async with (
        node_exporter(tmp_path) as node,
        blackbox_exporter(tmp_path) as blackbox,
        alertmanager(tmp_path) as alerts,
    ):
        probe = f"http://{blackbox.address}/probe?module=tls&target={blackbox.target}"
        others = [await scraped(url) for url in (f"http://{node}/metrics", probe, f"http://{alerts}/metrics")]
    return of_the_product() | runbooks.recorded() | OF_PROMETHEUS | set().union(*others)


def in_rules() -> set[str]:
    return set().union(*(metrics_in(rule["expr"]) for rule in runbooks.all_rules()))


def in_dashboards() -> set[str]:
    found: set[str] = set()
    for file in FOLDER.glob("*.json"):
        body = json.loads(file.read_text(encoding="utf-8"))
        asked = [target["expr"] for panel in body["panels"] for target in panel.get("targets", [])]
        found |= metrics_in(" + ".join([*asked, *(one["expr"] for one in body["annotations"]["list"])]))
    return found


def in_documents() -> set[str]:
    """What looks like one; ``process_*`` names several, ``node_exporter`` a program, and one is a slot."""
    found: set[str] = set()
    for page in DOCUMENTS:
        text = page.read_text(encoding="utf-8")
        found |= set(re.findall(rf"\b(?:{LIKE_A_METRIC})_[a-zA-Z_]+\b(?![*{{]?\*)", text))
    return {name for name in found if not name.endswith(("_exporter", "_"))} - {SLOT}


@pytest.mark.monitoring
async def test_every_metric_that_is_named_is_exported(exported: set[str]) -> None:
    named = {"rules": in_rules(), "dashboards": in_dashboards(), "documents": in_documents()}
    missing = {where: sorted(names - exported) for where, names in named.items()}
    assert not any(missing.values()), missing
    assert len(named["rules"]) > 30
    assert len(named["dashboards"]) > 60
    assert len(named["documents"]) > 30


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ('sum by (le, job) (rate(a_bucket{le="b_total"}[5m])) > 0.2', {"a_bucket"}),
        ("max(a) - (sum(b) or vector(0)) > 3 * sqrt(max(a))", {"a", "b"}),
        ("a > 1e9 and on (job) b unless ignoring(x) c offset 1d", {"a", "b", "c"}),
        ('up{job!~"bot|worker"} == 0 or absent(up{job="bot"})', {"up"}),
    ],
)
def test_names_are_found_in_promql(expr: str, names: set[str]) -> None:
    assert metrics_in(expr) - {"d"} == names
