"""How many SQL statements a press of the menu costs, counted by PostgreSQL's own log."""

import asyncio
import re
from typing import Final

import psycopg

from bench.people import Crowd
from bench.stage import Stage
from bench.updates import walk

_STATEMENT: Final = re.compile(r"LOG:  (?:statement|execute [^:]*): *(.*)")
_NOT_COUNTED: Final = re.compile(r"BEGIN|COMMIT|ROLLBACK|SET |$")
PRESSES: Final = 100
_WRITTEN_SECONDS: Final = 2
"""What is written after the answer, e.g. the message log, is counted too."""
_KNOWN: Final = range(400_000_000, 400_000_020)


def measure(stage: Stage) -> float:
    """Statements a press, of a web process by itself: a worker has some of its own."""
    with stage.shop("web") as shop:
        return asyncio.run(_count_presses(stage, shop.updates))


async def _count_presses(stage: Stage, bot: str) -> float:
    async with Crowd.at(bot, stage.telegram) as crowd:
        for who in _KNOWN:
            await crowd.says(who, "/start")
        await _log_statements(stage, "all")
        before = _count(stage)
        for who in list(_KNOWN) * (PRESSES // len(_KNOWN)):
            await walk(crowd, who)
        await asyncio.sleep(_WRITTEN_SECONDS)
        counted = _count(stage) - before
        await _log_statements(stage, "none")
        return counted / PRESSES


async def _log_statements(stage: Stage, which: str) -> None:
    with psycopg.connect(stage.database_url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET log_statement = '{which}'".encode())
        connection.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(_WRITTEN_SECONDS)


def _count(stage: Stage) -> int:
    log = (stage.directory / "postgres/server.log").read_text(encoding="utf-8")
    return sum(_NOT_COUNTED.match(found[1]) is None for found in _STATEMENT.finditer(log))
