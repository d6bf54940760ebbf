"""The page of metrics, and how they are named."""

import re
import runpy
from pathlib import Path

from getpro.operations.figures import FIGURES, OWN
from getpro.platform.metrics import REGISTRY

ROOT = Path(__file__).parents[2]
UNITS = ("_seconds", "_bytes", "_roubles")


def test_the_page_of_metrics_is_the_one_of_this_code() -> None:
    tool = runpy.run_path(str(ROOT / "tools/metrics_page.py"))
    said = "run: PYTHONPATH=src .venv/bin/python tools/metrics_page.py"
    assert tool["PAGE"].read_text(encoding="utf-8") == tool["page"](), said


def test_names_follow_the_conventions_of_prometheus() -> None:
    names = {family.name for family in REGISTRY.collect()} | {figure.name for figure in FIGURES} | set(OWN)
    ours = {name for name in names if name.startswith("getpro_")}
    assert len(ours) > len(FIGURES)
    for name in ours:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info")), f"{name}: reserved"


def test_no_label_can_grow_with_the_customers() -> None:
    grown = {"user", "user_id", "customer", "payment", "payment_id", "charge_id", "path", "url", "id"}
    for figure in FIGURES:
        assert not grown & set(figure.labels), figure.name
    for family in REGISTRY.collect():
        for sample in family.samples:
            assert not grown & set(sample.labels), sample.name
