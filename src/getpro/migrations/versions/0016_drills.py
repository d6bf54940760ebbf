"""Drills: how long the shop takes to come back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drills",
        sa.Column("drill_id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="what it was brought up from"),
        sa.Column(
            "rto_seconds",
            sa.Float(),
            nullable=False,
            comment="until the product sold there, or it was given up",
        ),
        sa.Column(
            "rpo_seconds",
            sa.Float(),
            comment="of the last work that were missing; null: nothing was brought up",
        ),
        sa.Column("steps", JSONB(), nullable=False),
        sa.Column("trouble", sa.Text(), comment="why it is not good"),
        sa.Column("asked_by", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
