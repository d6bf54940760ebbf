"""Table ``users``: the guide's name for customers."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Table, Text, func, true

from getpro.platform.database import metadata

users = Table(
    "users",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False, comment="the Telegram id"),
    Column("username", Text),
    Column("first_name", Text, nullable=False, server_default=""),
    Column("registration_date", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("language", Text, comment="ru or en; chosen, or taken from Telegram at the first start"),
    Column("start_parameter", Text, comment="the deep link of the first start that had one"),
    Column("email", Text, comment="for the receipt (54-FZ)"),
    Column("platform", Text, comment="the device chosen on the connect screen"),
    Column("zone", Text, comment="a time zone's name; null: the shop's"),
    Column("is_reminded", Boolean, nullable=False, server_default=true(), comment="wants to be reminded"),
    Column("trial_started_at", DateTime(timezone=True)),
    Column("trial_screen_id", BigInteger, comment="the message on which the trial is awaited"),
    Column("dialog", Text, comment="what the next text message answers, e.g. email:<plan>:<provider>"),
    Column("blocked_at", DateTime(timezone=True), comment="an operator has shut the customer out"),
    Column("unreachable_since", DateTime(timezone=True), comment="blocked the bot, or the account is gone"),
    Column("unreachable_reason", Text),
    Index("users_registration_date_idx", "registration_date"),
)
