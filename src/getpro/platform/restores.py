"""Table ``restores``: when the database was brought back in time, and whether its books are whole again.

While a row has no ``reconciled_at`` the shop is held: it neither sells nor settles nor delivers. Notices are
kept all the same. The rows are written by ``sales.after_restore``; whoever sells or delivers looks here.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Numeric,
    Table,
    Text,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or_leave

from getpro.kit.money import Money
from getpro.platform.database import Session, metadata
from getpro.platform.prepared import Prepared

restores = Table(
    "restores",
    metadata,
    Column("restore_id", BigInteger, Identity(), primary_key=True),
    Column("restored_to", DateTime(timezone=True), nullable=False, comment="what came after was lost"),
    Column("marked_at", DateTime(timezone=True), nullable=False),
    Column("numbers_moved_at", DateTime(timezone=True),
           comment="when the sequences were moved past all that had been handed out"),
    Column("reconciled_at", DateTime(timezone=True), comment="null: the shop is held"),
)  # fmt: skip

restore_findings = Table(
    "restore_findings",
    metadata,
    Column("restore_id", BigInteger, ForeignKey("restores.restore_id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("subject", Text, primary_key=True, comment="a charge as provider/number, or a customer as u42"),
    Column("user_id", BigInteger),
    Column("amount", Numeric(18, 6)),
    Column("currency", Text),
    Column("end_before", DateTime(timezone=True), comment="of access, as the restored database had it"),
    Column("end_after", DateTime(timezone=True)),
    Column("details", Text, nullable=False, server_default=""),
    Column("found_at", DateTime(timezone=True), nullable=False),
)

HELD: Final = exists().where(restores.c.reconciled_at.is_(None))
"""The condition, as a column of another statement, that the shop is held; the table is all but empty."""
HELD_SECONDS: Final = 10
"""After so long a job that was held looks again."""
_HELD: Final = Prepared(select(HELD.label("is_held")))


async def is_held(session: Session) -> bool:
    """Whether the database was brought back and its books are not whole again."""
    return bool(await _HELD.scalar(session))


async def mark_restored(session: Session, moment: datetime, *, now: datetime) -> int:
    """Hold the shop: this database was brought back to ``moment``; a step. Return the mark's number.

    To be called before any process of the shop sees the database. Marked again it is one mark, with the
    earlier of the moments; the same moment once more opens its old mark again. After another restore the
    sequences are moved anew: this database may have forgotten what was handed out since they were.
    """
    known = (
        await session.execute(
            select(restores)
            .where(restores.c.reconciled_at.is_(None) | (restores.c.restored_to == moment))
            .order_by(restores.c.reconciled_at.is_(None).desc(), restores.c.restore_id)
            .limit(1)
            .with_for_update()
        )
    ).first()
    if known is None:
        made = insert(restores).values(restored_to=moment, marked_at=now).returning(restores.c.restore_id)
        return int((await session.execute(made)).scalar_one())
    again = {} if known.restored_to == moment else {"numbers_moved_at": None}
    await session.execute(
        update(restores)
        .where(restores.c.restore_id == known.restore_id)
        .values(restored_to=min(known.restored_to, moment), reconciled_at=None, **again)
    )
    return int(known.restore_id)


async def held_by(session: Session) -> Any:
    """The row of the mark that holds the shop, or None."""
    return (
        await session.execute(
            select(restores).where(restores.c.reconciled_at.is_(None)).order_by(restores.c.restore_id)
        )
    ).first()


async def newest(session: Session) -> Any:
    """The row of the last mark, whether it holds the shop or not; None where there was never a restore."""
    return (
        await session.execute(select(restores).order_by(restores.c.restore_id.desc()).limit(1))
    ).one_or_none()


async def note_numbers_moved(session: Session, restore_id: int, *, now: datetime) -> None:
    await session.execute(
        update(restores).where(restores.c.restore_id == restore_id).values(numbers_moved_at=now)
    )


async def release(session: Session, *, now: datetime) -> None:
    """Let the shop go on: its books are whole."""
    await session.execute(
        update(restores).where(restores.c.reconciled_at.is_(None)).values(reconciled_at=now)
    )


async def note_finding(
    session: Session,
    restore_id: int,
    *,
    kind: str,
    subject: str,
    now: datetime,
    user_id: int | None = None,
    money: Money | None = None,
    end_before: datetime | None = None,
    end_after: datetime | None = None,
    details: str = "",
) -> None:
    """Keep what was found, in the transaction of what was done about it; once for each subject."""
    await session.execute(
        insert_or_leave(restore_findings)
        .values(
            restore_id=restore_id,
            kind=kind,
            subject=subject,
            user_id=user_id,
            amount=None if money is None else money.value,
            currency=None if money is None else money.currency,
            end_before=end_before,
            end_after=end_after,
            details=details,
            found_at=now,
        )
        .on_conflict_do_nothing()
    )


async def forget_findings(session: Session, restore_id: int, *, kind: str) -> None:
    """Forget what is looked for anew in each run: what is still so is found again."""
    await session.execute(
        delete(restore_findings).where(
            restore_findings.c.restore_id == restore_id, restore_findings.c.kind == kind
        )
    )


async def findings(session: Session, restore_id: int) -> list[Any]:
    """What was found after a restore, in the order in which it was."""
    rows = await session.execute(
        select(restore_findings)
        .where(restore_findings.c.restore_id == restore_id)
        .order_by(restore_findings.c.found_at, restore_findings.c.kind, restore_findings.c.subject)
    )
    return list(rows)
