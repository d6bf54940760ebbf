"""How long the operations guide's own queries take on a database with a long past."""

import time

import psycopg

from getpro.operations.queries import GUIDES


def slowest(database_url: str) -> dict[str, float]:
    """Seconds that each query of the guide takes, by its name: the second run of two, slowest first."""
    found = {}
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name, query in GUIDES.items():
            for _ in range(2):
                started = time.monotonic()
                connection.execute(query.encode()).fetchall()
                found[name] = time.monotonic() - started
    return dict(sorted(found.items(), key=lambda item: -item[1]))
