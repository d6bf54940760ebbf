"""The second week of a shop with a million users, five million payments and two years of samples."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psycopg
import pytest

from bench.data import Amounts, fill

SECONDS, MEGABYTES = 10, 300
ROOT: Final = Path(__file__).parents[2]
PICTURES: Final = ROOT / "artifacts/capacity"
SAMPLES: Final = """
INSERT INTO capacity_samples (what, subject, taken_at, value)
SELECT what, subject, at, level + per_day * extract(epoch FROM at - now()) / 86400
FROM (
    VALUES ('getpro_database_bytes', '', 4e9, 1e7), ('wal_bytes', '', 1e9, 0), ('peak_load', '', 1, 0),
           ('peak_memory_bytes', '', 1e9, 1e5), ('folder_bytes', 'backups', 4e10, 1e8),
           ('disk_bytes', 'data', 1e12, 0), ('disk_free_bytes', 'data', 5e11, -2e8)
) AS kept(what, subject, level, per_day), (
    SELECT date_trunc('day', now()) - n * interval '1 day' FROM generate_series(0, 700) AS n
    UNION
    SELECT date_trunc('hour', now()) - n * interval '1 hour' FROM generate_series(0, 839) AS n
) AS times(at)
"""
TABLES: Final = """
INSERT INTO capacity_samples (what, subject, taken_at, value)
SELECT 'getpro_table_bytes', 'table_' || t, date_trunc('hour', now()) - n * interval '1 hour', 1e9 - n
FROM generate_series(1, 50) AS t, generate_series(0, 839) AS n
"""
TAKE: Final = """
import asyncio, sys
from zoneinfo import ZoneInfo
from getpro.kit.clock import utc_now
from getpro.operations import samples
from getpro.operations.deps import Deps
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import OperationsSettings
async def take():
    db = Database(sys.argv[1])
    zone = ZoneInfo("Europe/Moscow")
    await samples.take(Deps(db, Jobs(sys.argv[1]), utc_now, zone, OperationsSettings(), {}))
    await db.close()
asyncio.run(take())
"""
LOOK: Final = """
import resource, sys
from getpro import cli
cli.execute(["ops", "capacity", "--users", "2000000", "--chart", "capacity.png", "--json"])
most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(most // 1024, file=sys.stderr)
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_million_users_take_ten_seconds_and_300_megabytes(
    database_url: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    fill(database_url, Amounts(1_000_000, 5_000_000, 5_000_000))
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in (SAMPLES, TABLES, "VACUUM ANALYZE capacity_samples"):
            connection.execute(statement.encode())
    (tmp_path / ".env").write_text(
        f"DATABASE_URL={database_url}\nTELEGRAM_BOT_TOKEN=42:TEST\nTELEGRAM_API_URL=http://127.0.0.1:9\n"
        f"PANEL_URL=http://127.0.0.1:9\nPANEL_TOKEN=t\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}

    def run(program: str, *arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return time.monotonic() - began, done

    counted, _ = run(TAKE, database_url)
    again, _ = run(TAKE, database_url)
    seconds, done = run(LOOK)
    megabytes = int(done.stderr.split()[-1])
    figure(f"capacity of a million users: {seconds:.1f} s, {megabytes} MiB")
    figure(f"… their past counted once in {counted:.1f} s, an hour's samples in {again:.1f} s")
    said = json.loads(done.stdout)
    assert said["what_if"]["is_measured"]
    assert len(said["months"]) == 12
    assert {one["name"] for one in said["growth"] if one["ahead"]} >= {"capacity.users", "database.growth"}
    PICTURES.mkdir(parents=True, exist_ok=True)
    shutil.copy(tmp_path / "capacity.png", PICTURES / "million.png")
    assert (seconds <= SECONDS, megabytes <= MEGABYTES) == (True, True), (seconds, megabytes)
