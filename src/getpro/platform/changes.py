"""Table ``changes``: what people and deployments did to the shop; an incident's time line is read with it.

A row is only ever added: a trigger sees to that. Nothing here is secret: of settings the names are kept, and
of their values digests with a key that lies outside the database.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, insert, select
from sqlalchemy.dialects.postgresql import JSONB

from getpro import __version__
from getpro.platform.cipher import database_keys
from getpro.platform.database import Session, metadata
from getpro.platform.settings import Settings

SHOP: Final = "магазин"
_AGAIN: Final = timedelta(minutes=5)
"""A process that is restarted again and again says so no oftener."""
_KEY: Final = "DATABASE_KEYS"
_HIDDEN: Final = frozenset({"database_keys"})
"""The key itself is told by what it makes of nothing."""
_DIGITS: Final = 16

changes: Final = Table(
    "changes",
    metadata,
    Column("change_id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Index("changes_at_idx", "at"),
)


class ChangeKind(StrEnum):
    COMMAND = "command"
    """By the command line."""
    FIRST = "first"
    """A process begins of which nothing is known before."""
    DEPLOYED = "deployed"
    """A process runs another program than before."""
    SETTINGS = "settings"
    """The same program with other settings."""
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Change:
    at: datetime
    who: str
    kind: ChangeKind
    words: str


@dataclass(frozen=True, slots=True)
class Running:
    """What a process runs: program and settings, each as something that can be compared."""

    process: str
    program: str
    settings: Mapping[str, str]


async def note(
    session: Session,
    kind: ChangeKind,
    words: str,
    *,
    now: datetime,
    who: str = SHOP,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Add a row; a step."""
    values = {"at": now, "who": who, "kind": kind, "words": words, "data": dict(data or {})}
    await session.execute(insert(changes).values(**values))


async def between(session: Session, since: datetime, until: datetime) -> list[Change]:
    """The oldest first; both ends belong to it."""
    rows = await session.execute(
        select(changes).where(changes.c.at.between(since, until)).order_by(changes.c.at, changes.c.change_id)
    )
    return [Change(row.at, row.who, ChangeKind(row.kind), row.words) for row in rows]


async def note_start(session: Session, running: Running, *, now: datetime) -> None:
    """Note that a process has begun, and what is not as it was when it last did; a step."""
    last = (
        await session.execute(
            select(changes.c.at, changes.c.data)
            .where(changes.c.data["process"].astext == running.process)
            .order_by(changes.c.change_id.desc())
            .limit(1)
        )
    ).one_or_none()
    known = None if last is None else Running(**last.data)
    kind, words = told(known, running)
    if kind is ChangeKind.RESTARTED and last is not None and now - last.at < _AGAIN:
        return
    data = {"process": running.process, "program": running.program, "settings": dict(running.settings)}
    await note(session, kind, words, now=now, data=data)


def told(known: Running | None, running: Running) -> tuple[ChangeKind, str]:
    """What to call a start after the one that is known, if any; pure."""
    if known is None:
        return ChangeKind.FIRST, f"Первый запуск: {running.process}, версия {running.program}"
    names = _changed(known.settings, running.settings)
    settings = f"настройки изменены: {', '.join(names)}" if names else ""
    if known.program != running.program:
        words = f"Новая версия: {running.process}, {known.program} → {running.program}"
        return ChangeKind.DEPLOYED, f"{words}; {settings}" if settings else words
    if settings:
        return ChangeKind.SETTINGS, f"Перезапущен: {running.process}, {settings}"
    return ChangeKind.RESTARTED, f"Перезапущен: {running.process}, версия {running.program}"


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """With another key every digest is another one: only what is set, and what not, can be compared then."""
    is_same_key = before.get(_KEY) == after.get(_KEY)
    names = sorted((before.keys() | after.keys()) - {_KEY})
    if not is_same_key:
        return [*(one for one in names if (one in before) != (one in after)), _KEY]
    return [one for one in names if before.get(one) != after.get(one)]


def running(settings: Settings, process: str) -> Running:
    """What this process is; raises Trouble where the key cannot be had."""
    return Running(process, program(), fingerprints(settings, database_keys(settings)[0]))


def program() -> str:
    """``2.0.0 (1f3a90c2)``: also what was pulled and not released has a name of its own."""
    digest = hashlib.sha256()
    for name, content in _sources(files("getpro"), ""):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"{__version__} ({digest.hexdigest()[:8]})"


def _sources(folder: Traversable, name: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        path = f"{name}/{one.name}"
        if one.is_dir() and one.name != "__pycache__":
            found += _sources(one, path)
        elif one.name.endswith(".py"):
            found.append((path, one.read_bytes()))
    return found


def fingerprints(settings: Settings, key: str) -> dict[str, str]:
    """Of each setting that is set a digest, by its name in the environment."""

    def digest(name: str, value: object) -> str:
        return hmac.new(key.encode(), f"{name}={value}".encode(), "sha256").hexdigest()[:_DIGITS]

    found = {_KEY: digest(_KEY, "")}
    for name, value in _set(settings):
        found[name] = digest(name, value)
    return found


def _set(settings: Settings) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in settings.model_fields_set - _HIDDEN:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            found += [
                (f"{name}_{inner}".upper(), _plain(getattr(value, inner))) for inner in value.model_fields_set
            ]
        else:
            alias = type(settings).model_fields[name].validation_alias
            found.append((str(alias or name).upper(), _plain(value)))
    return sorted(found)


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
