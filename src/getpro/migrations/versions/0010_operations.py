"""What the routines found, and what the operators are told."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "check_runs",
        sa.Column("run_id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("routine", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False, comment="schedule, or who gave the command"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.Text(), nullable=False, comment="the worst of its findings"),
        sa.Column("findings", postgresql.JSONB(), nullable=False),
    )
    op.create_index("check_runs_routine_started_at_idx", "check_runs", ["routine", "started_at"])
    op.create_table(
        "operator_messages",
        sa.Column("message_id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("key", sa.Text(), nullable=False, comment="what it is about: a second one is not written"),
        sa.Column("text", sa.Text(), nullable=False, comment="HTML, as Telegram reads it"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("trouble", sa.Text(), comment="why it will never be sent"),
        sa.UniqueConstraint("key"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
