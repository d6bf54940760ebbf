"""The database that the shop lives on, replaced by one of the past, and the way back.

The one of the past is made beside it, under a name that says so, and takes its name in one transaction in
which the living one gets another: PostgreSQL renames databases so. At any moment there is a whole one under
the living name, the old or the new. docs/decisions/0023-restore-by-renaming.md
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from getpro.backups.errors import Busy, InUse, NotRestored, NotThere, Unsuitable
from getpro.backups.places import Mark, finish
from getpro.backups.progress import OnProgress, growing, silent
from getpro.backups.reach import major_of
from getpro.backups.restore import NAME, restore
from getpro.backups.sources import Source, require_new_enough
from getpro.kit import crashpoints
from getpro.platform.jobs import STALLED_SECONDS
from getpro.platform.postgres import tools_for
from getpro.platform.postgres.address import impatient, name_of

_UNFINISHED: Final = "_restoring"
_BEFORE: Final = "_before_"
_STAMP: Final = "%Y%m%d_%H%M%S"
_LONGEST_NAME: Final = 63
"""In bytes: PostgreSQL cuts what is longer, and two names could become one."""
_LOCK: Final = 7_201_537
"""Advisory lock of the maintenance database: one of us at a time on a server."""
_ENDS_WITHIN_SECONDS: Final = 2
"""A server lets a lock go a moment after its connection was closed."""
_TRIES: Final = 3
_OURS: Final = "2getpro%"
"""How the connections of the product call themselves."""
_LISTS: Final = {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}
"""Settings that the catalogue keeps with their parts quoted. Source: pg_dump's variable_is_guc_list_quote."""

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Former:
    """A database that was the living one until ``until``."""

    name: str
    until: datetime
    bytes: int


def beside(url: str, name: str) -> str:
    """The address of another database on the same server; raises Unsuitable."""
    other = urlunsplit(urlsplit(url)._replace(path=f"/{quote(name, safe='')}"))
    if name_of(other) != name:  # ?dbname=… would win
        raise Unsuitable("в DATABASE_URL имя базы стоит не после адреса сервера, а в параметрах")
    return other


def over_live(
    source: Source,
    url: str,
    place: Path,
    *,
    now: datetime,
    on_progress: OnProgress = silent,
    mark: Mark | None = None,
) -> str:
    """Put the database of ``source`` in the place of the living one; return what that is called now.

    ``place`` is an empty folder for what is needed meanwhile. Raises BackupError, Trouble and psycopg.Error;
    then the living database is as it was. What a killed one has left is dropped by the next.
    """
    live = name_of(url)
    with _alone(url) as server:
        sweep(server, live)
        require_suitable(server, live, source)
        require_idle(server, url)
        fresh = beside(url, live + _UNFINISHED)
        try:
            with source.archived(place, on_progress) as file:
                on_progress("Восстановление")
                _create(server, live, live + _UNFINISHED)
                crashpoints.reach("restore: created")
                tools = tools_for(max(server.info.server_version // 10000, major_of(source.server)))
                whole = growing(on_progress, "Восстановление", source.database_bytes)
                restore(file, tools, fresh, on_bytes=whole)
                crashpoints.reach("restore: filled")
            finish(source, fresh, on_progress, mark=mark)
            on_progress("Замена")
            require_idle(server, url)
            return _swap(server, live, live + _UNFINISHED, now=now)
        except BaseException:
            with contextlib.suppress(psycopg.Error, Unsuitable), _maintained(url) as other:
                sweep(other, live)
            raise


def require_ready(url: str, source: Source) -> None:
    """Before anything is asked or done: that ``source`` can replace the living database now.

    Raises Unsuitable and InUse.
    """
    with _maintained(url) as server:
        require_suitable(server, name_of(url), source)
        require_idle(server, url)


def back(url: str, name: str | None = None, *, now: datetime, mark: Mark | None = None) -> tuple[str, str]:
    """Swap again: the database kept last, or the one called so, lives, and the one that lived is kept.

    What comes knows nothing of what was done since it left. Return what has come, and what the other is
    called now. Raises NotThere and InUse.
    """
    live = name_of(url)
    with _alone(url) as server:
        chosen = _chosen(server, live, name)
        _require_right(server, live)
        require_idle(server, url)
        if mark is not None:
            mark(beside(url, chosen.name), chosen.until)
        return chosen.name, _swap(server, live, chosen.name, now=now)


def kept(url: str) -> list[Former]:
    """What lived here before and is kept, newest first."""
    with _maintained(url) as server:
        return _kept(server, name_of(url))


def drop(url: str, name: str) -> None:
    """Drop a kept database; raises NotThere for any other, and InUse."""
    with _alone(url) as server:
        chosen = _chosen(server, name_of(url), name)
        try:
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(chosen.name)))
        except psycopg.errors.ObjectInUse as error:
            raise InUse(f"с {chosen.name} кто-то работает: {_who(server, chosen.name)}") from error


def require_idle(server: Connection, url: str) -> None:
    """That the product does not run on the living database; raises InUse, which says what runs."""
    live = name_of(url)
    there = server.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = %s AND application_name LIKE %s AND application_name <> %s",
        [live, _OURS, NAME],
    ).fetchone()
    workers, doing = _at_work(url) if _exists(server, live) else (0, 0)
    if doing:
        raise InUse(f"магазин работает: не закончено работ {doing}")
    if workers:
        raise InUse(f"магазин работает: фоновые работы отзывались меньше {STALLED_SECONDS} с назад")
    if there is not None and there[0]:
        raise InUse(f"магазин или его команда работает: соединений {there[0]}")


def _at_work(url: str) -> tuple[int, int]:
    """How many workers live, and how many jobs they are at; none where the database cannot be asked.

    What a dead worker was at is nobody's work: after the swap there is no such job.
    """
    try:
        with psycopg.connect(impatient(url), autocommit=True, application_name=NAME) as connection:
            row = connection.execute(
                "SELECT count(DISTINCT worker.id), count(job.id) FROM procrastinate_workers worker"
                " LEFT JOIN procrastinate_jobs job ON job.worker_id = worker.id AND job.status = 'doing'"
                " WHERE worker.last_heartbeat > now() - make_interval(secs => %s)",
                [STALLED_SECONDS],
            ).fetchone()
    except psycopg.Error:  # damaged: the reason for which one restores
        return 0, 0
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def require_suitable(server: Connection, live: str, source: Source) -> None:
    """That this server can take it and we may do it; raises Unsuitable."""
    require_new_enough(server.info.server_version // 10000, source)
    if len(f"{live}{_BEFORE}20260101_000000".encode()) > _LONGEST_NAME:
        raise Unsuitable(f"имя базы {live} слишком длинное: к нему не приписать времени")
    _require_right(server, live)


def _require_right(server: Connection, live: str) -> None:
    role = server.execute(
        "SELECT rolsuper OR rolcreatedb, rolsuper OR NOT EXISTS"
        " (SELECT FROM pg_database WHERE datname = %s AND NOT pg_has_role(datdba, 'USAGE'))"
        " FROM pg_roles WHERE rolname = current_user",
        [live],
    ).fetchone()
    assert role is not None
    may_create, owns = role
    if not may_create:
        raise Unsuitable(f"роли {server.info.user} нельзя создавать базы")
    if not owns:
        raise Unsuitable(f"база {live} принадлежит не роли {server.info.user}")


def sweep(server: Connection, live: str) -> None:
    """Drop what was being restored when somebody was killed, with whoever still fills it."""
    server.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(live + _UNFINISHED))
    )


def _create(server: Connection, live: str, fresh: str) -> None:
    """An empty database, of the same encoding, order of letters, owner and settings as the living one."""
    options: list[sql.Composable] = [sql.SQL("TEMPLATE template0")]
    if _exists(server, live):
        options += _as(server, live)
    server.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(fresh), sql.SQL(" ").join(options)))
    settings = server.execute(
        "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase"
        " WHERE setrole = 0 AND datname = %s",
        [live],
    ).fetchall()
    for (setting,) in settings:
        name, _, value = setting.partition("=")
        server.execute(
            sql.SQL("ALTER DATABASE {} SET {} TO {}").format(
                sql.Identifier(fresh),
                sql.SQL(".").join(map(sql.Identifier, name.split("."))),
                sql.SQL(value) if name in _LISTS else value,
            )
        )


def _as(server: Connection, live: str) -> list[sql.Composable]:
    found = server.execute(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider,"
        " coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), pg_get_userbyid(datdba)"
        " FROM pg_database d WHERE datname = %s",
        [live],
    ).fetchone()
    assert found is not None
    encoding, collate, ctype, provider, locale, owner = found
    options: list[sql.Composable] = [
        sql.SQL("ENCODING {} LC_COLLATE {} LC_CTYPE {} OWNER {}").format(
            encoding, collate, ctype, sql.Identifier(owner)
        )
    ]
    if provider == "i":
        options.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(locale))
    elif provider == "b":
        options.append(sql.SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(locale))
    return options


def _swap(server: Connection, live: str, coming: str, *, now: datetime) -> str:
    """Give ``coming`` the living name; return the other's new one, "" if nothing lived there."""
    leaving = _free_name(server, live, now)
    is_there = _exists(server, live)
    crashpoints.reach("restore: before swap")
    for attempt in range(_TRIES):
        _send_away(server, live, coming)
        try:
            with server.transaction():
                if is_there:
                    _rename(server, live, leaving)
                    crashpoints.reach("restore: half swapped")
                _rename(server, coming, live)
            break
        except psycopg.errors.ObjectInUse as error:
            if attempt + 1 == _TRIES:
                raise InUse(f"кто-то работает с базой: {_who(server, live, coming)}") from error
        except psycopg.errors.DuplicateDatabase as error:
            raise Unsuitable(f"база {leaving} уже есть") from error
        except psycopg.Error as error:
            raise NotRestored(str(error).partition("\n")[0]) from error
    crashpoints.reach("restore: after swap")
    return leaving if is_there else ""


def _free_name(server: Connection, live: str, now: datetime) -> str:
    """By this second, or the next that no kept database has: it may have come and gone within one."""
    while _exists(server, name := f"{live}{_BEFORE}{now:{_STAMP}}"):
        now += timedelta(seconds=1)
    return name


def _rename(server: Connection, name: str, other: str) -> None:
    server.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(other))
    )


def _send_away(server: Connection, *names: str) -> None:
    """End the sessions of whoever is not the product: an exporter, a forgotten psql."""
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = ANY(%s) AND backend_type = 'client backend'"
            " AND coalesce(application_name, '') NOT LIKE %s",
            [list(names), _OURS],
        )


def _who(server: Connection, *names: str) -> str:
    found = server.execute(
        "SELECT DISTINCT"
        " coalesce(usename, '?') || ' ' || coalesce(nullif(application_name, ''), backend_type)"
        " FROM pg_stat_activity WHERE datname = ANY(%s) ORDER BY 1",
        [list(names)],
    ).fetchall()
    return ", ".join(row[0] for row in found) or "уже никто, повторите"


def _chosen(server: Connection, live: str, name: str | None) -> Former:
    found = next((one for one in _kept(server, live) if name in {None, one.name}), None)
    if found is None:
        raise NotThere("прежней базы нет" if name is None else f"прежней базы {name} нет")
    return found


def _kept(server: Connection, live: str) -> list[Former]:
    rows = server.execute(
        "WITH found AS ("
        "SELECT oid, datname, right(datname, -length(%(begin)s::text)) AS stamp FROM pg_database"
        " WHERE starts_with(datname, %(begin)s))"
        " SELECT datname, to_timestamp(stamp || ' +00', 'YYYYMMDD_HH24MISS TZH'), pg_database_size(oid)"
        " FROM found WHERE stamp ~ '^[0-9]{8}_[0-9]{6}$' ORDER BY 2 DESC",
        {"begin": live + _BEFORE},
    )
    return [Former(*row) for row in rows]


def _exists(server: Connection, name: str) -> bool:
    return server.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


@contextlib.contextmanager
def _alone(url: str) -> Iterator[Connection]:
    """On the server while nobody else restores there; raises Busy. The lock goes with its connection."""
    with _maintained(url) as server:
        deadline = time.monotonic() + _ENDS_WITHIN_SECONDS
        while server.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise Busy("на этом сервере уже восстанавливают")
            time.sleep(0.1)
        yield server


@contextlib.contextmanager
def _maintained(url: str) -> Iterator[Connection]:
    """A connection to the server that is to none of the shop's databases; raises Unsuitable."""
    try:
        server = psycopg.connect(impatient(beside(url, "postgres")), autocommit=True, application_name=NAME)
    except psycopg.OperationalError as error:
        raise Unsuitable(str(error).partition("\n")[0]) from error
    with server:
        yield server
