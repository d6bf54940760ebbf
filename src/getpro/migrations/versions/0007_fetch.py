"""A job is fetched by its index alone, however many wait and whatever the planner believes.

Source: docs/decisions/0015-fetching-jobs.md.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE OR REPLACE FUNCTION procrastinate_fetch_job_v2(
            target_queue_names character varying[], p_worker_id bigint
        ) RETURNS procrastinate_jobs LANGUAGE plpgsql AS $$
        DECLARE
            taken procrastinate_jobs;
        BEGIN
            SELECT job.* INTO taken
            FROM procrastinate_jobs AS job
            WHERE job.status = 'todo'
                AND (target_queue_names IS NULL OR job.queue_name = ANY (target_queue_names))
                AND (job.scheduled_at IS NULL OR job.scheduled_at <= now())
                AND (job.lock IS NULL OR NOT EXISTS (
                    SELECT FROM procrastinate_jobs AS other
                    WHERE other.lock = job.lock
                        AND other.status IN ('todo', 'doing')
                        AND (other.status = 'doing' OR (other.priority, -other.id) > (job.priority, -job.id))
                ))
            ORDER BY job.priority DESC, job.id
            LIMIT 1
            FOR UPDATE OF job SKIP LOCKED;
            IF FOUND THEN
                UPDATE procrastinate_jobs SET status = 'doing', worker_id = p_worker_id
                WHERE id = taken.id
                RETURNING * INTO taken;
            END IF;
            RETURN taken;
        END;
        $$
        """
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
