"""Customers whom an operator has shut out, and the screen of a trial."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column("blocked_at", sa.DateTime(timezone=True), comment="an operator has shut the customer out"),
    )
    op.add_column(
        "users",
        sa.Column(
            "trial_screen_id",
            sa.BigInteger(),
            comment="the message on which the trial is awaited",
        ),
    )
    op.alter_column(
        "subscriptions",
        "provider",
        comment="how its last period was paid; or trial, gift",
        existing_comment="how its last period was paid; trial for a trial",
        existing_type=sa.Text(),
        existing_nullable=False,
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
