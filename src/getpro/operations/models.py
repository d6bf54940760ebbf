"""Tables of operations: what the routines found, and what the operators are told."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB

from getpro.platform.database import metadata

check_runs = Table(
    "check_runs",
    metadata,
    Column("run_id", BigInteger, Identity(), primary_key=True),
    Column("routine", Text, nullable=False),
    Column("asked_by", Text, nullable=False, comment="schedule, or who gave the command"),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True), nullable=False),
    Column("level", Text, nullable=False, comment="the worst of its findings"),
    Column("findings", JSONB, nullable=False),
    Index("check_runs_routine_started_at_idx", "routine", "started_at"),
)

operator_messages = Table(
    "operator_messages",
    metadata,
    Column("message_id", BigInteger, Identity(), primary_key=True),
    Column("key", Text, nullable=False, comment="what it is about: a second one is not written"),
    Column("text", Text, nullable=False, comment="HTML, as Telegram reads it"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("trouble", Text, comment="why it will never be sent"),
    UniqueConstraint("key"),
)
