"""Up to when each provider's list was looked through; refunds before a credit."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_looks",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="what its account took before is not this shop's",
        ),
        sa.Column(
            "settled_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="what it took before is settled, with or without a notice",
        ),
        sa.Column(
            "compared_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="the sums of the days before are compared",
        ),
        sa.PrimaryKeyConstraint("provider"),
    )
    op.alter_column(
        "refunds",
        "origin",
        comment="shop, cabinet, before credit or by hand",
        existing_comment="shop, cabinet or by hand",
        existing_type=sa.Text(),
        existing_nullable=False,
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
