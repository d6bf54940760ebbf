"""The audit log: whether it is what was written, held against what is known of it elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from getpro.backups.folder import MANIFEST
from getpro.backups.manifest import Manifest
from getpro.checks.check import Finding, Line
from getpro.operations import audits
from getpro.operations.looks.asking import asks_database
from getpro.platform import audit
from getpro.platform.audit import Claim, Head, Verified
from getpro.platform.database import Database
from getpro.platform.restores import restores

CHAIN: Final = Line("audit.chain", "Журнал решений")
_REMEDY: Final = "docs/operations/audit.md#журнал-решений"
_SHOWN: Final = 5


@asks_database(CHAIN)
async def look(db: Database, copies: Path | None) -> AsyncIterator[Finding]:
    """``copies``: the folder of copies, each of which says where the log ended then."""
    beside = [] if copies is None else await asyncio.to_thread(lambda: list(_beside(copies)))
    async with db.read("look: audit log") as session:
        lost = (await session.execute(select(restores.c.restored_to, restores.c.marked_at))).all()
        before = [_claim(f"аудит {month:%m.%Y}", head) for month, head in await audits.heads(session)]
        claims = [one for one in before if one is not None] + [
            claim for at, claim in beside if not _was_lost(at, lost)
        ]
        found = await audit.verified(session, claims)
    if found.is_whole:
        yield CHAIN.ok(f"записей {found.head.position}, цела до {found.head}, сверено мест {len(claims)}")
    else:
        yield CHAIN.wrong("; ".join(_trouble(found)), _REMEDY)


def _beside(copies: Path) -> Iterator[tuple[datetime, Claim]]:
    for path in sorted(copies.rglob(f"*{MANIFEST}")):
        manifest = Manifest.at(path)
        if manifest is not None and (claim := _claim(manifest.name, manifest.facts.audit)) is not None:
            yield manifest.moment, claim


def _claim(source: str, head: str) -> Claim | None:
    """None where the source, of an older program, says nothing."""
    try:
        return Claim(Head.parse(head), source)
    except ValueError:
        return None


def _was_lost(at: datetime, lost: Sequence[Any]) -> bool:
    """Whether what was written then is gone rightly: the database was brought back to before it."""
    return any(row.restored_to < at <= row.marked_at for row in lost)


def _trouble(found: Verified) -> Iterator[str]:
    for words, those in (
        ("изменены", found.changed),
        ("удалены", found.gone),
        ("вписаны мимо магазина", found.slipped_in),
        ("нет звеньев", found.gaps),
    ):
        if those:
            more = f" и ещё {len(those) - _SHOWN}" if len(those) > _SHOWN else ""
            yield f"{words}: {', '.join(map(str, those[:_SHOWN]))}{more}"
    if found.belied:
        claim = found.belied[0]
        yield f"конец другой, чем помнит {claim.source} ({claim.head})"
