"""The audit log as the audit sees it: held against copies and earlier audits, and restores are no theft."""

import json
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, text

from getpro.backups.manifest import Facts, Manifest
from getpro.checks.check import Finding, Level
from getpro.operations.looks import chain
from getpro.operations.models import audits
from getpro.platform import audit
from getpro.platform.audit import Head
from getpro.platform.database import Database
from getpro.platform.restores import restores
from shop import NOW

DAY = timedelta(days=1)
COPY = Manifest(
    name="2getpro-20260301-030000",
    made_at=NOW.isoformat(),
    program="2.0.0",
    server="18",
    database_bytes=1,
    file_bytes=1,
    sha256="0" * 64,
    facts=Facts("0020", {}, {}),
)


async def noted(db: Database, many: int) -> Head:
    for _ in range(many):
        async with db.begin("test") as session:
            await audit.note(
                session, actor="olga", action="x", subject="u1", reason="x", outcome="y", now=NOW
            )
    async with db.read("test") as session:
        return await audit.head(session)


async def cut(db: Database, *, to: int) -> None:
    """Past the rule, as if nothing had ever been there."""
    async with db.begin("test") as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("DELETE FROM audit_log WHERE audit_id > :to"), {"to": to})
        await session.execute(text("DELETE FROM audit_chain WHERE position > :to"), {"to": to})


async def seen(db: Database, copies: Path | None = None) -> Finding:
    [found] = [one async for one in chain.look(db, copies)]
    return found


def copied(folder: Path, head: str, *, days: int = 0) -> None:
    made_at = (NOW + days * DAY).isoformat()
    manifest = replace(COPY, made_at=made_at, facts=Facts("0020", {}, {}, head))
    (folder / f"{COPY.name}.json").write_text(json.dumps(asdict(manifest)))


async def test_a_log_as_it_was_written_is_green_and_says_how_far_it_was_held_against_others(
    db: Database, tmp_path: Path
) -> None:
    assert (await seen(db, tmp_path)).level is Level.OK
    head = await noted(db, 3)
    copied(tmp_path, str(head))
    await noted(db, 1)
    found = await seen(db, tmp_path)
    assert found.level is Level.OK
    assert found.seen.startswith("записей 4, цела до 4:")
    assert found.seen.endswith("сверено мест 1")


async def test_whatever_is_missing_or_changed_is_named(db: Database) -> None:
    await noted(db, 9)
    async with db.begin("test") as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("UPDATE audit_log SET actor = 'eve' WHERE audit_id = 2"))
        await session.execute(text("DELETE FROM audit_log WHERE audit_id BETWEEN 4 AND 9"))
    found = await seen(db)
    assert (found.level, found.seen) == (Level.WRONG, "изменены: 2; удалены: 4, 5, 6, 7, 8 и ещё 1")
    assert found.remedy == "docs/operations/audit.md#журнал-решений"


async def test_an_end_that_was_cut_off_is_known_from_a_copy(db: Database, tmp_path: Path) -> None:
    head = await noted(db, 3)
    copied(tmp_path, str(head))
    await cut(db, to=1)
    assert (await seen(db)).level is Level.OK  # by the log alone nobody can know
    found = await seen(db, tmp_path)
    assert (found.level, found.seen) == (
        Level.WRONG,
        f"конец другой, чем помнит {COPY.name} ({head})",
    )


async def test_and_from_an_earlier_audit(db: Database) -> None:
    head = await noted(db, 3)
    async with db.begin("test") as session:
        row = {"run_id": 1, "month": NOW.date(), "made_at": NOW, "markdown": "x", "head": str(head)}
        await session.execute(insert(audits).values(**row))
    await cut(db, to=1)
    assert (await seen(db)).seen == f"конец другой, чем помнит аудит 03.2026 ({head})"


async def test_what_a_restore_has_lost_rightly_is_no_theft(db: Database, tmp_path: Path) -> None:
    await noted(db, 1)
    copied(tmp_path, str(await noted(db, 2)), days=-1)
    await cut(db, to=1)
    async with db.begin("test") as session:
        back = {"restored_to": NOW - 2 * DAY, "marked_at": NOW, "reconciled_at": NOW}
        await session.execute(insert(restores).values(**back))
    assert (await seen(db, tmp_path)).level is Level.OK
    copied(tmp_path, str(Head(3, "0" * 32)), days=-3)  # of before: it must still be there
    assert (await seen(db, tmp_path)).level is Level.WRONG
