"""Alertmanager's configuration: whom an alert reaches, what silences it; every shop gets a valid one."""

import asyncio
import contextlib
import json
import re
import stat
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from getpro.incidents.escalation import GUIDES
from getpro.incidents.states import Level
from getpro.operations import monitoring
from getpro.operations.monitoring import DOOR as PATH
from getpro.platform.settings import Settings
from getpro.sandbox.shop.world import free_port
from monitors import ROOT, ready, rules, running

BOT_TOKEN, TOKEN, PASSWORD = "42:token-of-a-bot", "token-of-alerts", "p%24ss%40word"
WATCHDOG_URL = "https://hc-ping.example/key"
COMPLETE: dict[str, Any] = {
    "chat": -1001,
    "alerts_token": TOKEN,
    "watchdog_url": WATCHDOG_URL,
    "mail_to": "ops@shop.example",
    "mail_server": f"smtp://robot%40shop.example:{PASSWORD}@smtp.shop.example:587",
}
needs_alertmanager = pytest.mark.monitoring


def settings(public_url: str | None = "https://shop.example", **operations: Any) -> Settings:
    values: dict[str, Any] = {
        "public_url": public_url,
        "telegram": {"bot_token": BOT_TOKEN},
        "panel": {"url": "https://panel.example:8443", "token": "x"},
        "operations": operations,
        "_env_file": None,
    }
    return Settings(**values)


def written(folder: Path, shop: Settings) -> Path:
    """Alertmanager's own file."""
    monitoring.write(folder, monitoring.configuration(shop, bot_url="http://bot:8080"))
    return folder / monitoring.ALERTMANAGER


def parsed(folder: Path, shop: Settings) -> dict[str, Any]:
    found = yaml.safe_load(written(folder, shop).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def receivers(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {receiver.pop("name"): receiver for receiver in found["receivers"]}


@needs_alertmanager
@pytest.mark.parametrize("left_out", ["", *COMPLETE, "everything"])
def test_every_shop_gets_a_configuration_that_alertmanager_takes(tmp_path: Path, left_out: str) -> None:
    kept = {name: value for name, value in COMPLETE.items() if left_out not in {name, "everything"}}
    file = written(tmp_path / "own", settings(**kept))
    said = subprocess.run(["amtool", "check-config", file], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_what_is_set_is_who_is_told(tmp_path: Path) -> None:
    found = receivers(parsed(tmp_path, settings(**COMPLETE)))
    [shop] = found["shop"]["webhook_configs"]
    assert shop["url"] == f"http://bot:8080{PATH}"
    assert shop["http_config"]["authorization"]["credentials"] == TOKEN
    [telegram] = found["outside"]["telegram_configs"]
    assert (telegram["bot_token"], telegram["chat_id"]) == (BOT_TOKEN, -1001)
    [mail] = found["outside"]["email_configs"]
    assert (mail["to"], mail["from"]) == ("ops@shop.example", "robot@shop.example")
    assert (mail["auth_username"], mail["auth_password"]) == ("robot@shop.example", "p$ss@word")
    assert mail["smarthost"] == "smtp.shop.example:587"
    [watchdog] = found["watchdog"]["webhook_configs"]
    assert (watchdog["url"], watchdog["send_resolved"]) == (WATCHDOG_URL, False)


def test_of_a_shop_that_stands_and_calls_nobody_people_hear_as_often_as_it_would_call(tmp_path: Path) -> None:
    """Every five minutes, as of any L3 that nobody has taken."""
    top = parsed(tmp_path / "own", settings(**COMPLETE))["route"]
    gravest = next(one for one in top["routes"] if one["matchers"] == ['severity="L3"'])
    assert (gravest["continue"], [one["repeat_interval"] for one in gravest["routes"]]) == (True, ["5m"])
    assert timedelta(minutes=5) == GUIDES[Level.L3][0].wait
    standing = set(re.findall(r"\w+Down", gravest["routes"][0]["matchers"][0]))
    assert standing == {"BotDown", "WorkerDown", "PostgresDown"}


def test_what_is_not_set_tells_nobody_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert receivers(parsed(tmp_path, settings())) == {"shop": {}, "outside": {}, "watchdog": {}}
    without_user = settings(**COMPLETE | {"mail_server": "smtp://127.0.0.1:25"})
    [mail] = receivers(parsed(tmp_path, without_user))["outside"]["email_configs"]
    assert mail["from"] == "ops@shop.example"
    assert not {"auth_username", "auth_password"} & set(mail)


def test_a_proxy_of_telegram_is_alertmanagers_too(tmp_path: Path) -> None:
    shop = settings(**COMPLETE)
    telegram = shop.telegram.model_copy(update={"proxy": "http://proxy.example:3128"})
    found = receivers(parsed(tmp_path, shop.model_copy(update={"telegram": telegram})))
    assert found["outside"]["telegram_configs"][0]["http_config"] == {
        "proxy_url": "http://proxy.example:3128"
    }


def test_the_files_are_closed_to_others_and_open_to_the_containers(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    for _ in range(2):
        written(folder, settings(**COMPLETE))
    modes = {path.relative_to(folder): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes == {
        Path("alertmanager"): 0o755,
        Path("prometheus"): 0o755,
        monitoring.ALERTMANAGER: 0o644,
        monitoring.HTTP: 0o644,
        monitoring.TLS: 0o644,
    }


@pytest.mark.parametrize(
    ("public_url", "alive", "hosts"),
    [
        (
            "https://shop.example",
            ["https://shop.example/health/live"],
            ["shop.example:443", "panel.example:8443"],
        ),
        ("http://shop.example", [], ["panel.example:8443"]),
        (None, [], ["panel.example:8443"]),
    ],
)
def test_the_shops_own_addresses_are_probed(
    tmp_path: Path, public_url: str | None, alive: list[str], hosts: list[str]
) -> None:
    written(tmp_path, settings(public_url))
    assert json.loads((tmp_path / monitoring.HTTP).read_text()) == [{"targets": alive}]
    assert json.loads((tmp_path / monitoring.TLS).read_text()) == [{"targets": hosts}]


@pytest.mark.parametrize(
    "mail_server",
    ["smtp.shop.example:587", "smtp://smtp.shop.example", "smtp://u@b:p@h:25", "http://smtp.shop.example:25"],
)
def test_an_address_of_a_mail_server_that_is_none_is_refused(mail_server: str) -> None:
    with pytest.raises(ValueError, match="smtp://user:password"):
        settings(mail_server=mail_server)


@needs_alertmanager
@pytest.mark.parametrize(
    ("name", "severity", "told"),
    [
        ("BotDown", "L3", "outside,shop"),
        ("PostgresDown", "L3", "outside,shop"),
        ("ManyPaidNotDelivered", "L3", "outside,shop"),
        ("NotificationsFailing", "L2", "outside,shop"),
        ("BotApiAway", "L2", "outside,shop"),
        ("AckOverdue", "L3", "outside"),
        ("PanelUnreachable", "L2", "shop"),
        ("DiskAlmostFull", "L2", "shop"),
        ("RoutineMissed", "L1", "shop"),
        ("Watchdog", "none", "watchdog"),
    ],
)
def test_an_alert_takes_its_way(tmp_path: Path, name: str, severity: str, told: str) -> None:
    file = written(tmp_path, settings(**COMPLETE))
    said = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={file}", f"--verify.receivers={told}",
         f"alertname={name}", f"severity={severity}", "job=bot"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr


def named(matchers: list[str]) -> set[str]:
    """The alerts that a matcher of names means, written out."""
    found = set()
    for matcher in matchers:
        if match := re.fullmatch(r'alertname=~?"([\w|]+)"', matcher):
            found |= set(match[1].split("|"))
    return found


def test_routes_and_silences_speak_of_alerts_that_exist(tmp_path: Path) -> None:
    found = parsed(tmp_path, settings())
    spoken = [route.get("matchers", []) for route in found["route"]["routes"]]
    for rule in found["inhibit_rules"]:
        spoken += [rule["source_matchers"], rule["target_matchers"]]
        assert named(rule["source_matchers"])
        assert named(rule["target_matchers"])
    assert set().union(*map(named, spoken)) <= set(rules())


@contextlib.asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[str]:
    """A real one that tells nobody."""
    file, port = written(folder / "own", settings()), free_port()
    arguments = [
        "prometheus-alertmanager",
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    async with running(folder / "alertmanager.log", arguments):
        url = f"http://127.0.0.1:{port}"
        await ready(f"{url}/-/ready")
        yield url


def alert(name: str, **labels: str) -> dict[str, Any]:
    severity = rules()[name]["labels"]["severity"]
    ends = datetime.now(UTC) + timedelta(minutes=5)
    return {
        "labels": {"alertname": name, "severity": severity, **labels},
        "annotations": {"summary": name},
        "endsAt": ends.isoformat(),
    }


CERTIFICATE = {"instance": "shop.example:443"}
ROOT_DISK, DATA_DISK = (
    {"instance": "node:9100", "mountpoint": "/"},
    {"instance": "node:9100", "mountpoint": "/d"},
)


@needs_alertmanager
async def test_what_follows_from_a_known_cause_is_silent_and_nothing_else_is(tmp_path: Path) -> None:
    cases: list[tuple[list[dict[str, Any]], set[str]]] = [
        (
            [
                alert("PostgresDown"),
                alert("UpdateErrorsFastBurn"),
                alert("NotificationsFailing", integration="webhook"),
                alert("DiskAlmostFull", **ROOT_DISK),
                alert("MemoryLow"),
                alert("PanelUnreachable"),
            ],
            {"UpdateErrorsFastBurn", "NotificationsFailing"},
        ),
        (
            [alert("WorkerDown"), alert("PostgresDown"), alert("RoutineMissed"), alert("BotDown")],
            {"PostgresDown", "RoutineMissed"},
        ),
        (
            [
                alert("BotDown"),
                alert("NotificationsFailing", integration="telegram"),
                alert("AddressUnreachable"),
            ],
            {"AddressUnreachable"},
        ),
        ([alert("PaymentsPaidNotDelivered"), alert("ManyPaidNotDelivered")], {"PaymentsPaidNotDelivered"}),
        (
            [alert("CertExpiresVerySoon", **CERTIFICATE), alert("CertExpiresSoon", **CERTIFICATE)],
            {"CertExpiresSoon"},
        ),
        (
            [
                alert("CertExpiresVerySoon", **CERTIFICATE),
                alert("CertExpiresSoon", instance="panel.example:443"),
            ],
            set(),
        ),
        ([alert("DiskWillFill24h", **ROOT_DISK), alert("DiskWillFill30d", **ROOT_DISK)], {"DiskWillFill30d"}),
        ([alert("DiskAlmostFull", **DATA_DISK), alert("DiskWillFill24h", **ROOT_DISK)], set()),
    ]
    for number, (alerts, silent) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with alertmanager(folder) as url:
            assert await silenced(url, alerts) == silent, alerts


async def silenced(url: str, alerts: list[dict[str, Any]]) -> set[str]:
    """Which of them Alertmanager keeps quiet about, once it knows them all."""
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}/api/v2/alerts", json=alerts) as answer:
            assert answer.status == 200
        deadline = time.monotonic() + 5
        while True:
            async with http.get(f"{url}/api/v2/alerts") as answer:
                states = {one["labels"]["alertname"]: one["status"]["state"] for one in await answer.json()}
            # "unprocessed" until it has been through the routes
            if len(states) == len(alerts) and "unprocessed" not in states.values():
                return {name for name, state in states.items() if state == "suppressed"}
            assert time.monotonic() < deadline, states
            await asyncio.sleep(0.05)


@needs_alertmanager
def test_prometheus_and_blackbox_take_what_is_committed() -> None:
    blackbox = f"--config.file={ROOT / 'deploy/blackbox/blackbox.yml'}"
    for command in (
        ["promtool", "check", "config", str(ROOT / "deploy/prometheus/prometheus.yml")],
        ["prometheus-blackbox-exporter", "--config.check", blackbox],
    ):
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr
