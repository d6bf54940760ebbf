"""Table ``audit_log``: what people did to the shop, when and why; written in the transaction of the deed."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, insert

from getpro.platform.database import Session, metadata

audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False, comment="who: the operator's name"),
    Column("action", Text, nullable=False, comment="e.g. payments.credit"),
    Column("subject", Text, nullable=False, comment="to what, e.g. s12"),
    Column("reason", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Index("audit_log_at_idx", "at"),
)


async def note(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str,
    outcome: str,
    now: datetime,
) -> int:
    """Keep who did what and why; a step, deed and record commit together. Return its number."""
    statement = insert(audit_log).values(
        at=now, actor=actor, action=action, subject=subject, reason=reason, outcome=outcome
    )
    noted: int = (await session.execute(statement.returning(audit_log.c.audit_id))).scalar_one()
    return noted
