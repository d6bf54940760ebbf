"""Tables ``plans`` and ``closures``: what is sold, and what of it is not just now."""

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Integer, Numeric, Table, Text, false, true

from getpro.platform.database import metadata

plans = Table(
    "plans",
    metadata,
    Column("plan_id", Integer, primary_key=True),
    Column("duration_months", Integer, nullable=False, comment="the plan's label, and the guide's column"),
    Column("days", Integer, nullable=False, comment="what is added, in UTC: no calendar arithmetic on money"),
    Column("price", Numeric(12, 2), nullable=False, comment="roubles, the shop's accounting currency"),
    Column("stars", Integer, nullable=False, comment="the price in Telegram Stars"),
    Column("is_usual", Boolean, nullable=False, server_default=false(), comment="the owner's usual choice"),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("position", Integer, nullable=False, server_default="0"),
    CheckConstraint("duration_months > 0 AND days > 0", name="length_positive"),
    CheckConstraint("price > 0 AND stars > 0", name="price_positive"),
    Column("comment", Text, comment="for the owner's eyes"),
)

closures = Table(
    "closures",
    metadata,
    Column("what", Text, primary_key=True, comment="shop, or a way to pay as provider:yookassa"),
    Column("closed_at", DateTime(timezone=True), nullable=False),
    Column("closed_by", Text, nullable=False),
    Column("words_ru", Text, comment="for customers; null: what the bot says by itself"),
    Column("words_en", Text),
)
