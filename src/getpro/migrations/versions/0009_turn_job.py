"""A job that is running may turn into the one that follows it.

Source: docs/decisions/0017-fewer-steps-a-payment.md.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION turn_job(p_id bigint, p_name text, p_lock text, p_args jsonb) RETURNS boolean
        LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
        BEGIN
            UPDATE procrastinate_jobs SET task_name = p_name, lock = p_lock, args = p_args
            WHERE id = p_id AND status = 'doing' AND NOT EXISTS (
                SELECT FROM procrastinate_jobs WHERE lock = p_lock AND status IN ('todo', 'doing')
            );
            RETURN FOUND;
        END;
        $$
        """
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
