"""The stack's file: what must hold of every service before it is ever started."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from getpro.cli import stack
from getpro.platform.settings import variables

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
STACK: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
FROM_OUTSIDE = {"80:80", "443:443", "3000:3000"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_comes_back_is_bounded_and_pinned(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert re.fullmatch(r"2getpro:local|[\w./-]+:v?\d+\.\d+[\w.-]*", service["image"])


def test_what_runs_for_long_has_its_health_asked_for() -> None:
    # The exporters and Caddy are watched by Prometheus; their images hold nothing that could ask.
    without = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    assert without == {"node-exporter", "postgres-exporter", "blackbox-exporter", "caddy", "bugsink"}


def test_only_the_proxy_and_the_dashboards_can_be_reached_from_outside() -> None:
    published = {port for service in SERVICES.values() for port in service.get("ports", [])}
    assert {port for port in published if not port.startswith("127.0.0.1:")} == FROM_OUTSIDE


def test_every_secret_is_made_by_setup_and_has_no_default() -> None:
    asked = dict(re.findall(r"\$\{(\w+)(:[?-][^}]*)?\}", TEXT))
    secret = {name for name in asked if name.endswith(("PASSWORD", "KEY", "TOKEN"))}
    assert secret <= set(stack.settings(lambda _: ""))
    for name in secret:
        assert asked[name].startswith(":?") or asked[name] == ":-", name
    assert "admin" not in TEXT.lower().replace("security_admin_password", "")


def test_the_product_is_not_given_what_is_not_its_own() -> None:
    others = set(stack.settings(lambda _: "")) - set(variables()) - {stack.MARK, "GETPRO_DB_PASSWORD"}
    for name in ("bot", "worker"):
        assert {SERVICES[name]["environment"][secret] for secret in others} == {""}
        assert SERVICES[name]["read_only"]
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_what_the_product_is_told_are_settings_of_its() -> None:
    told = set(SERVICES["bot"]["environment"]) - {
        "POSTGRES_PASSWORD",
        "GRAFANA_PASSWORD",
        "BUGSINK_SECRET_KEY",
    }
    assert told <= set(variables())


def test_files_that_are_mounted_are_in_the_project() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            is_made = source.startswith("./deploy/own/")
            assert is_made or not source.startswith("./") or (ROOT / source).exists(), source


def test_what_the_proxy_answers_stands_in_a_block_of_its_own_for_each_path() -> None:
    """Outside of one, Caddy orders directives by its own list, and ``respond`` comes before every proxy."""
    text = (ROOT / "deploy/caddy/Caddyfile").read_text(encoding="utf-8")
    assert not re.search(r"(?m)^\t(respond|reverse_proxy)\b", text)
    blocks = dict(re.findall(r"(?m)^\thandle ?(\S*) \{\n\t\t(\w+ ?\S*)", text))
    assert {path: words.split()[0] for path, words in blocks.items()} == {
        "/webhooks/alertmanager": "respond",
        "/webhooks/*": "reverse_proxy",
        "/health/live": "reverse_proxy",
        "/health/heartbeat": "reverse_proxy",
        "": "respond",
    }
