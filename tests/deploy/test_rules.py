"""Prometheus's rules, by its own promtool: each fires where it must, and is quiet where it may."""

import json
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitors import ROOT, RULES, rules

RUNBOOKS = ROOT / "docs/operations/runbooks"
promtool = pytest.mark.monitoring


@dataclass(frozen=True)
class Case:
    """``fires`` and ``quiet``: series and their values. ``value``: as the summary has it."""

    fires: dict[str, str]
    quiet: dict[str, str]
    at: str = "90m"
    labels: dict[str, str] = field(default_factory=dict)
    value: str = ""
    every: str = "1m"
    """How far the values are apart, and how often the rule is looked at."""


def steady(value: float) -> str:
    return f"{value}x200"


def growing(step: float) -> str:
    return f"0+{step}x200"


BOT, WORKER = 'up{job="bot"}', 'up{job="worker"}'
PAID = 'getpro_undelivered{kind="paid", job="worker"}'
OLDEST = 'getpro_undelivered_oldest_seconds{kind="paid", job="worker"}'
FAILED = 'getpro_updates_total{kind="message", result="failed"}'
FINE = 'getpro_updates_total{kind="message", result="ok"}'
BOT_API = 'getpro_bot_api_calls_total{method="sendMessage", result="%s"}'
PANEL = 'getpro_service_calls_total{service="panel", operation="create_user", result="%s"}'
QUICK = {f'getpro_update_seconds_bucket{{kind="message", le="{le}"}}': growing(100) for le in ("1.0", "+Inf")}
SLOW = {
    'getpro_update_seconds_bucket{kind="message", le="1.0"}': growing(10),
    'getpro_update_seconds_bucket{kind="message", le="5.0"}': growing(100),
    'getpro_update_seconds_bucket{kind="message", le="+Inf"}': growing(100),
}
ORDERS = 'getpro_orders_last_hour{provider="yookassa", status="%s"}'
DISK = 'node_filesystem_%s_bytes{mountpoint="/", fstype="ext4", job="node"}'
SIZE = DISK % "size"
AVAIL = DISK % "avail"
OF_DISK = {"mountpoint": "/", "fstype": "ext4", "job": "node"}
CERTIFICATE = 'probe_ssl_earliest_cert_expiry{instance="shop.example:443", job="blackbox-tls"}'
OF_CERTIFICATE = {"instance": "shop.example:443", "job": "blackbox-tls"}
OPENS = 'probe_success{instance="https://shop.example/health/live", job="blackbox-http"}'
LEVEL = 'getpro_check_level{routine="wednesday", check="%s"}'
WATCHED = LEVEL.replace("wednesday", "watch")
DAY = 86400
BOUGHT = 'getpro_synthetic_purchase_success{job="worker", instance="a"}'
BOUGHT_AT = 'getpro_synthetic_purchase_timestamp_seconds{job="worker", instance="a"}'


def bought(ok: str, *, last_at: str = "0+60x5000") -> dict[str, str]:
    """Synthetic purchases by the minute: how they went, and when the last one was."""
    return {BOUGHT: ok, BOUGHT_AT: last_at}


CASES: dict[str, Case] = {
    "BotDown": Case({BOT: steady(0)}, {BOT: steady(1)}, labels={"job": "bot"}),
    "WorkerDown": Case({WORKER: steady(0)}, {WORKER: steady(1)}, labels={"job": "worker"}),
    "ShopHeld": Case({"getpro_held_seconds": steady(901)}, {"getpro_held_seconds": steady(899)}),
    "SyntheticPurchaseFailing": Case(bought(steady(0)), bought("1x84 0x20")),
    "AvailabilityFastBurn": Case(bought("1x83 0x20"), bought("1x86 0x20")),
    "AvailabilitySlowBurn": Case(bought("1x379 0x12 1x20"), bought("1x379 0x5 1x20"), at="400m"),
    "BudgetDrift": Case(bought("1x370 0x24 1x20"), bought("1x370 0x10 1x30"), at="400m"),
    "UpdateErrorsFastBurn": Case(
        {FAILED: growing(1), FINE: growing(9)}, {FAILED: growing(0.02), FINE: growing(0.1)}
    ),
    "UpdateLatencyHigh": Case(SLOW, QUICK),
    "BotApiTooManyRequests": Case(
        {BOT_API % "too_many_requests": growing(30)}, {BOT_API % "too_many_requests": growing(3)}
    ),
    "BotApiAway": Case(
        {BOT_API % "away": growing(2)}, {BOT_API % "away": growing(2), BOT_API % "ok": growing(1)}
    ),
    "PaymentsPaidNotDelivered": Case({PAID: steady(3)}, {PAID: "_x86 3 3 3 3 3"}, value="3"),
    "ManyPaidNotDelivered": Case(
        {PAID: steady(1), OLDEST: steady(4000)}, {PAID: steady(20), OLDEST: steady(60)}
    ),
    "PaymentSilence": Case(
        {"getpro_paid_expected_hour": steady(16), 'getpro_paid_last_hour{provider="stars"}': steady(3)},
        {"getpro_paid_expected_hour": steady(16), 'getpro_paid_last_hour{provider="stars"}': steady(5)},
    ),
    "PaymentFailureRatio": Case(
        {ORDERS % "canceled": steady(5), ORDERS % "succeeded": steady(10)},
        {ORDERS % "canceled": steady(5), ORDERS % "succeeded": steady(15)},
        labels={"provider": "yookassa"},
    ),
    "StuckMoney": Case(
        {'getpro_stuck_payments{kind="underpaid"}': steady(2)},
        {'getpro_stuck_payments{kind="underpaid"}': "_x80 2x10"},
        value="2",
    ),
    "RefundsNotMade": Case(
        {'getpro_refunds_open{status="refused"}': steady(1)},
        {'getpro_refunds_open{status="pending"}': "_x40 1x50"},
        value="1",
    ),
    "WebhookSignatureFailures": Case(
        {'getpro_webhooks_total{door="yookassa", result="address"}': growing(1)},
        {'getpro_webhooks_total{door="yookassa", result="address"}': growing(0.5)},
        labels={"door": "yookassa"},
    ),
    "PanelUnreachable": Case(
        {PANEL % "away": growing(1)}, {PANEL % "away": growing(1), PANEL % "ok": growing(0.3)}
    ),
    "ProvisioningQueueStuck": Case(
        {'getpro_queue_oldest_seconds{queue="money"}': steady(700)},
        {'getpro_queue_oldest_seconds{queue="notices"}': steady(700)},
    ),
    "QueueFailed": Case(
        {'getpro_queue_jobs{queue="money", status="failed"}': steady(1)},
        {'getpro_queue_jobs{queue="upkeep", status="failed"}': steady(1)},
        value="1",
    ),
    "NoticesLate": Case(
        {"getpro_notices_oldest_seconds": steady(1000)}, {"getpro_notices_oldest_seconds": steady(60)}
    ),
    "RemindersLate": Case(
        {"getpro_reminders_late_seconds": steady(6000)}, {"getpro_reminders_late_seconds": steady(3600)}
    ),
    "PostgresDown": Case({"getpro_database_up": steady(0)}, {"getpro_database_up": steady(1)}),
    "PostgresConnectionsHigh": Case(
        {
            'getpro_database_connections{state="idle"}': steady(81),
            "getpro_database_connections_max": steady(100),
        },
        {
            'getpro_database_connections{state="idle"}': steady(79),
            "getpro_database_connections_max": steady(100),
        },
    ),
    "PostgresXidAge": Case(
        {"getpro_database_xid_age": steady(1.1e9)}, {"getpro_database_xid_age": steady(9e8)}
    ),
    "PostgresLongTransaction": Case(
        {"getpro_database_oldest_transaction_seconds": steady(601)},
        {"getpro_database_oldest_transaction_seconds": steady(599)},
    ),
    "PostgresDeadRows": Case(
        {
            'getpro_table_dead_rows{table="users"}': steady(2e5),
            'getpro_table_live_rows{table="users"}': steady(9e5),
        },
        {
            'getpro_table_dead_rows{table="users"}': steady(2e5),
            'getpro_table_live_rows{table="users"}': steady(2e6),
        },
        labels={"table": "users"},
    ),
    "TargetMissing": Case(
        {'up{job="node", instance="node:9100"}': steady(0)},
        {'up{job="node", instance="node:9100"}': "1x85 0 0 0 0 0"},
        labels={"job": "node", "instance": "node:9100"},
    ),
    "NewErrorSpike": Case(
        {
            'getpro_error_kinds_total{job="bot"}': "2x60 4x140",
            'getpro_error_kinds_total{job="worker"}': "0x70 2x130",
        },
        {'getpro_error_kinds_total{job="bot"}': "0x60 3x140"},
        value="4",
    ),
    "FiguresFailed": Case({"getpro_figures_failed": steady(1)}, {"getpro_figures_failed": steady(0)}),
    "RoutineMissed": Case(
        {'getpro_routine_late_seconds{routine="morning"}': steady(2000)},
        {
            'getpro_routine_late_seconds{routine="morning"}': steady(900),
            'getpro_routine_late_seconds{routine="thursday"}': steady(5000),
            'getpro_routine_late_seconds{routine="drill"}': steady(40000),
        },
        labels={"routine": "morning"},
    ),
    "NotificationsFailing": Case(
        {'alertmanager_notifications_failed_total{integration="webhook"}': growing(1)},
        {'alertmanager_notifications_failed_total{integration="webhook"}': steady(7)},
        labels={"integration": "webhook"},
    ),
    "AckOverdue": Case(
        {'getpro_incident_unanswered_seconds{level="L3"}': steady(901)},
        {
            'getpro_incident_unanswered_seconds{level="L1"}': steady(14400),
            'getpro_incident_unanswered_seconds{level="L2"}': steady(3600),
            'getpro_incident_unanswered_seconds{level="L3"}': steady(899),
        },
        labels={"level": "L3"},
    ),
    "DiskAlmostFull": Case(
        {AVAIL: steady(9e9), SIZE: steady(1e11)}, {AVAIL: steady(2e10), SIZE: steady(1e11)}, labels=OF_DISK
    ),
    "DiskWillFill24h": Case(
        {AVAIL: "100000000000-100000000x400"}, {AVAIL: "100000000000-10000000x400"}, at="380m", labels=OF_DISK
    ),
    "DiskWillFill30d": Case(  # of 200 GB a fifth is left; an eighth of a gigabyte an hour, or a twentieth
        {AVAIL: "60000000000-125000000x200"},
        {AVAIL: "60000000000-50000000x200"},
        at="150h",
        labels=OF_DISK,
        every="1h",
    ),
    "MemoryLow": Case(
        {"node_memory_MemAvailable_bytes": steady(9e8), "node_memory_MemTotal_bytes": steady(1e10)},
        {"node_memory_MemAvailable_bytes": steady(2e9), "node_memory_MemTotal_bytes": steady(1e10)},
    ),
    "OomKill": Case({"node_vmstat_oom_kill": "0x85 1x10"}, {"node_vmstat_oom_kill": steady(4)}),
    "ServiceRestartLoop": Case(
        {'process_start_time_seconds{job="bot"}': "1x70 2x3 3x3 4x30"},
        {'process_start_time_seconds{job="bot"}': "1x70 2x30"},
        labels={"job": "bot"},
    ),
    "CertExpiresSoon": Case(
        {CERTIFICATE: steady(13 * DAY)}, {CERTIFICATE: steady(15 * DAY)}, labels=OF_CERTIFICATE
    ),
    "CertExpiresVerySoon": Case(
        {CERTIFICATE: steady(2 * DAY)}, {CERTIFICATE: steady(4 * DAY)}, labels=OF_CERTIFICATE
    ),
    "AddressUnreachable": Case(
        {OPENS: steady(0)},
        {OPENS: "1x86 0 0 0 0"},
        labels={"instance": "https://shop.example/health/live", "job": "blackbox-http"},
    ),
    "BackupTooOld": Case(
        {"getpro_backup_age_seconds": steady(94_000)},
        {"getpro_backup_age_seconds": steady(94_000), "getpro_backup_off": steady(1)},
    ),
    "BackupFromFuture": Case(
        {"getpro_backup_age_seconds": steady(-700)}, {"getpro_backup_age_seconds": steady(-500)}
    ),
    "BackupSizeAnomaly": Case(
        {"getpro_backup_bytes": "1000x80 600x20"},
        {"getpro_backup_bytes": "1000x80 800x20"},
    ),
    "WalArchiveFailing": Case(
        {"getpro_wal_unsafe_seconds": steady(1000)},
        {"getpro_wal_unsafe_seconds": steady(1000), "getpro_wal_off": steady(1)},
    ),
    "BaseBackupTooOld": Case(
        {"getpro_base_backup_age_seconds": steady(51 * 3600)},
        {"getpro_base_backup_age_seconds": steady(49 * 3600)},
    ),
    "OffsiteMissing": Case(
        {"getpro_backup_offsite_age_seconds": steady(94_000), "getpro_backup_offsite": steady(1)},
        {"getpro_backup_offsite_age_seconds": steady(94_000), "getpro_backup_offsite": steady(0)},
    ),
    "BaseOffsiteMissing": Case(
        {"getpro_base_backup_offsite_age_seconds": steady(51 * 3600)},
        {"getpro_base_backup_offsite_age_seconds": steady(49 * 3600)},
    ),
    "RestoreTestFailed": Case(
        {"getpro_restore_test_success": steady(0)}, {"getpro_restore_test_success": steady(1)}
    ),
    "RestoreTestOverdue": Case(
        {"getpro_restore_test_age_seconds": steady(8.5 * DAY)},
        {"getpro_restore_test_age_seconds": steady(7.5 * DAY)},
    ),
    "BaseTestOverdue": Case(
        {"getpro_base_backup_test_age_seconds": steady(51 * 3600)},
        {"getpro_base_backup_test_age_seconds": steady(51 * 3600), "getpro_wal_off": steady(1)},
    ),
    "DrDrillOverdue": Case(
        {"getpro_drill_age_seconds": steady(36 * DAY)},
        {"getpro_drill_age_seconds": steady(34 * DAY)},
    ),
    "RtoBudgetExceeded": Case(
        {"getpro_drill_rto_seconds": steady(901)},
        {"getpro_drill_rto_seconds": steady(899)},
    ),
    "FirewallDrift": Case(
        {LEVEL % "security.ports": steady(3)},
        {LEVEL % "security.firewall": steady(1), LEVEL % "security.certificates": steady(3)},
        labels={"check": "security.ports"},
    ),
    "VulnerableDependency": Case(
        {LEVEL % "dependencies.vulnerable": steady(3)},
        {LEVEL % "dependencies.vulnerable": steady(1)},
        labels={"check": "dependencies.vulnerable"},
    ),
    "AuditIncomplete": Case(
        {LEVEL % "dependencies.vulnerable": steady(2)},
        {LEVEL % "dependencies.vulnerable": steady(3), LEVEL % "logs.errors": steady(2)},
        labels={"check": "dependencies.vulnerable"},
    ),
    "SecretOverdueRotation": Case(
        {LEVEL % "secrets.age.PANEL_TOKEN": steady(3)},
        {LEVEL % "secrets.age.PANEL_TOKEN": steady(1), LEVEL % "secrets.strength": steady(3)},
        labels={"check": "secrets.age.PANEL_TOKEN"},
    ),
    "AdminLoginAnomaly": Case(
        {WATCHED % "access.new.eve": steady(1)},
        {WATCHED % "access.anomalies": steady(0), WATCHED % "logs.errors": steady(3)},
        labels={"check": "access.new.eve"},
    ),
}


def expected(rule: dict[str, Any], case: Case) -> dict[str, Any]:
    summary = rule["annotations"]["summary"].replace("{{ $value }}", case.value)
    for name, value in case.labels.items():
        summary = summary.replace(f"{{{{ $labels.{name} }}}}", value)
    return {
        "exp_labels": {"severity": rule["labels"]["severity"], **case.labels},
        "exp_annotations": {"summary": summary, "runbook_url": rule["annotations"]["runbook_url"]},
    }


def unit(name: str, series: dict[str, str], case: Case, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": case.every,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": case.at, "alertname": name, "exp_alerts": alerts}],
    }


def judged(
    tmp_path: Path, name: str, tests: list[dict[str, Any]], every: str = "1m"
) -> "subprocess.CompletedProcess[str]":
    """What promtool says of the rule ``name``, read with those of its file.

    As often as its group says, or else ``every`` so often.
    """
    rules_file, every = next(
        (file, group.get("interval", every))
        for file in RULES
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if rule.get("alert") == name
    )
    file = tmp_path / "tests.yml"
    body = {"rule_files": [str(rules_file)], "evaluation_interval": every, "tests": tests}
    file.write_text(json.dumps(body), encoding="utf-8")  # which is YAML, too
    program = shutil.which("promtool")
    assert program
    return subprocess.run([program, "test", "rules", str(file)], capture_output=True, text=True, check=False)


@promtool
def test_the_rules_are_ones(tmp_path: Path) -> None:
    said = subprocess.run(
        ["promtool", "check", "rules", *map(str, RULES)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr + said.stdout


@promtool
@pytest.mark.parametrize("name", sorted(CASES))
def test_an_alert_fires_where_it_must_and_is_quiet_where_it_may(name: str, tmp_path: Path) -> None:
    rule, case = rules()[name], CASES[name]
    said = judged(
        tmp_path,
        name,
        [unit(name, case.fires, case, [expected(rule, case)]), unit(name, case.quiet, case, [])],
        case.every,
    )
    assert said.returncode == 0, said.stdout + said.stderr


@promtool
@pytest.mark.parametrize("name", ["BotDown", "WorkerDown", "PostgresDown"])
def test_what_is_gone_without_a_trace_is_down(name: str, tmp_path: Path) -> None:
    """A target that nobody scrapes any more has no series at all."""
    rule = rules()[name]
    labels = {"BotDown": {"job": "bot"}, "WorkerDown": {"job": "worker"}}.get(name, {})
    case = Case({"something_else": steady(1)}, {}, labels=labels)
    said = judged(tmp_path, name, [unit(name, case.fires, case, [expected(rule, case)])])
    assert said.returncode == 0, said.stdout + said.stderr


FIRST_MINUTES = "0x2 1x60"
PURCHASE_ALERTS = ("SyntheticPurchaseFailing", "AvailabilityFastBurn")


@promtool
@pytest.mark.parametrize("name", PURCHASE_ALERTS)
@pytest.mark.parametrize(
    "series",
    [
        {"something_else": steady(1)},
        bought(steady(1), last_at="0+60x60 3600x100"),
        bought(steady(1), last_at="0+60x60 3600x100") | {"getpro_synthetic_purchase_off": steady(0)},
        {"getpro_synthetic_purchase_off": "1x60 0x60"},
    ],
    ids=["nobody shows anything", "nobody has bought for half an hour", "nor is it switched off", "on again"],
)
def test_that_nobody_knows_whether_one_can_buy_is_as_bad_as_that_one_cannot(
    name: str, series: dict[str, str], tmp_path: Path
) -> None:
    rule, case = rules()[name], Case(series, {})
    said = judged(tmp_path, name, [unit(name, series, case, [expected(rule, case)])])
    assert said.returncode == 0, said.stdout + said.stderr


@promtool
@pytest.mark.parametrize("name", PURCHASE_ALERTS)
@pytest.mark.parametrize(
    "series",
    [
        {"getpro_synthetic_purchase_off": steady(1)},
        {"getpro_synthetic_purchase_off": "1x60 stale _x60"},
        bought(FIRST_MINUTES),
        bought(steady(0), last_at="0+60x30 1800x100")
        | {
            BOUGHT.replace('"a"', '"b"'): "_x31 1x170",
            BOUGHT_AT.replace('"a"', '"b"'): "_x31 1860+60x170",
            BOUGHT.replace("worker", "bot"): steady(0),
            BOUGHT_AT.replace("worker", "bot"): steady(0),
        },
    ],
    ids=["switched off", "off and down", "a shop that has just begun", "another worker has bought since"],
)
def test_no_purchase_that_was_expected_is_missed(name: str, series: dict[str, str], tmp_path: Path) -> None:
    case = Case({}, series, at="4m" if series == bought(FIRST_MINUTES) else "90m")
    said = judged(tmp_path, name, [unit(name, series, case, [])])
    assert said.returncode == 0, said.stdout + said.stderr


@promtool
@pytest.mark.parametrize("gone", ["getpro_undelivered", "getpro_undelivered_oldest_seconds"])
def test_money_that_waits_is_not_over_because_the_database_is_away(gone: str, tmp_path: Path) -> None:
    """Its figure is gone with the database, whose own alert comes first and then silences this one."""
    name = "ManyPaidNotDelivered" if "oldest" in gone else "PaymentsPaidNotDelivered"
    case = Case({PAID: "3x60 stale _x60", OLDEST: "4000x60 stale _x60"}, {}, value="3")
    alerts = [expected(rules()[name], case)]
    tests = [unit(name, case.fires, replace(case, at="63m"), alerts)]
    tests.append(unit(name, case.fires, replace(case, at="66m"), []))
    said = judged(tmp_path, name, tests)
    assert said.returncode == 0, said.stdout + said.stderr


@promtool
@pytest.mark.parametrize(
    ("name", "check", "level"),
    [
        ("FirewallDrift", "security.firewall", 3),
        ("AuditIncomplete", "security.firewall", 2),
        ("AuditIncomplete", "security.ports", 2),
    ],
)
def test_a_look_at_the_outside_alerts_by_its_own_name(
    name: str, check: str, level: int, tmp_path: Path
) -> None:
    case = Case({LEVEL % check: steady(level)}, {}, labels={"check": check})
    said = judged(tmp_path, name, [unit(name, case.fires, case, [expected(rules()[name], case)])])
    assert said.returncode == 0, said.stdout + said.stderr


@promtool
def test_what_tuesday_could_not_ask_is_over_when_wednesday_could(tmp_path: Path) -> None:
    line, name = LEVEL % "dependencies.vulnerable", "AuditIncomplete"
    case = Case({}, {line: steady(0), line.replace("wednesday", "tuesday"): steady(2)})
    said = judged(tmp_path, name, [unit(name, case.quiet, case, [])])
    assert said.returncode == 0, said.stdout + said.stderr


@promtool
@pytest.mark.parametrize(
    ("name", "series", "labels"),
    [
        (
            "NotificationsFailing",
            'getpro_page_waiting_seconds{route="telegram"}',
            {"integration": "telegram"},
        ),
        ("AckOverdue", 'getpro_incident_unanswered_seconds{level="L1"}', {"level": "L1"}),
        ("AckOverdue", 'getpro_incident_unanswered_seconds{level="L2"}', {"level": "L2"}),
    ],
)
def test_a_call_that_does_not_arrive_or_is_not_answered_fires(
    tmp_path: Path, name: str, series: str, labels: dict[str, str]
) -> None:
    case = Case({series: steady(14401)}, {}, labels=labels)
    said = judged(tmp_path, name, [unit(name, case.fires, case, [expected(rules()[name], case)])])
    assert said.returncode == 0, said.stdout + said.stderr


@promtool
def test_a_worker_that_is_down_is_not_a_database_that_is_down(tmp_path: Path) -> None:
    case = Case({WORKER: steady(0)}, {})
    said = judged(tmp_path, "PostgresDown", [unit("PostgresDown", case.fires, case, [])])
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_rule_has_its_case() -> None:
    assert rules().keys() == CASES.keys() | {"Watchdog"}


@pytest.mark.parametrize("name", sorted(rules()))
def test_every_rule_has_a_severity_and_a_runbook_that_exists(name: str) -> None:
    rule = rules()[name]
    assert rule["labels"]["severity"] in {"L1", "L2", "L3"} | ({"none"} if name == "Watchdog" else set())
    runbook = ROOT / rule["annotations"]["runbook_url"]
    assert runbook.is_file(), runbook
    assert f"`{name}`" in runbook.read_text(encoding="utf-8")


def test_no_runbook_is_left_over() -> None:
    used = {ROOT / rule["annotations"]["runbook_url"] for rule in rules().values()}
    assert set(RUNBOOKS.glob("*.md")) - {RUNBOOKS / "README.md"} == used
