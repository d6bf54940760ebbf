"""The folder of backups: is the newest copy fresh, whole and as large as those before it?"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import text

from getpro.backups import store
from getpro.backups.errors import BackupError, Busy, OffsiteRefused
from getpro.backups.folder import MANIFEST
from getpro.backups.states import BASES, BackupKind, BackupState
from getpro.backups.store import Backup
from getpro.backups.stream import OLDEST_SERVER
from getpro.checks.check import Finding, Line
from getpro.kit.trouble import system_words
from getpro.operations.deps import Compare
from getpro.operations.looks.asking import asks_database
from getpro.platform.database import Database

COPIES: Final = Line("backups.copies", "Копии базы")
OFFSITE: Final = Line("backups.offsite", "Копия вне машины")
RESTORED: Final = Line("backups.restored", "Пробное восстановление")
LOG: Final = Line("backups.log", "Копии на любую минуту")
OLDEST_FRESH: Final = timedelta(hours=26)
OLDEST_PROOF: Final = timedelta(days=8)
_OLDEST_BASE: Final = timedelta(hours=50)
"""Two nights, and time to make it, to try it and to send it."""
OLDEST_SAFE: Final = timedelta(minutes=2)
_MAKE: Final = "Сделайте копию сейчас и узнайте, почему так вышло: 2getpro backup create."
_SEND: Final = "2getpro backup send"
_LIST: Final = "С ключом, которому можно смотреть: 2getpro backup fetch --list"
_TRY: Final = "2getpro backup verify"
_TRY_BASE: Final = "2getpro backup verify ИМЯ; имя новейшей базовой: 2getpro backup list"
_STILL_WRITTEN: Final = timedelta(minutes=5)
"""How long ago a file has changed that may not be whole yet; also, how far a clock may be ahead of ours."""
_SHRUNK: Final = 0.7
_NAMES: Final = re.compile(
    r"(?!\.)(?!.*\.(log|sha\d*|md5|base|settings)\b).+\.(sql|dump|backup|tar|tgz|gz|bz2|xz|zst|age|gpg)",
    re.IGNORECASE,
)
"""Not the logs, checksums and settings beside the copies, nor what only grows together with others."""
_LATEST: Final = "latest.sql.gz"
_MIB: Final = 1024**2
_GZIP: Final = b"\x1f\x8b"
_EMPTY_GZIP_BYTES: Final = 64
"""What ``pg_dump | gzip`` leaves of a server that did not answer has 20."""


@dataclass(frozen=True, slots=True)
class Copy:
    path: Path
    bytes: int
    made_at: datetime


async def look(folder: Path | None, *, now: datetime) -> AsyncIterator[Finding]:
    """By what lies there; whether it can be restored is another question."""
    if folder is None:
        yield COPIES.attention("ещё не настроено", "Укажите папку копий в OPERATIONS_BACKUPS.")
        return
    try:
        copies = await asyncio.to_thread(_copies, folder, now)
        begins = await asyncio.to_thread(_beginning, copies[0].path) if copies else b""
    except OSError as error:
        yield COPIES.unknown(
            f"{folder}: {system_words(error)}", "Проверьте папку и права на неё: 2getpro backup list."
        )
        return
    if not copies:
        yield COPIES.wrong(
            f"в {folder} нет ни одной",
            _MAKE,
        )
        return
    newest = copies[0]
    if newest.made_at > now + _STILL_WRITTEN:
        yield COPIES.wrong(
            f"{newest.path.name}: из будущего, {newest.made_at:%Y-%m-%d %H:%M} UTC",
            "Проверьте часы (timedatectl); если верны, исправьте время файла: touch.",
        )
        return
    age = now - newest.made_at
    seen = f"{newest.path.name}: {_megabytes(newest.bytes)}, {_ago(age)} назад"
    if age > OLDEST_FRESH:
        yield COPIES.wrong(f"{seen}: старая", _MAKE)
    elif newest.bytes < _EMPTY_GZIP_BYTES or (newest.path.suffix == ".gz" and begins != _GZIP):
        yield COPIES.wrong(f"{seen}: пустая или испорченная", "Сделайте копию заново; не удаляйте прежние.")
    elif (usual := _usual(copies[1:], now=now)) and newest.bytes < _SHRUNK * usual:
        yield COPIES.wrong(
            f"{seen}: обычно {_megabytes(usual)}", "Сравните с прежней, прежде чем удалять что-либо."
        )
    else:
        yield COPIES.ok(f"{seen}; всего {len(copies)}")


@asks_database(RESTORED)
async def look_at_restores(
    db: Database, *, now: datetime, is_ours: bool, has_bases: bool
) -> AsyncIterator[Finding]:
    """By the catalogue: the newest trial, how it went, and how long ago.

    ``is_ours``: we make the copies; ``has_bases``: base backups, too.
    """
    async with db.read("look: restores") as session:
        known = await store.newest_first(session)
    tried = [one for one in known if one.verified_at is not None]
    if not tried:
        remedy = _TRY if is_ours else "Восстановите копию сами в другую базу и проверьте её."
        yield RESTORED.attention("ещё ни разу", remedy)
        return
    newest = max(tried, key=_tried_at)
    # A base backup that is good says nothing of the nightly copy that was not, nor the other way round.
    dumps = [one for one in tried if one.kind is BackupKind.DUMP]
    bases = [one for one in tried if one.kind in BASES]
    last = [max(some, key=_tried_at) for some in (dumps, bases) if some]
    age = now - (_tried_at(last[0]) if dumps else min(one.started_at for one in tried))
    if bad := [one for one in last if not one.is_good]:
        why = (bad[0].verification or {}).get("trouble") or "не годится"
        yield RESTORED.wrong(f"{bad[0].name}: {why}", "docs/operations/runbooks/restore-test.md")
    elif age > OLDEST_PROOF:
        yield RESTORED.wrong(f"ночную копию не проверяли {_ago(age)}", _TRY)
    elif has_bases and (since := _tried_since(known)) is not None and now - since > _OLDEST_BASE:
        yield RESTORED.wrong(f"базовую копию не проверяли {_ago(now - since)}", _TRY_BASE)
    else:
        yield RESTORED.ok(f"{newest.name} годится, проверена {_ago(now - _tried_at(newest))} назад")


@asks_database(LOG)
async def look_at_log(db: Database, *, now: datetime, is_kept: bool) -> AsyncIterator[Finding]:
    """By the catalogue: up to when all is safe, and since when. ``is_kept``: it is not switched off."""
    if not is_kept:
        yield LOG.attention("выключены", "Потерять можно всё после ночной копии: BACKUP_POINT_IN_TIME=true.")
        return
    async with db.read("look: log") as session:
        major = await session.scalar(text("SELECT current_setting('server_version_num')::int / 10000"))
        if major < OLDEST_SERVER:
            yield LOG.attention(
                f"PostgreSQL {major}: они делаются с {OLDEST_SERVER}",
                "Потерять можно всё после ночной копии. Обновите сервер базы.",
            )
            return
        stream = await store.newest_stream(session)
        bases = await store.newest_bases(session, now=now)
    if stream is None or stream.safe_until is None or now - stream.safe_until > OLDEST_SAFE:
        why = (stream and stream.trouble) or "журнал базы не доходит до папки копий"
        yield LOG.wrong(why, "docs/operations/runbooks/wal-archive.md")
        return
    if stream.offsite_until is not None and now - stream.offsite_until > OLDEST_SAFE:
        late = _ago(now - stream.offsite_until)
        yield LOG.wrong(f"вне машины журнал отстал на {late}", "2getpro doctor")
        return
    if not bases:
        yield LOG.attention("первая базовая копия ещё не сделана", "Сделать сейчас: 2getpro backup base")
        return
    if now - bases[0].started_at > _OLDEST_BASE:
        late = _ago(now - bases[0].started_at)
        yield LOG.wrong(f"{bases[0].name}, {late} назад: базовая копия старая", "2getpro backup base")
        return
    yield LOG.ok(f"за последние {_ago(now - bases[-1].started_at)}, базовых копий {len(bases)}")


@asks_database(OFFSITE)
async def look_at_offsite(db: Database, compare: Compare, *, now: datetime) -> AsyncIterator[Finding]:
    """What the catalogue claims, compared; how old the newest is, and what keeps a newer one here."""
    unseen: BackupError | None = None
    try:
        compared = await compare()
    except BackupError as error:
        unseen = error
    else:
        if compared.gone:
            more = f"; всего {len(compared.gone)}" if compared.gone[1:] else ""
            yield OFFSITE.wrong(
                f"{compared.gone[0]}{more}", f"Узнайте, кто удаляет в бакете. Что ещё здесь, вернёт {_SEND}."
            )
            return
    async with db.read("look: off-site") as session:
        known = await store.newest_first(session)
        stream = await store.newest_stream(session)
    copies = [one for one in known if one.kind is BackupKind.DUMP]
    if stream is not None and stream.offsite_until is not None and (late := _late_base(known, now=now)):
        yield OFFSITE.wrong(late, _SEND)
        return
    there = next((one for one in copies if one.offsite_at is not None), None)
    waits = next((one for one in copies if one.state is BackupState.MADE), None)
    why = f": {waits.offsite_trouble}" if waits is not None and waits.offsite_trouble else ""
    if there is None:
        yield OFFSITE.wrong(f"нет ни одной{why}", _SEND)
    elif now - there.started_at > OLDEST_FRESH:
        yield OFFSITE.wrong(f"{there.name}, {_ago(now - there.started_at)} назад: старая{why}", _SEND)
    elif why:
        yield OFFSITE.attention(f"{there.name}; новее не ушла{why}", _SEND)
    elif unseen is None:
        yield OFFSITE.ok(f"{there.name}, {_ago(now - there.started_at)} назад")
    elif isinstance(unseen, OffsiteRefused | Busy):  # it is meant to be so, or will pass
        yield OFFSITE.attention(f"{there.name}; на месте ли, не проверить: {unseen}", _LIST)
    else:
        yield OFFSITE.unknown(f"{there.name}; на месте ли, не проверить: {unseen}", "2getpro doctor")


def _late_base(known: Sequence[Backup], *, now: datetime) -> str | None:
    """The log leaves, and leads nowhere without a base backup: why there is no new one off the machine."""
    bases = [one for one in known if one.kind in BASES]
    there = next((one for one in bases if one.offsite_at is not None), None)
    since = there or min(bases, key=_tried_at, default=None)
    if since is None or now - since.started_at <= _OLDEST_BASE:
        return None
    waits = next((one for one in bases if one.state is BackupState.MADE and one.offsite_at is None), None)
    why = f": {waits.offsite_trouble}" if waits is not None and waits.offsite_trouble else ""
    if there is None:
        return f"ни одной базовой, журнал без неё ни к чему{why}"
    return f"{there.name}, {_ago(now - there.started_at)} назад: базовая старая{why}"


def _tried_at(copy: Backup) -> datetime:
    return copy.verified_at or copy.started_at


def _tried_since(known: Sequence[Backup]) -> datetime | None:
    """When a base backup was last tried, or else the first of them made; None where there are none."""
    bases = [one for one in known if one.kind in BASES]
    tried = [one.verified_at for one in bases if one.verified_at is not None]
    return max(tried, default=min((one.started_at for one in bases), default=None))


def _copies(folder: Path, now: datetime) -> list[Copy]:
    """Newest first, without what may be being written, as long as there is another one that is fresh.

    The name that always means the newest is a copy only where nothing else is.
    """
    found = [
        Copy(path, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))
        for path in folder.iterdir()
        if _NAMES.fullmatch(path.name) and path.is_file()
        for stat in [path.stat()]
    ]
    found.sort(key=lambda copy: copy.made_at, reverse=True)
    found = [copy for copy in found if copy.path.name != _LATEST] or found
    whole = [copy for copy in found if _is_described(copy.path) or abs(now - copy.made_at) >= _STILL_WRITTEN]
    return whole if whole and now - whole[0].made_at <= OLDEST_FRESH else found


def _is_described(path: Path) -> bool:
    """Then it is whole, however new: we describe our copies after the last byte."""
    return path.with_name(f"{path.name.partition('.')[0]}{MANIFEST}").exists()


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_GZIP))


def _usual(before: list[Copy], *, now: datetime) -> float | None:
    """The median size of a week; None where there is none to compare with."""
    week = [copy.bytes for copy in before if now - copy.made_at <= timedelta(days=8)]
    return median(week) if week else None


def _megabytes(size: float) -> str:
    return f"{size / _MIB:.1f} МБ".replace(".", ",")


def _ago(age: timedelta) -> str:
    if age < timedelta(hours=1):
        return f"{age.total_seconds() / 60:.0f} мин"
    if age < timedelta(days=2):
        return f"{age.total_seconds() / 3600:.0f} ч"
    return f"{age.days} дн"
