"""Tables of subscriptions: what a customer may use, and every change of its end."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

from getpro.platform.database import metadata

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("subscription_id", BigInteger, Identity(), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.user_id"), nullable=False),
    Column("provider", Text, nullable=False, comment="how its last period was paid; or trial, gift"),
    Column("is_active", Boolean, nullable=False, comment="kept true to end_date within a minute"),
    Column("start_date", DateTime(timezone=True), nullable=False),
    Column("end_date", DateTime(timezone=True), nullable=False, comment="whole seconds"),
    Column("wanted_version", Integer, nullable=False, server_default="1", comment="grows with every change"),
    Column("wanted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("provisioned_version", Integer, nullable=False, server_default="0", comment="what the panel has"),
    Column("delivery_trouble", Text, comment="away, refused or ours, while the panel does not have it"),
    Column("delivery_trouble_text", Text, comment="the panel's own words, or the name of our error"),
    Column("next_reminder_at", DateTime(timezone=True), server_default=func.now(),
           comment="when the next reminder is looked at; null: none is left"),
    Column("first_paid_at", DateTime(timezone=True), comment="when it was first paid for; null: never"),
    CheckConstraint("end_date >= start_date", name="ends_after_start"),
    CheckConstraint("provisioned_version <= wanted_version", name="versions"),
    Index("subscriptions_user_id_idx", "user_id"),
    Index("subscriptions_expiring_idx", "end_date", postgresql_where=text("is_active")),
    Index("subscriptions_next_reminder_at_idx", "next_reminder_at",
          postgresql_where=text("next_reminder_at IS NOT NULL")),
    Index("subscriptions_undelivered_idx", "wanted_at",
          postgresql_where=text("provisioned_version < wanted_version")),
)  # fmt: skip

subscription_changes = Table(
    "subscription_changes",
    metadata,
    Column("change_id", BigInteger, Identity(), primary_key=True),
    Column("subscription_id", BigInteger, ForeignKey("subscriptions.subscription_id"), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("cause", Text, nullable=False, comment="one of ChangeCause"),
    Column("payment_id", BigInteger, ForeignKey("payments.payment_id")),
    Column("refund_id", BigInteger, ForeignKey("refunds.refund_id"), comment="what took days of it back"),
    Column("days", Integer, nullable=False, comment="given, or taken back (as far as they were unused)"),
    Column("end_before", DateTime(timezone=True)),
    Column("end_after", DateTime(timezone=True), nullable=False),
    Column("delivered_at", DateTime(timezone=True), comment="when the panel first had it"),
    UniqueConstraint("refund_id"),
    Index("subscription_changes_payment_id_key", "payment_id", unique=True,
          postgresql_where=text("refund_id IS NULL")),
    Index("subscription_changes_subscription_id_idx", "subscription_id", "change_id"),
    Index("subscription_changes_changed_at_idx", "changed_at"),
)  # fmt: skip
"""``days`` is what was asked for; where days were taken back, it was ``end_before - end_after`` of them."""
