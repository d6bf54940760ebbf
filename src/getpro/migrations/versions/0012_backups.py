"""The catalogue of copies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backups",
        sa.Column("backup_id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True, comment="of its files, without the ending"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False, comment="schedule, or who gave the command"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("bytes", sa.BigInteger(), comment="of the file"),
        sa.Column("manifest", JSONB(), comment="as in the file beside the copy: see backups/manifest.py"),
        sa.Column("trouble", sa.Text(), comment="why it failed or is lost"),
        sa.Column("verified_at", sa.DateTime(timezone=True), comment="when it was last restored for trial"),
        sa.Column("is_good", sa.Boolean(), comment="how that went"),
        sa.Column("verification", JSONB(), comment="its steps with their seconds, or what was wrong"),
        sa.CheckConstraint(
            "state <> 'made' OR (bytes IS NOT NULL AND manifest IS NOT NULL)", name="made_is_whole"
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
