"""Refunds: money that goes back, and the days that go with it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refunds",
        sa.Column("refund_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "refund_key", sa.Uuid(), nullable=False, comment="our id at the provider and the idempotence key"
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False, comment="shop, cabinet or by hand"),
        sa.Column("amount", sa.Numeric(12, 2), comment="in roubles; null until the money is given back"),
        sa.Column(
            "refunded_amount", sa.Numeric(18, 6), nullable=False, comment="in what the customer had paid with"
        ),
        sa.Column("refunded_currency", sa.Text(), nullable=False),
        sa.Column(
            "days",
            sa.Integer(),
            comment="the share of the days bought, whether or not they were used already",
        ),
        sa.Column("request", postgresql.JSONB(), comment="the body of the call, repeated as it is"),
        sa.Column(
            "asked_by", sa.Text(), nullable=False, comment="the operator's name; shop for one that was found"
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("trouble", sa.Text(), comment="the provider's own words"),
        sa.CheckConstraint(
            "status IN ('pending', 'succeeded', 'refused', 'withdrawn')", name=op.f("refunds_status_check")
        ),
        sa.CheckConstraint("refunded_amount > 0", name=op.f("refunds_amount_positive_check")),
        sa.CheckConstraint(
            "(status = 'succeeded') = (amount IS NOT NULL AND days IS NOT NULL AND finished_at IS NOT NULL)",
            name=op.f("refunds_succeeded_check"),
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.payment_id"], name=op.f("refunds_payment_id_fkey")
        ),
        sa.PrimaryKeyConstraint("refund_id", name=op.f("refunds_pkey")),
        sa.UniqueConstraint("refund_key", name=op.f("refunds_refund_key_key")),
    )
    op.create_index("refunds_payment_id_idx", "refunds", ["payment_id"])
    op.create_index(
        "refunds_open_idx",
        "refunds",
        ["created_at"],
        postgresql_where=sa.text("status IN ('pending', 'refused')"),
    )
    op.add_column(
        "subscription_changes",
        sa.Column(
            "refund_id",
            sa.BigInteger(),
            sa.ForeignKey("refunds.refund_id", name=op.f("subscription_changes_refund_id_fkey")),
            comment="what took days of it back",
        ),
    )
    op.create_unique_constraint(
        op.f("subscription_changes_refund_id_key"), "subscription_changes", ["refund_id"]
    )
    op.drop_constraint(op.f("subscription_changes_payment_id_key"), "subscription_changes", type_="unique")
    op.create_index(
        "subscription_changes_payment_id_key",
        "subscription_changes",
        ["payment_id"],
        unique=True,
        postgresql_where=sa.text("refund_id IS NULL"),
    )
    op.alter_column(
        "subscription_changes",
        "days",
        comment="given, or taken back (as far as they were unused)",
        existing_type=sa.Integer(),
        existing_nullable=False,
    )
    op.alter_column(
        "subscription_changes",
        "cause",
        comment="one of ChangeCause",
        existing_comment="trial, payment, credit, repair",
        existing_type=sa.Text(),
        existing_nullable=False,
    )
    op.drop_constraint(op.f("subscriptions_ends_after_start_check"), "subscriptions", type_="check")
    op.create_check_constraint(
        op.f("subscriptions_ends_after_start_check"), "subscriptions", "end_date >= start_date"
    )


def downgrade() -> None:
    raise NotImplementedError("refunds are money: restore a backup instead")
