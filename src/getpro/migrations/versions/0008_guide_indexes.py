"""The guide's two widest queries read an index, not the table."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("payments_created_at_idx", "payments")
    op.create_index(
        "payments_created_at_idx",
        "payments",
        ["created_at"],
        postgresql_include=["user_id", "status", "amount"],
    )
    op.create_index(
        "payments_paid_by_user_idx",
        "payments",
        ["user_id"],
        postgresql_include=["payment_id", "amount"],
        postgresql_where="status = 'succeeded'",
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
