"""Base backups, and how the log flows."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("backups", sa.Column("kind", sa.Text(), nullable=False, server_default=sa.text("'dump'")))
    op.create_table(
        "wal_streams",
        sa.Column("system_id", sa.Text(), primary_key=True, comment="of the cluster whose log it is"),
        sa.Column(
            "safe_until",
            sa.DateTime(timezone=True),
            comment="all that was committed before lies in the folder",
        ),
        sa.Column("trouble", sa.Text(), comment="why the log does not flow"),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
