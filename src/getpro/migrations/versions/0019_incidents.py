"""Incidents, their signals and time lines, the pages, and who is called."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "escalation_steps",
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="whom"),
        sa.Column("reach", sa.Text(), nullable=False, comment="by which route"),
        sa.Column(
            "wait_seconds", sa.Integer(), nullable=False, comment="then the next step, or the next level"
        ),
        sa.CheckConstraint("wait_seconds > 0", name=op.f("escalation_steps_waits_check")),
        sa.PrimaryKeyConstraint("level", "position", name=op.f("escalation_steps_pkey")),
    )
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=True, comment="who; null: signals alone"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column(
            "taken_at", sa.DateTime(timezone=True), nullable=True, comment="last; kept when it is dropped"
        ),
        sa.Column(
            "step", sa.Integer(), server_default="0", nullable=False, comment="steps of its level carried out"
        ),
        sa.Column("turn", sa.Integer(), server_default="0", nullable=False, comment="steps of all levels"),
        sa.Column(
            "called_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when its level first called; null: not yet",
        ),
        sa.Column(
            "next_step_at", sa.DateTime(timezone=True), nullable=True, comment="null: nobody has to be called"
        ),
        sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "quiet_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="no signal fires any more; null: one does",
        ),
        sa.Column(
            "weighed",
            sa.Text(),
            nullable=True,
            comment="the level that its impact has asked for; a person may have lowered it since",
        ),
        sa.Column(
            "asked", sa.BigInteger(), nullable=True, comment="whose reply in Telegram will say cause and fix"
        ),
        sa.Column(
            "restored_to",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="it came back with a database of that moment",
        ),
        sa.Column(
            "is_asked_why",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="not to wait for quiet",
        ),
        sa.Column(
            "closing_by",
            sa.Text(),
            nullable=True,
            comment="has said cause and fix; it closes when it is quiet",
        ),
        sa.Column("closing_at", sa.DateTime(timezone=True), nullable=True, comment="when they said so"),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True, comment="null: it went by itself"),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("fix", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "next_step_at IS NULL OR state = 'open'", name=op.f("incidents_only_open_is_escalated_check")
        ),
        sa.CheckConstraint(
            "state <> 'resolved' OR (resolved_at IS NOT NULL AND cause IS NOT NULL AND fix IS NOT NULL)",
            name=op.f("incidents_resolved_says_why_check"),
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("incidents_pkey")),
    )
    op.create_index(
        "incidents_due_idx",
        "incidents",
        ["next_step_at"],
        unique=False,
        postgresql_where=sa.text("next_step_at IS NOT NULL"),
    )
    op.create_index(
        "incidents_unresolved_idx",
        "incidents",
        ["opened_at"],
        unique=False,
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_table(
        "outside_contacts",
        sa.Column("name", sa.Text(), nullable=False, comment="hosting, yookassa, panel …"),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("outside_contacts_pkey")),
    )
    op.create_table(
        "people",
        sa.Column("person_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "removed_at", sa.DateTime(timezone=True), nullable=True, comment="no button is theirs any more"
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("people_pkey")),
        sa.UniqueConstraint("name", name=op.f("people_name_key")),
    )
    op.create_table(
        "rotas",
        sa.Column("rota_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False, comment="in their order"),
        sa.Column(
            "since", sa.DateTime(timezone=True), nullable=False, comment="the first hand-over, and its hour"
        ),
        sa.Column("turn_days", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "turn_days > 0 AND cardinality(person_ids) > 0", name=op.f("rotas_somebody_some_time_check")
        ),
        sa.PrimaryKeyConstraint("rota_id", name=op.f("rotas_pkey")),
    )
    op.create_table(
        "contact_ways",
        sa.Column("way_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("telegram_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="an Apprise address, encrypted: it may hold a password",
        ),
        sa.Column("shown", sa.Text(), nullable=False, comment="the same for people's eyes"),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_code", sa.Text(), nullable=True, comment="what the last test asks to be told"),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True, comment="why the last test did not get there"),
        sa.CheckConstraint(
            "(telegram_id IS NULL) <> (sealed IS NULL)", name=op.f("contact_ways_leads_somewhere_check")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.person_id"], name=op.f("contact_ways_person_id_fkey")
        ),
        sa.PrimaryKeyConstraint("way_id", name=op.f("contact_ways_pkey")),
        sa.UniqueConstraint("telegram_id", name=op.f("contact_ways_telegram_id_key")),
    )
    op.create_index(op.f("contact_ways_person_id_idx"), "contact_ways", ["person_id"], unique=False)
    op.create_table(
        "incident_events",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "key", sa.Text(), nullable=True, comment="of what may be told twice, e.g. an update of Telegram's"
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("incident_events_incident_id_fkey")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("incident_events_pkey")),
        sa.UniqueConstraint("key", name=op.f("incident_events_key_key")),
    )
    op.create_index(
        "incident_events_incident_id_idx", "incident_events", ["incident_id", "event_id"], unique=False
    )
    op.create_table(
        "incident_signals",
        sa.Column("signal_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="the same for the same trouble"),
        sa.Column("group_key", sa.Text(), nullable=True, comment="what its source tells together"),
        sa.Column(
            "about",
            sa.Text(),
            nullable=True,
            comment="what several sources may tell of, e.g. check:database.sizes",
        ),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("runbook", sa.Text(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False, comment="by its source"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False, comment="how often it began"),
        sa.Column("is_firing", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column(
            "is_current",
            sa.Boolean(),
            server_default=sa.true(),
            nullable=False,
            comment="its incident is not over",
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("incident_signals_incident_id_fkey")
        ),
        sa.PrimaryKeyConstraint("signal_id", name=op.f("incident_signals_pkey")),
    )
    op.create_index(
        "incident_signals_current_idx",
        "incident_signals",
        ["source", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("is_current"),
    )
    op.create_index(
        op.f("incident_signals_incident_id_idx"), "incident_signals", ["incident_id"], unique=False
    )
    op.create_index(
        "incident_signals_source_fingerprint_idx",
        "incident_signals",
        ["source", "fingerprint", "began_at"],
        unique=False,
    )
    op.create_table(
        "pages",
        sa.Column("page_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False, comment="of the escalation"),
        sa.Column("person_id", sa.BigInteger(), nullable=True, comment="null: the operators' chat"),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="page, reminder, escalated"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "is_repeat",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="it may have been sent",
        ),
        sa.Column("instead_of", sa.BigInteger(), nullable=True, comment="the page that did not get through"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("chat_id", sa.BigInteger(), nullable=True, comment="in Telegram"),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("shown", sa.Text(), nullable=True, comment="the hash of what the message shows"),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(route = 'telegram') = (chat_id IS NOT NULL)", name=op.f("pages_telegram_has_a_chat_check")
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("pages_incident_id_fkey")
        ),
        sa.ForeignKeyConstraint(["instead_of"], ["pages.page_id"], name=op.f("pages_instead_of_fkey")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("pages_person_id_fkey")),
        sa.PrimaryKeyConstraint("page_id", name=op.f("pages_pkey")),
        sa.UniqueConstraint(
            "incident_id",
            "turn",
            "route",
            "person_id",
            name=op.f("pages_incident_id_turn_route_person_id_key"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("pages_chat_id_message_id_idx", "pages", ["chat_id", "message_id"], unique=False)
    op.create_index(
        "pages_waiting_idx",
        "pages",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'sending')"),
    )
    op.create_table(
        "rota_overrides",
        sa.Column("override_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.CheckConstraint("since < until", name=op.f("rota_overrides_begins_before_it_ends_check")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.person_id"], name=op.f("rota_overrides_person_id_fkey")
        ),
        sa.PrimaryKeyConstraint("override_id", name=op.f("rota_overrides_pkey")),
    )
    op.create_table(
        "holidays",
        sa.Column(
            "day", sa.Date(), nullable=False, comment="in the operator's zone: nobody hands over on it"
        ),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("holidays_pkey")),
    )
    op.create_table(
        "hand_overs",
        sa.Column("message_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was seen; one for all messages",
        ),
        sa.Column("left_id", sa.BigInteger(), nullable=True, comment="null: nobody was on call alone"),
        sa.Column("came_id", sa.BigInteger(), nullable=True, comment="null: nobody is any more"),
        sa.Column("person_id", sa.BigInteger(), nullable=False, comment="who is told"),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True, comment="it may have been sent"),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True, comment="why it will never be"),
        sa.ForeignKeyConstraint(["came_id"], ["people.person_id"], name=op.f("hand_overs_came_id_fkey")),
        sa.ForeignKeyConstraint(["left_id"], ["people.person_id"], name=op.f("hand_overs_left_id_fkey")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("hand_overs_person_id_fkey")),
        sa.PrimaryKeyConstraint("message_id", name=op.f("hand_overs_pkey")),
    )
    # The guide's: 4 hours, 1 hour, 15 minutes; at half the time a reminder; L3 every five minutes.
    op.execute(
        """
        INSERT INTO escalation_steps (level, position, role, reach, wait_seconds) VALUES
            ('L1', 1, 'on_call', 'telegram', 7200), ('L1', 2, 'on_call', 'telegram', 7200),
            ('L2', 1, 'tech_lead', 'telegram', 1800), ('L2', 2, 'tech_lead', 'telegram', 1800),
            ('L3', 1, 'everyone', 'all', 300), ('L3', 2, 'everyone', 'all', 300),
            ('L3', 3, 'everyone', 'all', 300)
        """
    )
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.Text(), nullable=False, comment="whose"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("heartbeats_pkey")),
    )
    op.execute(
        """
        CREATE FUNCTION keep_time_line() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the time line of an incident is neither changed nor deleted';
        END;
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER keep_time_line BEFORE UPDATE OR DELETE OR TRUNCATE ON incident_events
        FOR EACH STATEMENT EXECUTE FUNCTION keep_time_line()
        """
    )
    op.create_table(
        "changes",
        sa.Column("change_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("change_id", name=op.f("changes_pkey")),
    )
    op.create_index("changes_at_idx", "changes", ["at"], unique=False)
    op.execute(
        """
        CREATE TRIGGER keep_time_line BEFORE UPDATE OR DELETE OR TRUNCATE ON changes
        FOR EACH STATEMENT EXECUTE FUNCTION keep_time_line()
        """
    )
    # What helps: what is closed for new sales.
    op.create_table(
        "closures",
        sa.Column("what", sa.Text(), nullable=False, comment="shop, or a way to pay as provider:yookassa"),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column(
            "words_ru", sa.Text(), nullable=True, comment="for customers; null: what the bot says by itself"
        ),
        sa.Column("words_en", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("what", name=op.f("closures_pkey")),
    )
    # What customers complain of, whom an incident touches, what is done for them and told to them.
    op.create_table(
        "complaints",
        sa.Column("complaint_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="paid, connection or other"),
        sa.Column(
            "words", sa.Text(), server_default="", nullable=False, comment="what the customer has written"
        ),
        sa.Column(
            "is_proved",
            sa.Boolean(),
            nullable=False,
            comment="the tables show that they have paid and wait",
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("complaints_incident_id_fkey")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("complaints_user_id_fkey")),
        sa.PrimaryKeyConstraint("complaint_id", name=op.f("complaints_pkey")),
    )
    op.create_index(op.f("complaints_incident_id_idx"), "complaints", ["incident_id"], unique=False)
    op.create_index("complaints_last_at_idx", "complaints", ["last_at"], unique=False)
    op.create_index("complaints_user_id_kind_idx", "complaints", ["user_id", "kind", "last_at"], unique=False)
    op.create_table(
        "touched_payments",
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("roubles", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("touched_payments_incident_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.payment_id"], name=op.f("touched_payments_payment_id_fkey")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("touched_payments_user_id_fkey")),
        sa.PrimaryKeyConstraint("incident_id", "payment_id", name=op.f("touched_payments_pkey")),
    )
    op.create_table(
        "deeds",
        sa.Column("deed_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "argument",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="which way to pay, words for customers",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True, comment="what came of it"),
        sa.Column("chat_id", sa.BigInteger(), nullable=True, comment="where it is asked whether to do it"),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state = 'done') = (done_at IS NOT NULL)", name=op.f("deeds_done_says_when_check")
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("deeds_incident_id_fkey")
        ),
        sa.PrimaryKeyConstraint("deed_id", name=op.f("deeds_pkey")),
    )
    op.create_index("deeds_chat_id_message_id_idx", "deeds", ["chat_id", "message_id"], unique=False)
    op.create_index(op.f("deeds_incident_id_idx"), "deeds", ["incident_id"], unique=False)
    op.create_table(
        "told_customers",
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("deed_id", sa.BigInteger(), nullable=False, comment="with which words"),
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: their notice is not written yet",
        ),
        sa.Column(
            "over_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: they are still to hear that it works again",
        ),
        sa.ForeignKeyConstraint(["deed_id"], ["deeds.deed_id"], name=op.f("told_customers_deed_id_fkey")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("told_customers_incident_id_fkey")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("told_customers_user_id_fkey")),
        sa.PrimaryKeyConstraint("incident_id", "user_id", name=op.f("told_customers_pkey")),
    )
    op.create_index(
        "told_customers_to_tell_idx",
        "told_customers",
        ["incident_id"],
        unique=False,
        postgresql_where=sa.text("over_at IS NULL"),
    )
    _after_an_incident()


def _after_an_incident() -> None:
    op.create_table(
        "incident_documents",
        sa.Column("document_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="report, post_mortem"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("markdown", sa.Text(), nullable=False),
        sa.Column(
            "pdf", sa.LargeBinary(), nullable=True, comment="of this very Markdown; null: not rendered yet"
        ),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("incident_documents_incident_id_fkey")
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("incident_documents_pkey")),
        sa.UniqueConstraint(
            "incident_id", "kind", "version", name=op.f("incident_documents_incident_id_kind_version_key")
        ),
    )
    op.create_table(
        "incident_actions",
        sa.Column("action_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="runbook, post_mortem, other"),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False, comment="in the operator's zone"),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True, comment="where what was done can be seen"),
        sa.Column("reason", sa.Text(), nullable=True, comment="why there is nothing to be linked"),
        sa.CheckConstraint(
            "kind <> 'runbook' OR done_at IS NULL OR link IS NOT NULL OR reason IS NOT NULL",
            name=op.f("incident_actions_runbook_is_linked_check"),
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("incident_actions_incident_id_fkey")
        ),
        sa.PrimaryKeyConstraint("action_id", name=op.f("incident_actions_pkey")),
    )
    op.create_index("incident_actions_incident_id_idx", "incident_actions", ["incident_id"], unique=False)
    op.create_index(
        "incident_actions_open_idx",
        "incident_actions",
        ["due_on"],
        unique=False,
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_index(
        "incident_actions_asked_idx",
        "incident_actions",
        ["incident_id", "kind"],
        unique=True,
        postgresql_where=sa.text("kind <> 'other'"),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
