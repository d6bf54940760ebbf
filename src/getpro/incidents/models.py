"""Tables of incidents: what is wrong, what said so, what was done about it, who was told, and who is who."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from getpro.platform.database import metadata

incidents: Final = Table(
    "incidents",
    metadata,
    Column("incident_id", BigInteger, Identity(), primary_key=True),
    Column("level", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("opened_by", Text, comment="who; null: signals alone"),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("taken_by", Text),
    Column("taken_at", DateTime(timezone=True), comment="last; kept when it is dropped"),
    Column("step", Integer, nullable=False, server_default="0", comment="steps of its level carried out"),
    Column("turn", Integer, nullable=False, server_default="0", comment="steps of all levels"),
    Column("called_at", DateTime(timezone=True), comment="when its level first called; null: not yet"),
    Column("next_step_at", DateTime(timezone=True), comment="null: nobody has to be called"),
    Column("snoozed_until", DateTime(timezone=True)),
    Column("quiet_since", DateTime(timezone=True), comment="no signal fires any more; null: one does"),
    Column(
        "weighed", Text, comment="the level that its impact has asked for; a person may have lowered it since"
    ),
    Column("asked", BigInteger, comment="whose reply in Telegram will say cause and fix"),
    Column("restored_to", DateTime(timezone=True), comment="it came back with a database of that moment"),
    Column("is_asked_why", Boolean, nullable=False, server_default=false(), comment="not to wait for quiet"),
    Column("closing_by", Text, comment="has said cause and fix; it closes when it is quiet"),
    Column("closing_at", DateTime(timezone=True), comment="when they said so"),
    Column("resolved_at", DateTime(timezone=True)),
    Column("resolved_by", Text, comment="null: it went by itself"),
    Column("cause", Text),
    Column("fix", Text),
    CheckConstraint("next_step_at IS NULL OR state = 'open'", name="only_open_is_escalated"),
    CheckConstraint(
        "state <> 'resolved' OR (resolved_at IS NOT NULL AND cause IS NOT NULL AND fix IS NOT NULL)",
        name="resolved_says_why",
    ),
    Index("incidents_due_idx", "next_step_at", postgresql_where=text("next_step_at IS NOT NULL")),
    Index("incidents_unresolved_idx", "opened_at", postgresql_where=text("state <> 'resolved'")),
)

incident_signals: Final = Table(
    "incident_signals",
    metadata,
    Column("signal_id", BigInteger, Identity(), primary_key=True),
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), nullable=False, index=True),
    Column("source", Text, nullable=False),
    Column("fingerprint", Text, nullable=False, comment="the same for the same trouble"),
    Column("group_key", Text, comment="what its source tells together"),
    Column("about", Text, comment="what several sources may tell of, e.g. check:database.sizes"),
    Column("level", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("runbook", Text),
    Column("details", JSONB, nullable=False),
    Column("began_at", DateTime(timezone=True), nullable=False, comment="by its source"),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
    Column("over_at", DateTime(timezone=True)),
    Column("times", Integer, nullable=False, server_default="1", comment="how often it began"),
    Column("is_firing", Boolean, nullable=False, server_default=true()),
    Column("is_current", Boolean, nullable=False, server_default=true(), comment="its incident is not over"),
    Index(
        "incident_signals_current_idx",
        "source",
        "fingerprint",
        unique=True,
        postgresql_where=text("is_current"),
    ),
    Index("incident_signals_source_fingerprint_idx", "source", "fingerprint", "began_at"),
)

incident_events: Final = Table(
    "incident_events",
    metadata,
    Column("event_id", BigInteger, Identity(), primary_key=True),
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("key", Text, unique=True, comment="of what may be told twice, e.g. an update of Telegram's"),
    Index("incident_events_incident_id_idx", "incident_id", "event_id"),
)
"""The time line: a trigger refuses to change or delete a line."""

people: Final = Table(
    "people",
    metadata,
    Column("person_id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("roles", ARRAY(Text), nullable=False),
    Column("added_at", DateTime(timezone=True), nullable=False),
    Column("removed_at", DateTime(timezone=True), comment="no button is theirs any more"),
)

contact_ways: Final = Table(
    "contact_ways",
    metadata,
    Column("way_id", BigInteger, Identity(), primary_key=True),
    Column("person_id", BigInteger, ForeignKey("people.person_id"), nullable=False, index=True),
    Column("telegram_id", BigInteger, unique=True),
    Column("sealed", LargeBinary, comment="an Apprise address, encrypted: it may hold a password"),
    Column("shown", Text, nullable=False, comment="the same for people's eyes"),
    Column("tested_at", DateTime(timezone=True)),
    Column("test_code", Text, comment="what the last test asks to be told"),
    Column("answered_at", DateTime(timezone=True)),
    Column("trouble", Text, comment="why the last test did not get there"),
    CheckConstraint("(telegram_id IS NULL) <> (sealed IS NULL)", name="leads_somewhere"),
)

outside_contacts: Final = Table(
    "outside_contacts",
    metadata,
    Column("name", Text, primary_key=True, comment="hosting, yookassa, panel …"),
    Column("how", Text, nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False),
    Column("set_by", Text, nullable=False),
)

heartbeats: Final = Table(
    "heartbeats",
    metadata,
    Column("name", Text, primary_key=True, comment="whose"),
    Column("at", DateTime(timezone=True), nullable=False),
)
"""The last sign of life: a row that is written again and again."""

rotas: Final = Table(
    "rotas",
    metadata,
    Column("rota_id", BigInteger, Identity(), primary_key=True),
    Column("person_ids", ARRAY(BigInteger), nullable=False, comment="in their order"),
    Column("since", DateTime(timezone=True), nullable=False, comment="the first hand-over, and its hour"),
    Column("turn_days", Integer, nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False),
    Column("set_by", Text, nullable=False),
    CheckConstraint("turn_days > 0 AND cardinality(person_ids) > 0", name="somebody_some_time"),
)

rota_overrides: Final = Table(
    "rota_overrides",
    metadata,
    Column("override_id", BigInteger, Identity(), primary_key=True),
    Column("person_id", BigInteger, ForeignKey("people.person_id"), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False),
    Column("set_by", Text, nullable=False),
    CheckConstraint("since < until", name="begins_before_it_ends"),
)

holidays: Final = Table(
    "holidays",
    metadata,
    Column("day", Date, primary_key=True, comment="in the operator's zone: nobody hands over on it"),
    Column("title", Text, nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False),
    Column("set_by", Text, nullable=False),
)

hand_overs: Final = Table(
    "hand_overs",
    metadata,
    Column("message_id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, comment="when it was seen; one for all messages"),
    Column("left_id", BigInteger, ForeignKey("people.person_id"), comment="null: nobody was on call alone"),
    Column("came_id", BigInteger, ForeignKey("people.person_id"), comment="null: nobody is any more"),
    Column("person_id", BigInteger, ForeignKey("people.person_id"), nullable=False, comment="who is told"),
    Column("claimed_at", DateTime(timezone=True), comment="it may have been sent"),
    Column("sent_at", DateTime(timezone=True)),
    Column("trouble", Text, comment="why it will never be"),
)
"""Who was told that the duty has passed on; the newest row says who is believed to be on call."""

escalation_steps: Final = Table(
    "escalation_steps",
    metadata,
    Column("level", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("role", Text, nullable=False, comment="whom"),
    Column("reach", Text, nullable=False, comment="by which route"),
    Column("wait_seconds", Integer, nullable=False, comment="then the next step, or the next level"),
    CheckConstraint("wait_seconds > 0", name="waits"),
)
"""After the last step of a level comes the level above; after that of the highest, the same step again."""

pages: Final = Table(
    "pages",
    metadata,
    Column("page_id", BigInteger, Identity(), primary_key=True),
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), nullable=False),
    Column("turn", Integer, nullable=False, comment="of the escalation"),
    Column("person_id", BigInteger, ForeignKey("people.person_id"), comment="null: the operators' chat"),
    Column("route", Text, nullable=False),
    Column("reason", Text, nullable=False, comment="page, reminder, escalated"),
    Column("state", Text, nullable=False),
    Column("is_repeat", Boolean, nullable=False, server_default=false(), comment="it may have been sent"),
    Column(
        "instead_of", BigInteger, ForeignKey("pages.page_id"), comment="the page that did not get through"
    ),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("claimed_at", DateTime(timezone=True)),
    Column("sent_at", DateTime(timezone=True)),
    Column("chat_id", BigInteger, comment="in Telegram"),
    Column("message_id", BigInteger),
    Column("shown", Text, comment="the hash of what the message shows"),
    Column("trouble", Text),
    UniqueConstraint("incident_id", "turn", "route", "person_id", postgresql_nulls_not_distinct=True),
    CheckConstraint("(route = 'telegram') = (chat_id IS NOT NULL)", name="telegram_has_a_chat"),
    Index("pages_chat_id_message_id_idx", "chat_id", "message_id"),
    Index("pages_waiting_idx", "created_at", postgresql_where=text("state IN ('waiting', 'sending')")),
)

complaints: Final = Table(
    "complaints",
    metadata,
    Column("complaint_id", BigInteger, Identity(), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.user_id"), nullable=False),
    Column("kind", Text, nullable=False, comment="paid, connection or other"),
    Column("words", Text, nullable=False, server_default="", comment="what the customer has written"),
    Column("is_proved", Boolean, nullable=False, comment="the tables show that they have paid and wait"),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), index=True),
    Index("complaints_last_at_idx", "last_at"),
    Index("complaints_user_id_kind_idx", "user_id", "kind", "last_at"),
)
"""What customers say does not work."""

touched_payments: Final = Table(
    "touched_payments",
    metadata,
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), primary_key=True),
    Column("payment_id", BigInteger, ForeignKey("payments.payment_id"), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.user_id"), nullable=False),
    Column("roubles", Numeric(12, 2), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
)
"""What was paid and not delivered while an incident was not resolved."""

deeds: Final = Table(
    "deeds",
    metadata,
    Column("deed_id", BigInteger, Identity(), primary_key=True),
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("argument", JSONB, nullable=False, comment="which way to pay, words for customers"),
    Column("state", Text, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("done_at", DateTime(timezone=True)),
    Column("done_by", Text),
    Column("outcome", Text, comment="what came of it"),
    Column("chat_id", BigInteger, comment="where it is asked whether to do it"),
    Column("message_id", BigInteger),
    CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="done_says_when"),
    Index("deeds_chat_id_message_id_idx", "chat_id", "message_id"),
)
"""What somebody of the team wants to do about an incident and has still to confirm, or has done."""

told_customers: Final = Table(
    "told_customers",
    metadata,
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.user_id"), primary_key=True),
    Column("deed_id", BigInteger, ForeignKey("deeds.deed_id"), nullable=False, comment="with which words"),
    Column("told_at", DateTime(timezone=True), comment="null: their notice is not written yet"),
    Column("over_at", DateTime(timezone=True), comment="null: they are still to hear that it works again"),
    Index("told_customers_to_tell_idx", "incident_id", postgresql_where=text("over_at IS NULL")),
)

incident_documents: Final = Table(
    "incident_documents",
    metadata,
    Column("document_id", BigInteger, Identity(), primary_key=True),
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), nullable=False),
    Column("kind", Text, nullable=False, comment="report, post_mortem"),
    Column("version", Integer, nullable=False),
    Column("markdown", Text, nullable=False),
    Column("pdf", LargeBinary, comment="of this very Markdown; null: not rendered yet"),
    Column("made_by", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("incident_id", "kind", "version"),
)
"""Each saving is a version; none is written over."""

incident_actions: Final = Table(
    "incident_actions",
    metadata,
    Column("action_id", BigInteger, Identity(), primary_key=True),
    Column("incident_id", BigInteger, ForeignKey("incidents.incident_id"), nullable=False),
    Column("kind", Text, nullable=False, comment="runbook, post_mortem, other"),
    Column("what", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due_on", Date, nullable=False, comment="in the operator's zone"),
    Column("added_by", Text, nullable=False),
    Column("added_at", DateTime(timezone=True), nullable=False),
    Column("done_at", DateTime(timezone=True)),
    Column("done_by", Text),
    Column("link", Text, comment="where what was done can be seen"),
    Column("reason", Text, comment="why there is nothing to be linked"),
    CheckConstraint(
        "kind <> 'runbook' OR done_at IS NULL OR link IS NOT NULL OR reason IS NOT NULL",
        name="runbook_is_linked",
    ),
    Index("incident_actions_incident_id_idx", "incident_id"),
    Index("incident_actions_open_idx", "due_on", postgresql_where=text("done_at IS NULL")),
    Index(
        "incident_actions_asked_idx",
        "incident_id",
        "kind",
        unique=True,
        postgresql_where=text("kind <> 'other'"),
    ),
)
