"""The database's housekeeping: sizes, dead rows, indexes that nobody uses or that are there twice."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from getpro.checks.check import Finding, Line
from getpro.operations.figures import rows_of
from getpro.platform.database import DATABASE_AWAY, Database

SIZES: Final = Line("database.sizes", "Самые большие таблицы")
DEAD: Final = Line("database.dead_rows", "Мёртвые строки")
INDEXES: Final = Line("database.indexes", "Индексы")
_SHOWN: Final = 5
_MANY_DEAD: Final = 100_000
_DEAD_SHARE: Final = 0.2
_AWAY: Final = "Проверьте базу: 2getpro doctor."
_MIB: Final = 1024**2
_UNUSED: Final = """
SELECT s.indexrelid::regclass::text FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid)
WHERE s.schemaname = 'public' AND s.idx_scan = 0 AND NOT i.indisunique
    AND pg_relation_size(s.indexrelid) > 10 * 1024 * 1024
ORDER BY pg_relation_size(s.indexrelid) DESC
"""
"""Large ones only, since the statistics were reset: a new index has not been used yet either."""
_TWICE: Final = """
SELECT string_agg(indexrelid::regclass::text, ', ' ORDER BY indexrelid) FROM pg_index
WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
GROUP BY indrelid, indclass::text, indkey::text, coalesce(pg_get_expr(indexprs, indrelid), ''),
    coalesce(pg_get_expr(indpred, indrelid), '')
HAVING count(*) > 1
"""
_INVALID: Final = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


async def look_at_sizes(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    try:
        async with db.read("look: sizes") as session:
            rows = await rows_of(session, "getpro_table_bytes", now=now)
    except (*DATABASE_AWAY, SQLAlchemyError) as error:
        yield SIZES.unknown(f"база не ответила: {type(error).__name__}", _AWAY)
        return
    largest = sorted(rows, key=lambda row: -row[1])[:_SHOWN]
    yield SIZES.ok(", ".join(f"{name} {float(size) / _MIB:.0f} МБ" for name, size in largest))


async def look_at_dead_rows(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    try:
        async with db.read("look: dead rows") as session:
            dead = dict(await rows_of(session, "getpro_table_dead_rows", now=now))
            live = dict(await rows_of(session, "getpro_table_live_rows", now=now))
    except (*DATABASE_AWAY, SQLAlchemyError) as error:
        yield DEAD.unknown(f"база не ответила: {type(error).__name__}", _AWAY)
        return
    many = [
        f"{name} {count}"
        for name, count in dead.items()
        if count > _MANY_DEAD and count > _DEAD_SHARE * live.get(name, 0)
    ]
    if many:
        yield DEAD.attention(
            ", ".join(many), "2getpro ops thursday уберёт их; узнайте, почему не убирает автоуборка."
        )
    else:
        yield DEAD.ok(f"всего {sum(dead.values())}")


async def look_at_indexes(db: Database) -> AsyncIterator[Finding]:
    """Suggestions only: nothing is ever dropped."""
    try:
        async with db.read("look: indexes") as session:
            unused = (await session.scalars(text(_UNUSED))).all()
            twice = (await session.scalars(text(_TWICE))).all()
            invalid = (await session.scalars(text(_INVALID))).all()
    except (*DATABASE_AWAY, SQLAlchemyError) as error:
        yield INDEXES.unknown(f"база не ответила: {type(error).__name__}", _AWAY)
        return
    for name in invalid:
        yield INDEXES.wrong(f"{name} не достроен и не работает", f"В 2getpro psql: REINDEX INDEX {name};")
    for names in twice:
        yield INDEXES.attention(f"одинаковые: {names}", "Один из них лишний: покажите разработчикам.")
    for name in unused:
        yield INDEXES.attention(f"{name} ни разу не пригодился", "Покажите разработчикам; сами не удаляйте.")
    if not (invalid or twice or unused):
        yield INDEXES.ok("лишних и сломанных нет")
