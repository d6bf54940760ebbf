"""Passwords and keys: whether each has served longer than it may, and whether it can be guessed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from getpro.checks.check import Finding, Line
from getpro.kit.trouble import Trouble
from getpro.operations.looks.asking import asks_database
from getpro.operations.secrets import Inventory, Known, Secret, remember
from getpro.platform.database import Database

AGES: Final = Line("secrets.ages", "Пароли и ключи: сроки")
STRENGTH: Final = Line("secrets.strength", "Пароли и ключи: стойкость")
_SOON: Final = timedelta(days=30)
_SHORTEST: Final = 16
"""Letters of a password that people think up."""
_FEWEST: Final = 6
"""Different letters."""


@asks_database(AGES)
async def look_at_ages(
    db: Database, inventory: Callable[[], Inventory] | None, *, now: datetime, zone: ZoneInfo
) -> AsyncIterator[Finding]:
    """Each secret against the time that it may serve, from when this shop first saw it."""
    if inventory is None:
        yield AGES.unknown("список секретов не собрать", "Проверьте настройки: 2getpro doctor.")
        return
    try:
        found = await asyncio.to_thread(inventory)
    except Trouble as trouble:
        yield AGES.unknown(f"{trouble.what} {trouble.why}", trouble.remedy)
        return
    async with db.begin("look: secrets") as session:
        known = await remember(session, found, now=now)
    wanting = list(_aged(found.secrets, known, now=now, zone=zone))
    for finding in wanting:
        yield finding
    if not wanting:
        oldest = min((one.since for one in known), default=now)
        yield AGES.ok(f"секретов {len(known)}, старшему {(now - oldest).days} дн.")


def _aged(
    secrets: Sequence[Secret], known: Sequence[Known], *, now: datetime, zone: ZoneInfo
) -> Iterator[Finding]:
    """Their words stay the same from day to day: what a person has accepted stays accepted."""
    for one in known:
        line = Line(f"secrets.age.{one.secret.name}", one.secret.kind.title)
        since, until = (f"{moment.astimezone(zone):%d.%m.%Y}" for moment in (one.since, one.until))
        remedy = f"Смените: {_command(one.secret)}"
        if now > one.until:
            yield line.wrong(f"известен с {since}, служить мог до {until}", remedy)
        elif now > one.until - _SOON:
            yield line.attention(f"известен с {since}, служит до {until}", remedy)
    for secret in secrets:
        if secret.value is None:
            line = Line(f"secrets.age.{secret.name}", secret.kind.title)
            yield line.unknown(secret.where, "Запустите от владельца файла.")


def _command(secret: Secret) -> str:
    return f"2getpro secrets rotate {secret.name}" if secret.kind.is_ours else secret.how


async def look_at_strength(inventory: Callable[[], Inventory] | None) -> AsyncIterator[Finding]:
    """What people have thought up must not be guessed, and one secret opens one door."""
    try:
        found = None if inventory is None else await asyncio.to_thread(inventory)
    except Trouble:
        found = None
    if found is None:
        yield STRENGTH.unknown("список секретов не собрать", "Проверьте настройки: 2getpro doctor.")
        return
    wanting = list(_weak(found.secrets))
    for finding in wanting:
        yield finding
    if not wanting:
        yield STRENGTH.ok(f"секретов {len(found.secrets)}, коротких и одинаковых нет")


def _weak(secrets: Sequence[Secret]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for secret in secrets:
        if not secret.value:
            continue
        if secret.kind.is_chosen and (len(secret.value) < _SHORTEST or len(set(secret.value)) < _FEWEST):
            line = Line(f"secrets.weak.{secret.name}", secret.kind.title)
            yield line.wrong(f"короче {_SHORTEST} знаков или из одинаковых", f"Смените: {_command(secret)}")
        if (owner := owners.setdefault(secret.value, secret.name)) != secret.name and not _is_one(
            owner, secret.name
        ):
            line = Line(f"secrets.shared.{secret.name}", secret.kind.title)
            yield line.wrong(f"тот же, что {owner}", f"Пусть у каждого свой: {_command(secret)}")


def _is_one(owner: str, name: str) -> bool:
    """The stack hands the shop the password of its database in an address."""
    return {owner, name} == {"DATABASE_URL", "GETPRO_DB_PASSWORD"}
