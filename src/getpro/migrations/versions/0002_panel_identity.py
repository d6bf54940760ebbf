"""A user of a panel 2.x goes by a uuid; events are matched by the name, which every version has."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("panel_accounts_panel_user_id_idx", table_name="panel_accounts")
    op.alter_column(
        "panel_accounts",
        "panel_user_id",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
        type_=sa.Text(),
        postgresql_using="panel_user_id::text",
        comment="a number on a panel 3.x, a uuid on 2.x",
    )
    op.create_index("panel_accounts_username_idx", "panel_accounts", ["username"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("a uuid is no number: restore a backup instead")
