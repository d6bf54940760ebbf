"""The audit log is a chain; audits are signed, findings accepted, secrets known by their age."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_chain",
        sa.Column(
            "position",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="in the order of commits, without gaps",
        ),
        sa.Column("audit_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of the digest before and of the row",
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("audit_chain_pkey")),
        sa.UniqueConstraint("audit_id", name=op.f("audit_chain_audit_id_key")),
    )
    # As platform/audit.py has it. SET search_path: a dump is read in with an empty one.
    op.execute(
        """
        CREATE FUNCTION close_audit_link(linked bigint) RETURNS void
        LANGUAGE sql SET search_path FROM CURRENT AS $$
            INSERT INTO audit_chain (position, audit_id, digest)
            SELECT coalesce(last.position, 0) + 1, l.audit_id, sha256(
                coalesce(last.digest, decode(repeat('00', 32), 'hex')) || convert_to(jsonb_build_array(
                    l.audit_id, (extract(epoch FROM l.at) * 1000000)::bigint,
                    l.actor, l.action, l.subject, l.reason, l.outcome
                )::text, 'UTF8')
            )
            FROM audit_log l
            LEFT JOIN LATERAL (
                SELECT position, digest FROM audit_chain ORDER BY position DESC LIMIT 1
            ) AS last ON true
            WHERE l.audit_id = linked
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION link_audit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(7201543);
            PERFORM close_audit_link(NEW.audit_id);
            RETURN NULL;
        END;
        $$
        """
    )
    op.execute(
        """
        DO $$
        DECLARE known bigint;
        BEGIN
            FOR known IN SELECT audit_id FROM audit_log ORDER BY audit_id LOOP
                PERFORM close_audit_link(known);
            END LOOP;
        END;
        $$
        """
    )
    # When the deed commits, and not before: the lock is held for no more than that, so that two deeds which
    # wait for each other's rows elsewhere never wait for it, too.
    op.execute(
        """
        CREATE CONSTRAINT TRIGGER link_audit AFTER INSERT ON audit_log
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION link_audit()
        """
    )
    op.execute(
        """
        CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is neither changed nor deleted';
        END;
        $$
        """
    )
    for table in ("audit_log", "audit_chain"):
        op.execute(
            f"""
            CREATE TRIGGER keep_audit BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION keep_audit()
            """
        )
    op.create_table(
        "audits",
        sa.Column("run_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="of check_runs"),
        sa.Column("month", sa.Date(), nullable=False, comment="its first day, the operator's"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("markdown", sa.Text(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=True, comment="null: not drawn yet"),
        sa.Column("head", sa.Text(), nullable=False, comment="of the audit log's chain, as it was then"),
        sa.Column("signed_by", sa.Text(), nullable=True),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("audits_pkey")),
    )
    op.create_index("audits_month_idx", "audits", ["month"], unique=False)
    op.create_table(
        "accepted_findings",
        sa.Column("finding", sa.Text(), nullable=False, comment="the name of its line"),
        sa.Column("seen", sa.Text(), nullable=False, comment="what was accepted: anything else counts"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False, comment="then it counts again"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("finding", "seen", name=op.f("accepted_findings_pkey")),
    )
    op.create_table(
        "known_secrets",
        sa.Column("name", sa.Text(), nullable=False, comment="the setting, or the file"),
        sa.Column(
            "fingerprint", sa.Text(), nullable=False, comment="with a key that lies outside the database"
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "fingerprint", name=op.f("known_secrets_pkey")),
    )
    op.create_table(
        "refusals",
        sa.Column("day", sa.Date(), nullable=False, comment="UTC"),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="an address, or a network of IPv6"),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", "door", "reason", "source", name=op.f("refusals_pkey")),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
