"""Tables of messages: notices to customers, marks of seen updates, and the message log."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from getpro.platform.database import metadata

notices = Table(
    "notices",
    metadata,
    Column("notice_id", BigInteger, Identity(), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.user_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True, comment="what it is about: a second one is not written"),
    Column("arguments", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column(
        "claimed_at", DateTime(timezone=True), comment="of news told at most once: somebody is sending it"
    ),
    Column("sent_at", DateTime(timezone=True)),
    Column("message_id", BigInteger),
    Column("dropped_at", DateTime(timezone=True), comment="will never be sent"),
    Column("failures", Integer, nullable=False, server_default="0", comment="tries that met a bug of ours"),
    Column("trouble", Text, comment="why it was dropped, or what the last failure was"),
    Index(
        "notices_waiting_idx", "created_at", postgresql_where=text("sent_at IS NULL AND dropped_at IS NULL")
    ),
)

telegram_updates = Table(
    "telegram_updates",
    metadata,
    Column("update_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("telegram_updates_seen_at_idx", "seen_at"),
)

message_logs = Table(
    "message_logs",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("timestamp", DateTime(timezone=True), nullable=False),
    Column("kind", Text, nullable=False, comment="message, button, or Telegram's name for the update"),
    Column("content", Text, comment="the command or the button; never a text that a customer wrote"),
    Column("update_id", BigInteger),
    Index("message_logs_timestamp_idx", "timestamp"),
    Index("message_logs_user_id_timestamp_idx", "user_id", "timestamp"),
    postgresql_partition_by="RANGE (timestamp)",
)
