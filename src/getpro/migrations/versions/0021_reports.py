"""A month told later as it was told then: what was learned late, delivered when, compared, and kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _late_payments()
    _first_paid()
    op.add_column(
        "subscription_changes",
        sa.Column("delivered_at", sa.DateTime(timezone=True), comment="when the panel first had it"),
    )
    op.drop_index("subscription_changes_subscription_id_idx", "subscription_changes")
    op.create_index(
        "subscription_changes_subscription_id_idx", "subscription_changes", ["subscription_id", "change_id"]
    )
    op.create_index("subscription_changes_changed_at_idx", "subscription_changes", ["changed_at"])
    op.create_index("refunds_finished_at_idx", "refunds", ["finished_at"])
    op.create_table(
        "provider_days",
        sa.Column("provider", sa.Text(), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True, comment="of the shop's zone"),
        sa.Column("currency", sa.Text(), primary_key=True),
        sa.Column("theirs", sa.Numeric(18, 6), nullable=False, comment="what the provider says that it took"),
        sa.Column(
            "ours", sa.Numeric(18, 6), nullable=False, comment="what we have of that, delivered or stuck"
        ),
        sa.Column("compared_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "month_reports",
        sa.Column("month", sa.Date(), primary_key=True, comment="its first day"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report", postgresql.JSONB(), nullable=False, comment="see operations/month/report.py"),
    )
    op.add_column(
        "operator_messages", sa.Column("document", sa.LargeBinary(), comment="a file; until it is sent")
    )
    op.add_column("operator_messages", sa.Column("document_name", sa.Text()))


def _late_payments() -> None:
    op.add_column(
        "payments",
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            comment="when we wrote down that it was paid; null, of old rows: within a day",
        ),
    )
    op.execute(
        "UPDATE payments SET recorded_at = m.moved_at FROM payment_moves m"
        " WHERE m.payment_id = payments.payment_id AND m.to_status = 'succeeded'"
        " AND payments.status = 'succeeded' AND m.moved_at - payments.paid_at > interval '1 day'"
    )
    op.create_index(
        "payments_late_idx",
        "payments",
        ["recorded_at"],
        postgresql_where="recorded_at - paid_at > interval '1 day'",
    )


def _first_paid() -> None:
    op.add_column(
        "subscriptions",
        sa.Column(
            "first_paid_at", sa.DateTime(timezone=True), comment="when it was first paid for; null: never"
        ),
    )
    op.execute(
        "UPDATE subscriptions SET first_paid_at = paid.first_at FROM ("
        "SELECT subscription_id, min(changed_at) AS first_at FROM subscription_changes"
        " WHERE payment_id IS NOT NULL AND refund_id IS NULL GROUP BY subscription_id) AS paid"
        " WHERE paid.subscription_id = subscriptions.subscription_id"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
