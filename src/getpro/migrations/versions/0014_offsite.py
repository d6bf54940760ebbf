"""Copies off this machine."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "backups",
        sa.Column("offsite_place", sa.Text(), comment="where off this machine some of it may lie"),
    )
    op.add_column(
        "backups",
        sa.Column("offsite_at", sa.DateTime(timezone=True), comment="when all of it was found there whole"),
    )
    op.add_column(
        "backups",
        sa.Column("offsite_trouble", sa.Text(), comment="why it is not there, or not gone from there"),
    )
    op.add_column(
        "wal_streams",
        sa.Column(
            "offsite_until",
            sa.DateTime(timezone=True),
            comment="… off this machine; null: it does not go there",
        ),
    )
    op.create_check_constraint(
        "offsite_is_somewhere", "backups", "offsite_at IS NULL OR offsite_place IS NOT NULL"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
