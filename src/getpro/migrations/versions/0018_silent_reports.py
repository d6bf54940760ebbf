"""A report that finds nothing wrong wakes nobody."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "operator_messages",
        sa.Column(
            "is_silent", sa.Boolean(), nullable=False, server_default=sa.false(), comment="wakes nobody"
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
