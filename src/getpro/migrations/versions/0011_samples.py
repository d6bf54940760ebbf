"""How much there was of what, by the hour; a routine once for each time it is due; pictures for the chat."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "capacity_samples",
        sa.Column("what", sa.Text(), primary_key=True, comment="the figure: see operations/samples.py"),
        sa.Column(
            "subject",
            sa.Text(),
            primary_key=True,
            comment="of which table, folder …; empty where there is one",
        ),
        sa.Column("taken_at", sa.DateTime(timezone=True), primary_key=True, comment="the hour"),
        sa.Column("value", sa.Double(), nullable=False, comment="bytes, counts or seconds; never money"),
    )
    op.add_column(
        "check_runs",
        sa.Column(
            "due_at", sa.DateTime(timezone=True), comment="when its schedule had it run; none of a command"
        ),
    )
    op.create_unique_constraint("check_runs_routine_due_at_key", "check_runs", ["routine", "due_at"])
    op.add_column(
        "operator_messages", sa.Column("picture", sa.LargeBinary(), comment="PNG; until it is sent")
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
