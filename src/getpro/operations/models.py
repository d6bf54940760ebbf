"""Tables of operations: what the routines found, what the operators are told, how much there was of what."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects.postgresql import JSONB

from getpro.platform.database import metadata

BY_SCHEDULE: Final = "schedule"
"""Who asked for a routine's run, where nobody did."""
SYNTHETIC_PURCHASE: Final = "synthetic_purchase"
"""As which a synthetic purchase is kept among the ``check_runs`` of its own schema; also its schedule."""

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
    Column("due_at", DateTime(timezone=True), comment="when its schedule had it run; none of a command"),
    UniqueConstraint("routine", "due_at"),
    Index("check_runs_routine_started_at_idx", "routine", "started_at"),
)

operator_messages = Table(
    "operator_messages",
    metadata,
    Column("message_id", BigInteger, Identity(), primary_key=True),
    Column("key", Text, nullable=False, comment="what it is about: a second one is not written"),
    Column("text", Text, nullable=False, comment="HTML, as Telegram reads it"),
    Column("picture", LargeBinary, comment="PNG; until it is sent"),
    Column("document", LargeBinary, comment="a file; until it is sent"),
    Column("document_name", Text),
    Column("is_silent", Boolean, nullable=False, server_default=false(), comment="wakes nobody"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("trouble", Text, comment="why it will never be sent"),
    UniqueConstraint("key"),
)

capacity_samples = Table(
    "capacity_samples",
    metadata,
    Column("what", Text, primary_key=True, comment="the figure: see operations/samples.py"),
    Column("subject", Text, primary_key=True, comment="of which table, folder …; empty where there is one"),
    Column("taken_at", DateTime(timezone=True), primary_key=True, comment="the hour"),
    Column("value", Double, nullable=False, comment="bytes, counts or seconds; never money"),
)

audits = Table(
    "audits",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False, comment="of check_runs"),
    Column("month", Date, nullable=False, comment="its first day, the operator's"),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("markdown", Text, nullable=False),
    Column("pdf", LargeBinary, comment="null: not drawn yet"),
    Column("head", Text, nullable=False, comment="of the audit log's chain, as it was then"),
    Column("signed_by", Text),
    Column("signed_at", DateTime(timezone=True)),
    Index("audits_month_idx", "month"),
)

accepted_findings = Table(
    "accepted_findings",
    metadata,
    Column("finding", Text, primary_key=True, comment="the name of its line"),
    Column("seen", Text, primary_key=True, comment="what was accepted: anything else counts"),
    Column("until", DateTime(timezone=True), nullable=False, comment="then it counts again"),
    Column("reason", Text, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
)

known_secrets = Table(
    "known_secrets",
    metadata,
    Column("name", Text, primary_key=True, comment="the setting, or the file"),
    Column("fingerprint", Text, primary_key=True, comment="with a key that lies outside the database"),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
)

refusals = Table(
    "refusals",
    metadata,
    Column("day", Date, primary_key=True, comment="UTC"),
    Column("door", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("source", Text, primary_key=True, comment="an address, or a network of IPv6"),
    Column("times", BigInteger, nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
)

month_reports = Table(
    "month_reports",
    metadata,
    Column("month", Date, primary_key=True, comment="its first day"),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("report", JSONB, nullable=False, comment="see operations/month/report.py"),
)
