"""What the month's report costs on a shop with a long past: the command as an operator types it.

``./2getpro bench --report`` makes the table, and ends with 1 where a target is missed.
"""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import psycopg

from bench.data import Amounts, fill
from bench.stage import PYTHON, ROOT
from getpro import migrations
from getpro.operations.month.period import previous
from getpro.platform.postgres import Cluster

MOST_SECONDS: Final = 10
MOST_MIB: Final = 300
_LARGE: Final = Amounts(users=1_000_000, payments=5_000_000, messages=0)
_POLL_SECONDS: Final = 0.02
_SETTINGS: Final = {
    "TELEGRAM_BOT_TOKEN": "42:of-a-bench",
    "PANEL_URL": "http://panel.example",
    "PANEL_TOKEN": "of-a-bench",
}
_TIMES: Final = """
CREATE TEMP TABLE lived AS
SELECT user_id, payment_id, at, days, cause, amount,
       row_number() OVER (PARTITION BY user_id ORDER BY at, payment_id) AS number,
       sum(days) OVER own AS bought,
       date_trunc('second', at) - (sum(days) OVER own - days) * interval '1 day' AS anchor
FROM (
    SELECT user_id, payment_id, paid_at AS at, days, 'payment' AS cause, amount FROM payments
    WHERE status = 'succeeded'
    UNION ALL
    SELECT user_id, NULL, registration_date, 3, 'trial', NULL FROM users WHERE user_id % 10 < 6
) AS events
WINDOW own AS (PARTITION BY user_id ORDER BY at, payment_id ROWS UNBOUNDED PRECEDING)
"""
"""An end is the sum of days bought, from the latest moment that one had to be bought anew."""
_ENDS: Final = """
CREATE TEMP TABLE ended AS
SELECT *, lag(end_after) OVER (PARTITION BY user_id ORDER BY number) AS end_before
FROM (
    SELECT *, max(anchor) OVER (PARTITION BY user_id ORDER BY number) + bought * interval '1 day' AS end_after
    FROM lived
) AS found
"""
_SUBSCRIPTIONS: Final = """
INSERT INTO subscriptions (subscription_id, user_id, provider, is_active, start_date, end_date,
                           wanted_version, provisioned_version, next_reminder_at, first_paid_at)
SELECT user_id, user_id, 'yookassa', max(end_after) > now(), date_trunc('second', min(at)), max(end_after),
       count(*), count(*), NULL, min(at) FILTER (WHERE payment_id IS NOT NULL)
FROM ended GROUP BY user_id
"""
_CHANGES: Final = """
INSERT INTO subscription_changes (subscription_id, changed_at, cause, payment_id, days, end_before, end_after,
                                  delivered_at)
SELECT user_id, at, cause, payment_id, days, end_before, end_after, at + random() * interval '20 seconds'
FROM ended ORDER BY at
"""
_REFUNDS: Final = """
INSERT INTO refunds (payment_id, refund_key, status, origin, amount, refunded_amount, refunded_currency, days,
                     asked_by, reason, created_at, finished_at)
SELECT payment_id, gen_random_uuid(), 'succeeded', 'shop', amount, amount, 'RUB', 0, 'olga', 'asked',
       paid_at + interval '2 days', paid_at + interval '2 days'
FROM payments WHERE status = 'succeeded' AND payment_id % 100 = 0
"""
_LATE: Final = (
    "UPDATE payments SET recorded_at = paid_at + interval '6 days'"
    " WHERE status = 'succeeded' AND payment_id % 1000 = 0"
)
_DAYS: Final = """
INSERT INTO provider_days (provider, day, currency, theirs, ours, compared_at)
SELECT provider, (paid_at AT TIME ZONE 'Europe/Moscow')::date, 'RUB', sum(amount), sum(amount), now()
FROM payments WHERE status = 'succeeded' GROUP BY 1, 2
"""
_LOOKED: Final = """
INSERT INTO provider_looks SELECT provider, min(day), now(), now() FROM provider_days GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Measured:
    amounts: Amounts
    first_seconds: float
    """The command when nothing is kept yet: the month and the one before are counted."""
    again_seconds: float
    mib: float
    """The most that the command had in memory, with its typesetter."""

    @property
    def missed(self) -> list[str]:
        slow = max(self.first_seconds, self.again_seconds) > MOST_SECONDS
        return ["seconds"] * slow + ["memory"] * (self.mib > MOST_MIB)


def measure(amounts: Amounts = _LARGE) -> Measured:
    """On a database of its own, in a folder that its user may enter."""
    with tempfile.TemporaryDirectory(prefix="2getpro-bench-") as place:
        Path(place).chmod(0o711)
        with Cluster.running(Path(place) / "postgres", durable=False) as server:
            url = f"{server.rpartition('/')[0]}/bench_month"
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute("CREATE DATABASE bench_month")
            migrations.upgrade(url)
            grow(url, amounts)
            first = _reported(url, Path(place))
            again = _reported(url, Path(place))
    return Measured(amounts, first[0], again[0], max(first[1], again[1]))


def grow(url: str, amounts: Amounts) -> None:
    """A shop of so many, with every change of every subscription as the shop would have kept it."""
    fill(url, amounts)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE subscriptions CASCADE")
        connection.execute("SET work_mem = '256MB'")
        for statement in (_TIMES, _ENDS, _SUBSCRIPTIONS, _CHANGES, _REFUNDS, _LATE, _DAYS, _LOOKED):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")


def closed_month(today: date) -> date:
    """The newest month that is closed on any day of this one."""
    return previous(previous(today.replace(day=1)))


def _reported(url: str, place: Path) -> tuple[float, float]:
    """The command's seconds, and the most MiB that it had; raises RuntimeError where it brings no report."""
    paper = place / "report.pdf"
    paper.unlink(missing_ok=True)
    month = closed_month(datetime.now(UTC).date())
    environment = _SETTINGS | {
        "DATABASE_URL": url,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "src"),
    }
    started, most = time.monotonic(), 0.0
    with subprocess.Popen(
        [PYTHON, "-m", "getpro", "ops", "report", "--month", f"{month:%Y-%m}", "--json", "--out", str(paper)],
        env=environment,
        cwd=place,
        stdout=subprocess.PIPE,
    ) as process:
        while process.poll() is None:
            most = max(most, _resident(process.pid))
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - started
        assert process.stdout is not None
        said = process.stdout.read()
    if not paper.exists():
        raise RuntimeError(f"no report: {said.decode()}")
    unknown = [one["seen"] for one in json.loads(said)["findings"] if one["level"] == "unknown"]
    if unknown:
        raise RuntimeError(f"no report: {unknown}")
    return seconds, most


def _resident(pid: int) -> float:
    """MiB of a process and of those that it has started."""
    pages = 0
    for one in [pid, *_children(pid)]:
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):  # it has just ended
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        ]
    except OSError:
        return []


def as_markdown(measured: Measured, *, command: str) -> str:
    amounts = measured.amounts
    how = f"{os.cpu_count()} cores, {amounts.users:,} users, {amounts.payments:,} orders"
    rows = [
        ("`ops report --month … --out FILE.pdf`, nothing kept", f"{measured.first_seconds:.1f} s"),
        ("the same again, the month kept", f"{measured.again_seconds:.1f} s"),
        ("most memory of the command with its typesetter", f"{measured.mib:.0f} MiB"),
    ]
    to_hold = (f"< {MOST_SECONDS} s", f"< {MOST_SECONDS} s", f"< {MOST_MIB} MiB")
    table = (f"| {what} | {found} | {most} |" for (what, found), most in zip(rows, to_hold, strict=True))
    head = [
        f"{datetime.now(UTC):%Y-%m-%d}, `{command}`; {how}.",
        "",
        "| | measured | to hold |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *table]) + "\n"
