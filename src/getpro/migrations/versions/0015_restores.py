"""The database brought back in time: the mark that holds the shop, and what was found after it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "restores",
        sa.Column("restore_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "restored_to", sa.DateTime(timezone=True), nullable=False, comment="what came after was lost"
        ),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "numbers_moved_at",
            sa.DateTime(timezone=True),
            comment="when the sequences were moved past all that had been handed out",
        ),
        sa.Column("reconciled_at", sa.DateTime(timezone=True), comment="null: the shop is held"),
        sa.PrimaryKeyConstraint("restore_id"),
    )
    op.create_table(
        "restore_findings",
        sa.Column("restore_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="a charge as provider/number, or a customer as u42",
        ),
        sa.Column("user_id", sa.BigInteger()),
        sa.Column("amount", sa.Numeric(18, 6)),
        sa.Column("currency", sa.Text()),
        sa.Column(
            "end_before",
            sa.DateTime(timezone=True),
            comment="of access, as the restored database had it",
        ),
        sa.Column("end_after", sa.DateTime(timezone=True)),
        sa.Column("details", sa.Text(), nullable=False, server_default=""),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("restore_id", "kind", "subject"),
        sa.ForeignKeyConstraint(["restore_id"], ["restores.restore_id"]),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
