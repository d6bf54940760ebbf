"""No secret of a customer's stands in a table: the links are asked for at the panel and kept encrypted."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "panel_accounts",
        sa.Column(
            "short_uuid_sha256",
            sa.LargeBinary(),
            comment="by which the same user is told",
        ),
    )
    op.execute("UPDATE panel_accounts SET short_uuid_sha256 = sha256(convert_to(short_uuid, 'UTF8'))")
    op.alter_column("panel_accounts", "short_uuid_sha256", nullable=False)
    op.add_column(
        "panel_accounts",
        sa.Column(
            "encrypted_url",
            sa.LargeBinary(),
            comment="the subscription's link; null: the panel is asked for it",
        ),
    )
    op.drop_column("panel_accounts", "short_uuid")
    op.drop_column("panel_accounts", "subscription_url")


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
