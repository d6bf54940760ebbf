"""The guide's ``VACUUM ANALYZE``, a table at a time, waiting for nobody longer than a moment."""

from collections.abc import AsyncIterator
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy import text

from getpro.checks.check import Finding, Line
from getpro.platform.database import DATABASE_AWAY, Database, driver_connection

VACUUM: Final = Line("database.vacuum", "Уборка таблиц")
_TABLES: Final = (
    "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'"
    " AND n_live_tup + n_dead_tup > 0 ORDER BY n_dead_tup DESC"
)
_DEAD: Final = "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables WHERE schemaname = 'public'"
_LOCK_SECONDS: Final = 5


async def clean(db: Database) -> AsyncIterator[Finding]:
    """Vacuum and analyse each table that has rows; one that somebody holds is left and told of."""
    left: list[str] = []
    try:
        async with db.connection() as session:
            tables = (await session.scalars(text(_TABLES))).all()
            before = await session.scalar(text(_DEAD))
            driver = await driver_connection(session)
            await driver.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
            try:
                for table in tables:
                    try:
                        await driver.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
                    except psycopg.errors.LockNotAvailable:
                        left.append(table)
            finally:
                await driver.execute("RESET lock_timeout")
            await driver.execute("SELECT pg_stat_clear_snapshot()")
            after = await session.scalar(text(_DEAD))
    except DATABASE_AWAY as error:
        yield VACUUM.unknown(f"база не ответила: {type(error).__name__}", "Проверьте базу: 2getpro doctor.")
        return
    seen = f"таблиц {len(tables) - len(left)}, мёртвых строк было {before}, стало {after}"
    if left:
        yield VACUUM.attention(f"{seen}; заняты: {', '.join(left)}", "Повторите позже: 2getpro ops thursday.")
    else:
        yield VACUUM.ok(seen)
