"""Who may do what: people, the database's roles, files; each against what was declared."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from getpro.checks.check import Finding, Level, Line
from getpro.incidents import team
from getpro.kit.trouble import system_words
from getpro.operations import container
from getpro.operations.looks.access import last_acts
from getpro.operations.looks.asking import asks_database
from getpro.platform.database import Database, Session

PEOPLE: Final = Line("rights.people", "Права людей")
ROLES: Final = Line("rights.roles", "Роли базы")
MODES: Final = Line("rights.modes", "Права на файлы")
USER: Final = Line("rights.user", "Под кем работает магазин")
_PAGE: Final = "docs/operations/audit.md#"
_UNUSED: Final = timedelta(days=90)
_SHOWN: Final = 5
DECLARED_ROLES: Final = frozenset({"postgres", "getpro"})
"""Those that the product itself makes; beside them the one as whom it works, and the owner of its tables."""
HBA: Final = "pg_hba_file_rules()"
"""PostgreSQL's own account of who comes in by which door."""
_LOGINS: Final = text(
    "SELECT rolname AS role, rolsuper AS is_super FROM pg_roles WHERE rolcanlogin ORDER BY rolname"
)
_US: Final = text("SELECT current_user AS us, pg_get_userbyid(datdba) AS owner FROM pg_database"
                  " WHERE datname = current_database()")  # fmt: skip
_GRANTS: Final = text(
    "SELECT coalesce(grantee.rolname, 'PUBLIC') AS role, object.name,"
    " string_agg(DISTINCT acl.privilege_type, ', ' ORDER BY acl.privilege_type) AS rights"
    " FROM (SELECT n.nspname || '.' || c.relname AS name, c.relacl AS acl, c.relowner AS owner"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname IN ('public', 'synthetic') AND c.relkind IN ('r', 'p', 'v', 'm', 'S')"
    " UNION ALL SELECT 'схема ' || nspname, nspacl, nspowner FROM pg_namespace"
    " WHERE nspname IN ('public', 'synthetic')) AS object"
    " CROSS JOIN LATERAL aclexplode(object.acl) AS acl"
    " LEFT JOIN pg_roles grantee ON grantee.oid = acl.grantee"
    " WHERE acl.grantee <> object.owner"
    " AND NOT (acl.grantee = 0 AND acl.privilege_type = 'USAGE')"
    " GROUP BY 1, 2 ORDER BY 1, 2"
)
"""Of schema public everybody may know the names: PostgreSQL's own default."""


@asks_database(PEOPLE)
async def look_at_people(
    db: Database, operators: Collection[int], *, now: datetime
) -> AsyncIterator[Finding]:
    """Who has rights that they do not use, or that nobody has a name for."""
    async with db.read("look: rights") as session:
        everyone = await team.team(session)
        acted = await last_acts(session, operators, now=now, span=_UNUSED)
    names = {one.telegram_id: one.name for one in everyone if one.telegram_id is not None}
    wanting = False
    for number in sorted(operators):
        who = names.get(number, f"Telegram {number}")
        if number not in names:
            wanting = True
            line = Line(f"rights.unnamed.{number}", f"Оператор без имени {number}")
            yield line.attention(
                "в SHOP_OPERATORS есть, в команде нет", "Чей это номер? 2getpro contacts list"
            )
        if who not in acted:
            wanting = True
            line = Line(f"rights.unused.{who}", f"Права без дела у {who}")
            yield line.attention(
                f"оператор, а за {_UNUSED.days} дней ни одного действия", f"Уберите: {_PAGE}права-людей"
            )
    if not wanting:
        yield PEOPLE.ok(f"операторов {len(operators)}, в команде {len(everyone)}; всеми правами пользуются")


@asks_database(ROLES)
async def look_at_roles(db: Database) -> AsyncIterator[Finding]:
    """Who may come into the database, and whom its tables are open to."""
    async with db.read("look: roles") as session:
        us, owner = (await session.execute(_US)).one()
        known = {us, owner, *DECLARED_ROLES}
        logins = (await session.execute(_LOGINS)).all()
        grants = (await session.execute(_GRANTS)).all()
        trusted = await _without_password(session)
    wanting = [*_strangers(logins, known), *_opened(grants, known), *trusted]
    for finding in wanting:
        yield finding
    if not wanting:
        yield ROLES.ok(f"входят {', '.join(row.role for row in logins)}; чужих прав нет")


def _strangers(logins: Sequence[Any], known: Collection[str]) -> Iterator[Finding]:
    for row in logins:
        if row.role in known:
            continue
        line = Line(f"rights.role.{row.role}", f"Роль базы {row.role}")
        remedy = f"Чья она? {_PAGE}роли-базы"
        if row.is_super:
            yield line.wrong("не объявлена, и может всё", remedy)
        else:
            yield line.attention("не объявлена, а войти может", remedy)


def _opened(grants: Sequence[Any], known: Collection[str]) -> Iterator[Finding]:
    by_role: dict[str, list[str]] = {}
    for row in grants:
        if row.role not in known:
            by_role.setdefault(row.role, []).append(f"{row.name} ({row.rights})")
    for role, those in by_role.items():
        more = f" и ещё {len(those) - _SHOWN}" if len(those) > _SHOWN else ""
        whose = "всем" if role == "PUBLIC" else f"роли {role}"
        line = Line(f"rights.grant.{role}", f"Таблицы открыты {whose}")
        yield line.wrong(f"{', '.join(those[:_SHOWN])}{more}", f"Заберите: {_PAGE}роли-базы")


async def _without_password(session: Session) -> list[Finding]:
    """The doors of the server that ask for no password; seen by its superuser alone."""
    may = text("SELECT has_function_privilege(:rules, 'EXECUTE')")
    if not await session.scalar(may, {"rules": HBA}):
        return []
    rules = text(
        f"SELECT type, coalesce(address, 'local') AS address FROM {HBA}"  # noqa: S608 -- its name is ours
        " WHERE auth_method = 'trust' ORDER BY line_number"
    )
    rows = (await session.execute(rules)).all()
    if not rows:
        return []
    line = Line("rights.trust", "Вход в базу без пароля")
    seen = ", ".join(dict.fromkeys(f"{row.type} {row.address}" for row in rows))
    return [line.attention(f"pg_hba.conf: {seen}", f"Кто там может быть? {_PAGE}роли-базы")]


async def look_at_modes(private: Iterable[Path], copies: Path | None = None) -> AsyncIterator[Finding]:
    """Settings and keys are for their owner alone; the folder of copies is closed to strangers."""
    beside = [] if copies is None else [copies]
    found = await asyncio.to_thread(lambda: [*map(_judged, private), *map(_judged_copies, beside)])
    there = [one for one in found if one is not None]
    wanting = [one for one in there if one.level is not Level.OK]
    for finding in wanting:
        yield finding
    if not wanting:
        yield MODES.ok(f"посмотрено {len(there)}, закрыты все")


def _judged(path: Path) -> Finding | None:
    """None for what is not there. A folder may be gone through: the server's own user works further down."""
    line = _line(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        return line.unknown(f"{path}: {system_words(error)}", "Запустите от владельца файла.")
    open_to = mode & (0o066 if stat.S_ISDIR(mode) else 0o077)
    if not open_to:
        return line.ok(f"{path}: закрыт")
    who = "всем" if open_to & 0o007 else "группе"
    return line.wrong(f"{path}: открыт {who} (права {stat.S_IMODE(mode):o})", f"chmod go-rwx {path}")


def _judged_copies(folder: Path) -> Finding | None:
    """A group may be let in. Where strangers may go through, the files have to be closed."""
    line = _line(folder)
    try:
        mode = folder.stat().st_mode
        passed = [one for one in folder.iterdir() if mode & 0o001 and one.is_file()]
        opened = sorted(one.name for one in passed if one.stat().st_mode & 0o006)
    except FileNotFoundError:
        return None
    except OSError as error:
        return line.unknown(f"{folder}: {system_words(error)}", "Запустите от владельца папки.")
    if mode & 0o006:
        return line.wrong(f"{folder}: открыта всем (права {stat.S_IMODE(mode):o})", f"chmod o-rwx {folder}")
    if opened:
        more = f" и ещё {len(opened) - _SHOWN}" if len(opened) > _SHOWN else ""
        said = f"{folder}: открыты всем: {', '.join(opened[:_SHOWN])}{more}"
        return line.wrong(said, f"chmod o-rwx {folder}")
    return line.ok(f"{folder}: закрыта")


def _line(path: Path) -> Line:
    return Line(f"rights.mode.{path}", f"Права на {path.name}")


async def look_at_user(
    *, uid: int | None = None, marks: Collection[Path] = container.MARKS
) -> AsyncIterator[Finding]:
    """Whoever breaks into the shop is who it runs as. Of other containers nothing is to be seen from here."""
    is_root = (os.geteuid() if uid is None else uid) == 0
    if is_root and container.is_around(marks):
        yield USER.wrong("root в контейнере", f"Верните USER getpro: {_PAGE}под-кем-работает-магазин")
    elif is_root:
        yield USER.attention("root", f"Заведите пользователя: {_PAGE}под-кем-работает-магазин")
    else:
        yield USER.ok("не root")
