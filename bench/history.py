"""How long the operations guide's own queries take on a database with a long past."""

import re
import time
from pathlib import Path

import psycopg

from bench.stage import ROOT

QUERIES = ROOT / "tests/house/guide.sql"


def slowest(database_url: str) -> dict[str, float]:
    """Seconds that each query of the guide takes, by its name: the second run of two, slowest first."""
    found = {}
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name, query in _queries(QUERIES).items():
            for _ in range(2):
                started = time.monotonic()
                connection.execute(query.encode()).fetchall()
                found[name] = time.monotonic() - started
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _queries(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    return dict(re.findall(r"-- name: (\w+)\n(.*?;)", text, re.DOTALL))
