"""The catalogue: every copy that was ever begun, and what its last trial showed."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    Identity,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from getpro.platform.database import metadata

backups: Final = Table(
    "backups",
    metadata,
    Column("backup_id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True, comment="of its files, without the ending"),
    Column("kind", Text, nullable=False, server_default=text("'dump'")),
    Column("state", Text, nullable=False),
    Column("asked_by", Text, nullable=False, comment="schedule, or who gave the command"),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Column("bytes", BigInteger, comment="of the file"),
    Column("manifest", JSONB, comment="as in the file beside the copy: see backups/manifest.py"),
    Column("trouble", Text, comment="why it failed or is lost"),
    Column("verified_at", DateTime(timezone=True), comment="when it was last restored for trial"),
    Column("is_good", Boolean, comment="how that went"),
    Column("verification", JSONB, comment="its steps with their seconds, or what was wrong"),
    Column("offsite_place", Text, comment="where off this machine some of it may lie"),
    Column("offsite_at", DateTime(timezone=True), comment="when all of it was found there whole"),
    Column("offsite_trouble", Text, comment="why it is not there, or not gone from there"),
    CheckConstraint("state <> 'made' OR (bytes IS NOT NULL AND manifest IS NOT NULL)", name="made_is_whole"),
    CheckConstraint("offsite_at IS NULL OR offsite_place IS NOT NULL", name="offsite_is_somewhere"),
)

wal_streams: Final = Table(
    "wal_streams",
    metadata,
    Column("system_id", Text, primary_key=True, comment="of the cluster whose log it is"),
    Column("safe_until", DateTime(timezone=True), comment="all that was committed before lies in the folder"),
    Column(
        "offsite_until", DateTime(timezone=True), comment="… off this machine; null: it does not go there"
    ),
    Column("trouble", Text, comment="why the log does not flow"),
    Column("noted_at", DateTime(timezone=True), nullable=False),
)

drills: Final = Table(
    "drills",
    metadata,
    Column("drill_id", BigInteger, Identity(), primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("source", Text, nullable=False, comment="what it was brought up from"),
    Column("rto_seconds", Float, nullable=False, comment="until the product sold there, or it was given up"),
    Column("rpo_seconds", Float, comment="of the last work that were missing; null: nothing was brought up"),
    Column("steps", JSONB, nullable=False),
    Column("trouble", Text, comment="why it is not good"),
    Column("asked_by", Text, nullable=False),
)
