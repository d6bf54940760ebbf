"""Reminders: the customer's zone and wish, and when a subscription is looked at next."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("zone", sa.Text(), comment="a time zone's name; null: the shop's"))
    op.add_column(
        "users",
        sa.Column(
            "is_reminded",
            sa.Boolean(),
            nullable=False,
            server_default=sa.true(),
            comment="wants to be reminded",
        ),
    )
    op.add_column(
        "notices",
        sa.Column(
            "claimed_at",
            sa.DateTime(timezone=True),
            comment="of news told at most once: somebody is sending it",
        ),
    )
    op.add_column(
        "subscriptions",
        sa.Column(
            "next_reminder_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            comment="when the next reminder is looked at; null: none is left",
        ),
    )
    op.create_index(
        "subscriptions_next_reminder_at_idx",
        "subscriptions",
        ["next_reminder_at"],
        postgresql_where=sa.text("next_reminder_at IS NOT NULL"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
