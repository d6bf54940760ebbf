"""The database's housekeeping: size, growth, dead rows, indexes that are missing or too many."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text

from getpro.checks.check import Finding, Line
from getpro.operations import samples
from getpro.operations.figures import rows_of
from getpro.operations.looks.asking import asks_database
from getpro.operations.trends import Sample, growth
from getpro.platform.database import Database

SIZES: Final = Line("database.sizes", "Размер базы и таблиц")
DEAD: Final = Line("database.dead_rows", "Мёртвые строки")
INDEXES: Final = Line("database.indexes", "Индексы")
_SHOWN: Final = 5
_SHOW: Final = "Покажите разработчикам; сами не создавайте и не удаляйте."
_MANY_DEAD: Final = 100_000
_DEAD_SHARE: Final = 0.2
_MIB: Final = 1024**2
_WEEK: Final = 7
_MONTH: Final = 30
_LARGE_BYTES: Final = 100 * _MIB
_WEEKLY_SHARE: Final = 0.5
"""A large table that grows by so much of itself in a week is worth a look."""
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
_UNSUPPORTED: Final = """
SELECT conrelid::regclass::text, conname, string_agg(a.attname, ', ' ORDER BY k.place)
FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attnum = k.number
WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND a.attrelid = c.conrelid
    AND (SELECT reltuples FROM pg_class WHERE oid = c.conrelid) > :many
    AND (SELECT n_tup_del FROM pg_stat_user_tables WHERE relid = c.confrelid) > :deleted
    AND NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indisvalid
            AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
    )
GROUP BY 1, 2
ORDER BY 1, 2
"""
"""Keys that no index begins with, to tables whose rows go: each that goes has all of this table read."""
_SCANNED: Final = """
SELECT relid::regclass::text, seq_scan FROM pg_stat_user_tables
WHERE schemaname = 'public' AND n_live_tup > :many AND seq_scan > 100
    AND seq_scan > 0.1 * (seq_scan + coalesce(idx_scan, 0))
ORDER BY seq_tup_read DESC
"""
"""Read whole more often than a tenth of the times, since the statistics were reset."""
_MANY_ROWS: Final = 10_000
_MANY_DELETED: Final = 100
_INVALID: Final = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


@asks_database(SIZES)
async def look_at_sizes(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    """Of the database and of its largest tables, with what a week and a month have added."""
    since = now - timedelta(days=_MONTH + 3)
    async with db.read("look: sizes") as session:
        [(whole,)] = await rows_of(session, "getpro_database_bytes", now=now)
        rows = await rows_of(session, "getpro_table_bytes", now=now)
        wholes = await samples.of(session, "getpro_database_bytes", since=since, until=now)
        kept = await samples.of(session, "getpro_table_bytes", since=since, until=now)
    yield SIZES.ok(f"база {_grown(float(whole), wholes.get('', []), now)}")
    for name, size in sorted(rows, key=lambda row: -row[1])[:_SHOWN]:
        line = Line(f"{SIZES.name}.{name}", f"Таблица {name}")
        bytes_now, series = float(size), kept.get(name, [])
        seen, week = _grown(bytes_now, series, now), growth(series, bytes_now, now=now, days=_WEEK)
        if week is not None and bytes_now > _LARGE_BYTES and week > _WEEKLY_SHARE * (bytes_now - week):
            yield line.attention(f"{seen}: растёт быстро", "Узнайте, что в неё пишут; 2getpro ops evening.")
        else:
            yield line.ok(seen)


def _grown(size: float, series: list[Sample], now: datetime) -> str:
    told = [f"{_megabytes(size)} МБ"]
    for days in (_WEEK, _MONTH):
        added = growth(series, size, now=now, days=days)
        told.append(
            f"за {days} дн мало данных" if added is None else f"за {days} дн {_megabytes(added, sign='+')} МБ"
        )
    return ", ".join(told)


def _megabytes(size: float, *, sign: str = "") -> str:
    return f"{size / _MIB:{sign}.0f}".replace("-", "−")


@asks_database(DEAD)
async def look_at_dead_rows(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    async with db.read("look: dead rows") as session:
        dead = dict(await rows_of(session, "getpro_table_dead_rows", now=now))
        live = dict(await rows_of(session, "getpro_table_live_rows", now=now))
    many = [
        f"{name} {count}"
        for name, count in dead.items()
        if count > _MANY_DEAD and count > _DEAD_SHARE * float(live.get(name, 0))
    ]
    if many:
        yield DEAD.attention(
            ", ".join(many), "2getpro ops thursday уберёт их; узнайте, почему не убирает автоуборка."
        )
    else:
        yield DEAD.ok(f"всего {sum(dead.values())}")


@asks_database(INDEXES)
async def look_at_indexes(db: Database) -> AsyncIterator[Finding]:
    """Suggestions only: nothing is ever dropped."""
    async with db.read("look: indexes") as session:
        unused = (await session.scalars(text(_UNUSED))).all()
        twice = (await session.scalars(text(_TWICE))).all()
        invalid = (await session.scalars(text(_INVALID))).all()
        unsupported = (
            await session.execute(text(_UNSUPPORTED), {"many": _MANY_ROWS, "deleted": _MANY_DELETED})
        ).all()
        scanned = (await session.execute(text(_SCANNED), {"many": _MANY_ROWS})).all()
    for name in invalid:
        yield INDEXES.wrong(f"{name} не достроен и не работает", f"В 2getpro psql: REINDEX INDEX {name};")
    for names in twice:
        yield INDEXES.attention(f"одинаковые: {names}", f"Один из них лишний. {_SHOW}")
    for name in unused:
        yield INDEXES.attention(f"{name} ни разу не пригодился", _SHOW)
    for table, key, columns in unsupported:
        yield INDEXES.attention(f"не хватает: {table} ({columns}) для {key}", _SHOW)
    for table, times in scanned:
        yield INDEXES.attention(f"{table} читают целиком, {times} раз: не хватает индекса?", _SHOW)
    if not (invalid or twice or unused or unsupported or scanned):
        yield INDEXES.ok("лишних, сломанных и недостающих нет")
