"""Table ``panel_accounts``: the users that we made on the panel."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Table, Text

from getpro.platform.database import metadata

panel_accounts = Table(
    "panel_accounts",
    metadata,
    Column("subscription_id", BigInteger, ForeignKey("subscriptions.subscription_id"), primary_key=True,
           autoincrement=False),
    Column("panel_user_id", BigInteger, nullable=False),
    Column("username", Text, nullable=False),
    Column("short_uuid", Text, nullable=False),
    Column("subscription_url", Text, nullable=False, comment="a secret of the customer: never logged"),
    Column("confirmed_at", DateTime(timezone=True), nullable=False, comment="when the panel last answered"),
    # Not unique: a panel that is set up anew counts from 1 again, while older rows still hold those numbers.
    Index("panel_accounts_panel_user_id_idx", "panel_user_id"),
)  # fmt: skip
