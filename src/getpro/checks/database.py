"""The database: there, new enough, ours, private, and of the same time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import psycopg

from getpro import migrations
from getpro.checks.check import CALL_SECONDS, Finding, Level, Line
from getpro.checks.machine import judged_clock
from getpro.kit.trouble import Trouble, system_words
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.address import impatient, wrong_address

DATABASE: Final = Line("database", "База данных")
_SCHEMA: Final = Line("database.migrations", "База: таблицы")
_BOOKS: Final = Line("database.books", "База: сверка")
_TLS: Final = Line("database.tls", "База: TLS")
_ZONE: Final = Line("database.zone", "База: часовой пояс")
_CLOCK: Final = Line("database.clock", "База: часы")
_OLDEST: Final = 15
_POINT_IN_TIME: Final = 17

Lost = Callable[[], Trouble | None]
"""Says of a database that is not there, or is empty, that there was one: its copies are left."""


def never() -> Trouble | None:
    return None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a connection tells about its server."""

    name: str
    version: str
    major: int
    has_tables: bool
    is_local: bool
    is_encrypted: bool
    zone: str
    skew_seconds: float
    """How far its clock is ahead of ours."""


async def look(url: str, zone: str, *, lost: Lost = never) -> AsyncIterator[Finding]:
    """``zone`` is the shop's time zone."""
    if (told := wrong_address(url)) is not None:
        yield DATABASE.wrong(*told)
        return
    try:
        seen = await asyncio.to_thread(_ask, url)
    except (psycopg.Error, ValueError) as error:
        yield DATABASE.wrong(
            f"не отвечает: {_without_password(error, url)}",
            "Проверьте DATABASE_URL и что PostgreSQL запущен.",
        )
        return
    yield judged_version(seen)
    if not seen.has_tables and (trouble := lost()) is not None:
        yield _SCHEMA.wrong(trouble.why.rstrip("."), trouble.remedy)
        return
    schema = await asyncio.to_thread(_look_at_schema, url, seen)
    yield schema
    if seen.has_tables and schema.level is Level.OK and await asyncio.to_thread(_is_held, url):
        yield _BOOKS.wrong(
            "восстановлена на время в прошлом, сверка не закончена: магазин не продаёт и не выдаёт",
            "Доведите её до конца: 2getpro reconcile",
        )
    if not seen.is_local:
        yield _judged_tls(seen)
    yield _judged_zone(seen, zone)
    yield judged_clock(_CLOCK, seen.skew_seconds, "по часам базы")


async def look_at_own(directory: Path, zone: str, *, lost: Lost = never) -> AsyncIterator[Finding]:
    """The embedded one, as it is: it is neither made nor started for this."""
    try:
        own = Cluster(directory)
        cluster = own if own.is_made else None
        runs = cluster is not None and cluster.server_pid() is not None
    except OSError as error:
        yield DATABASE.unknown(
            f"{directory}: {system_words(error)}", "Запустите от того пользователя, что и магазин."
        )
        return
    if cluster is None and (trouble := lost()) is not None:
        yield DATABASE.wrong(trouble.why.rstrip("."), trouble.remedy)
    elif cluster is None:
        yield DATABASE.ok(f"своя, будет создана при первом запуске в {directory}")
    elif not runs:
        yield DATABASE.attention(f"своя, в {directory}: остановлена", "Её запускает 2getpro run.")
    else:
        async for finding in look(cluster.url(), zone, lost=lost):
            yield finding


def _ask(url: str) -> Seen:
    with psycopg.connect(impatient(url, seconds=CALL_SECONDS), autocommit=True) as connection:
        before = datetime.now(UTC)
        row = connection.execute(
            "SELECT clock_timestamp(), current_setting('TimeZone'),"
            " to_regclass('alembic_version') IS NOT NULL"
        ).fetchone()
        middle = before + (datetime.now(UTC) - before) / 2
        assert row is not None
        return Seen(
            name=connection.info.dbname,
            version=connection.info.parameter_status("server_version") or "",
            major=connection.info.server_version // 10000,
            has_tables=row[2],
            is_local=_is_local(connection.info.host),
            is_encrypted=bool(connection.pgconn.ssl_in_use),
            zone=row[1],
            skew_seconds=(row[0] - middle).total_seconds(),
        )


def judged_version(seen: Seen) -> Finding:
    version = f"PostgreSQL {seen.version.partition(' ')[0]}"
    if seen.major < _OLDEST:
        return DATABASE.wrong(
            f"{version}: слишком старый", "Обновите PostgreSQL до 15 или новее, лучше до 18."
        )
    if seen.major < _POINT_IN_TIME:
        return DATABASE.attention(
            f"{version}: годится, но копии на любой момент времени требуют 17",
            "Обновите PostgreSQL до 17 или 18, когда будет удобно.",
        )
    return DATABASE.ok(version)


def _look_at_schema(url: str, seen: Seen) -> Finding:
    try:
        if migrations.is_current(impatient(url, seconds=CALL_SECONDS)):
            return _SCHEMA.ok(f"версии программы ({migrations.HEAD})")
    except Trouble as trouble:
        return _SCHEMA.wrong(f"{trouble.what} {trouble.why}", trouble.remedy)
    if not seen.has_tables:
        return _SCHEMA.ok("пока нет: их создаст 2getpro run")
    return _SCHEMA.attention("старее программы", "Выполните: 2getpro migrate (2getpro run делает это сам).")


def _is_held(url: str) -> bool:
    with psycopg.connect(impatient(url, seconds=CALL_SECONDS), autocommit=True) as connection:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM restores WHERE reconciled_at IS NULL)"
        ).fetchone()
    return row == (True,)


def _judged_tls(seen: Seen) -> Finding:
    if seen.is_encrypted:
        return _TLS.ok("соединение зашифровано")
    return _TLS.attention(
        "база на другой машине, а соединение не зашифровано",
        "Включите TLS на сервере и добавьте к DATABASE_URL ?sslmode=require.",
    )


def _judged_zone(seen: Seen, zone: str) -> Finding:
    if seen.zone == zone:
        return _ZONE.ok(zone)
    return _ZONE.attention(
        f"{seen.zone}, а у магазина {zone}: сутки в запросах другие",
        f"""В 2getpro psql: ALTER DATABASE "{seen.name}" SET timezone TO '{zone}';""",
    )


def _is_local(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _without_password(error: Exception, url: str) -> str:
    """The first line of what was said; an address that cannot be read is quoted in it."""
    said = (str(error).splitlines() or ["без объяснений"])[0]
    password = urlsplit(url).password or ""
    for secret in filter(None, (password, unquote(password))):
        said = said.replace(secret, "***")
    return said
