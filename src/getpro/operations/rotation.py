"""New secrets in the place of old ones, where the shop can do it by itself and nothing breaks meanwhile."""

import secrets as randomness
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from pyrage import x25519
from sqlalchemy import Column, Table, select, update

from getpro.backups import keys
from getpro.backups.errors import Damaged, WrongKey
from getpro.backups.folder import ARCHIVE, BASE, MANIFEST
from getpro.backups.sealed import require_opens
from getpro.incidents.models import contact_ways
from getpro.kit.trouble import Trouble, system_words
from getpro.panel.models import panel_accounts
from getpro.platform import audit, cipher
from getpro.platform.cipher import Cipher
from getpro.platform.database import Database, Session
from getpro.platform.env_file import EnvFile

ENCRYPTED: Final = (
    (panel_accounts.c.subscription_id, panel_accounts.c.encrypted_url),
    (contact_ways.c.way_id, contact_ways.c.sealed),
)
"""All that the database's key closes: the key of the table, and the column."""
_BATCH: Final = 200
_KEPT: Final = 2
"""Keys that stay in the file: the present one, and the one that running processes still close with."""


@dataclass(frozen=True, slots=True)
class Reencrypted:
    rows: int
    unopened: int
    """Which no key opens, and that stay as they are."""


async def change_database_key(
    db: Database,
    path: Path,
    known: list[str],
    *,
    on_row: Callable[[int], object] = lambda _: None,
) -> Reencrypted:
    """Close with a new key from now on, and what is there already, too; a flow, harmless when repeated.

    The new key stands in the file before anything is closed with it, and whoever runs reads the file anew at
    the first thing that they cannot open. The one before stays, for they close with it until they are
    started again. Killed in between, all can be opened. Raises Trouble.
    """
    fresh = cipher.new_key()
    cipher.replace_keys(path, [fresh, *known])
    every, only = Cipher([fresh, *known]), Cipher([fresh])
    rows, unopened = 0, 0
    for key, column in ENCRYPTED:
        after: Any = None
        while found := await _next(db, key, column, after=after):
            after = found[-1].key
            async with db.begin("secrets: rotate") as session:
                for row in found:
                    done = await _close_anew(session, key, column, row, every, only)
                    rows, unopened = rows + (done is True), unopened + (done is None)
            on_row(rows)
    if not unopened:  # what cannot be opened may be an older key's: it is not for us to throw that away
        cipher.replace_keys(path, [fresh, *known][:_KEPT])
    return Reencrypted(rows, unopened)


async def _next(db: Database, key: Column[Any], column: Column[Any], *, after: Any) -> list[Any]:
    query = select(key.label("key"), column.label("sealed")).where(column.is_not(None)).order_by(key)
    if after is not None:
        query = query.where(key > after)
    async with db.read("secrets: next") as session:
        return list((await session.execute(query.limit(_BATCH))).all())


async def _close_anew(
    session: Session, key: Column[Any], column: Column[Any], row: Any, every: Cipher, only: Cipher
) -> bool | None:
    """None where no key opens it; False where it is closed with the new one already, or has changed."""
    sealed = bytes(row.sealed)
    if only.decrypt(sealed) is not None:
        return False
    if (text := every.decrypt(sealed)) is None:
        return None
    assert isinstance(key.table, Table)
    changed = await session.execute(
        update(key.table).where(key == row.key, column == sealed).values({column.name: every.encrypt(text)})
    )
    return bool(changed.rowcount)


class BackupKey(StrEnum):
    """How far the change of the copies' key is."""

    BEGUN = "begun"
    WAITING = "waiting"
    """The next key does not open the newest copies yet."""
    CHANGED = "changed"


def change_backup_key(directory: Path, copies: Path, *, now: datetime, zone: ZoneInfo) -> BackupKey:
    """Go on with the change as far as it can go today, harmless when repeated; raises Trouble.

    From the beginning on two keys open what is closed. The first is not put aside before the newest dump,
    and the newest full base backup with all of the log behind it, open with the other.
    """
    if keys.begin_change(directory):
        return BackupKey.BEGUN
    coming = keys.read_identity(directory / keys.NEXT)
    made = (_newest(copies, ARCHIVE), _newest(copies, BASE, kind="-full"))
    newest = [path for path in made if path is not None]
    try:
        if not newest or not all(_opens(path, coming) for path in newest):
            return BackupKey.WAITING
    except OSError as error:
        raise Trouble(
            "Копии не прочитать.", f"{copies}: {system_words(error)}.", "Проверьте права."
        ) from error
    keys.end_change(directory, kept_as=f"{keys.FILE}.{now.astimezone(zone):%Y-%m-%d}")
    return BackupKey.CHANGED


def _opens(path: Path, identity: x25519.Identity) -> bool:
    """Raises OSError."""
    try:
        require_opens(path, identity)
    except (WrongKey, Damaged):
        return False
    return True


def _newest(copies: Path, suffix: str, *, kind: str = "") -> Path | None:
    """Of the whole ones; names tell when a copy was made."""
    found = copies.glob(f"2getpro-*{kind}{suffix}")
    whole = [one for one in found if one.with_name(one.name.removesuffix(suffix) + MANIFEST).exists()]
    return max(whole, default=None)


def change_setting(file: Path, name: str, environment: Mapping[str, str]) -> None:
    """Put a new value into ``.env``; what was there stays in ``.env.bak``. Raises Trouble."""
    if environment.get(name):
        raise Trouble(
            f"{name} не сменить.", "Его задаёт окружение, а не .env.", "Смените там, где его задают."
        )
    found = EnvFile.read(file)
    if name not in found.values:
        raise Trouble(
            f"{name} не сменить.", "В .env его нет.", "Запустите из папки магазина, где лежит .env."
        )
    found.changed({name: randomness.token_urlsafe(32)}).write()


async def note(session: Session, name: str, *, by: str, now: Any, outcome: str) -> None:
    """Keep who has changed which secret; a step."""
    await audit.note(
        session,
        actor=by,
        action="secrets.rotate",
        subject=name,
        reason="смена секрета",
        outcome=outcome,
        now=now,
    )
