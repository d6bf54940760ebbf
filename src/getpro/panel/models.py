"""Table ``panel_accounts``: the users that we made on the panel."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, LargeBinary, Table, Text

from getpro.platform.database import metadata

panel_accounts = Table(
    "panel_accounts",
    metadata,
    Column("subscription_id", BigInteger, ForeignKey("subscriptions.subscription_id"), primary_key=True,
           autoincrement=False),
    Column("panel_user_id", Text, nullable=False, comment="a number on a panel 3.x, a uuid on 2.x"),
    Column("username", Text, nullable=False),
    Column("short_uuid_sha256", LargeBinary, nullable=False, comment="by which the same user is told"),
    Column("encrypted_url", LargeBinary, comment="the subscription's link; null: the panel is asked for it"),
    Column("confirmed_at", DateTime(timezone=True), nullable=False, comment="when the panel last answered"),
    # Events of every version name the user so; a panel set up anew counts its numbers from 1 again.
    Index("panel_accounts_username_idx", "username"),
)  # fmt: skip
