"""The heart: customers, plans, payments, subscriptions, messages."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("audit_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="who: the operator's name"),
        sa.Column("action", sa.Text(), nullable=False, comment="e.g. payments.credit"),
        sa.Column("subject", sa.Text(), nullable=False, comment="to what, e.g. s12"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("audit_log_pkey")),
    )
    op.create_index("audit_log_at_idx", "audit_log", ["at"], unique=False)
    op.create_table(
        "message_logs",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="message, button, or Telegram's name for the update"
        ),
        sa.Column(
            "content",
            sa.Text(),
            nullable=True,
            comment="the command or the button; never a text that a customer wrote",
        ),
        sa.Column("update_id", sa.BigInteger(), nullable=True),
        postgresql_partition_by="RANGE (timestamp)",
    )
    op.create_index("message_logs_timestamp_idx", "message_logs", ["timestamp"], unique=False)
    op.create_index(
        "message_logs_user_id_timestamp_idx", "message_logs", ["user_id", "timestamp"], unique=False
    )
    op.create_table(
        "plans",
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column(
            "duration_months",
            sa.Integer(),
            nullable=False,
            comment="the plan's label, and the guide's column",
        ),
        sa.Column(
            "days",
            sa.Integer(),
            nullable=False,
            comment="what is added, in UTC: no calendar arithmetic on money",
        ),
        sa.Column(
            "price",
            sa.Numeric(precision=12, scale=2),
            nullable=False,
            comment="roubles, the shop's accounting currency",
        ),
        sa.Column("stars", sa.Integer(), nullable=False, comment="the price in Telegram Stars"),
        sa.Column(
            "is_usual",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="the owner's usual choice",
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("comment", sa.Text(), nullable=True, comment="for the owner's eyes"),
        sa.CheckConstraint("duration_months > 0 AND days > 0", name=op.f("plans_length_positive_check")),
        sa.CheckConstraint("price > 0 AND stars > 0", name=op.f("plans_price_positive_check")),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("plans_pkey")),
    )
    op.create_table(
        "provider_events",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="raw, as it came"),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("copies", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "handled_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: a repeated notice is settled again",
        ),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="how settling ended last, also of one that is not handled",
        ),
        sa.Column(
            "dismissed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="a person took it off the list; a new copy shows again",
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("provider_events_pkey")),
        sa.UniqueConstraint(
            "provider", "object_id", "event", name=op.f("provider_events_provider_object_id_event_key")
        ),
    )
    op.create_index(
        "provider_events_unhandled_idx",
        "provider_events",
        ["last_received_at"],
        unique=False,
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False, comment="also the job's name"),
        sa.Column("rule", sa.Text(), nullable=False, comment="'every 15s' or five cron fields"),
        sa.Column("zone", sa.Text(), nullable=False, comment="in which a cron rule is read"),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_was_late", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("catch_up", sa.Text(), server_default="latest", nullable=False, comment="latest or each"),
        sa.Column("declared", sa.Text(), nullable=False, comment="rule and zone as the program has them"),
        sa.PrimaryKeyConstraint("name", name=op.f("schedules_pkey")),
    )
    op.create_index(op.f("schedules_next_run_at_idx"), "schedules", ["next_run_at"], unique=False)
    op.create_table(
        "telegram_updates",
        sa.Column("update_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("update_id", name=op.f("telegram_updates_pkey")),
    )
    op.create_index("telegram_updates_seen_at_idx", "telegram_updates", ["seen_at"], unique=False)
    op.create_table(
        "users",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the Telegram id"),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("first_name", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "registration_date", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "language",
            sa.Text(),
            nullable=True,
            comment="ru or en; chosen, or taken from Telegram at the first start",
        ),
        sa.Column(
            "start_parameter",
            sa.Text(),
            nullable=True,
            comment="the deep link of the first start that had one",
        ),
        sa.Column("email", sa.Text(), nullable=True, comment="for the receipt (54-FZ)"),
        sa.Column("platform", sa.Text(), nullable=True, comment="the device chosen on the connect screen"),
        sa.Column("trial_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "dialog",
            sa.Text(),
            nullable=True,
            comment="what the next text message answers, e.g. email:<plan>:<provider>",
        ),
        sa.Column(
            "unreachable_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="blocked the bot, or the account is gone",
        ),
        sa.Column("unreachable_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("users_pkey")),
    )
    op.create_index("users_registration_date_idx", "users", ["registration_date"], unique=False)
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="what it is about: a second one is not written"),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True, comment="will never be sent"),
        sa.Column(
            "failures",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="tries that met a bug of ours",
        ),
        sa.Column(
            "trouble",
            sa.Text(),
            nullable=True,
            comment="why it was dropped, or what the last failure was",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("notices_user_id_fkey")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("notices_pkey")),
        sa.UniqueConstraint("key", name=op.f("notices_key_key")),
    )
    op.create_index(
        "notices_waiting_idx",
        "notices",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL AND dropped_at IS NULL"),
    )
    op.create_table(
        "payments",
        sa.Column("payment_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "order_key", sa.Uuid(), nullable=False, comment="our id at the provider and the idempotence key"
        ),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column(
            "amount",
            sa.Numeric(precision=12, scale=2),
            nullable=False,
            comment="in roubles whatever was paid with",
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subscription_duration_months", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False, comment="what is added when it is paid"),
        sa.Column("plan_id", sa.Integer(), nullable=True),
        sa.Column(
            "asked_amount",
            sa.Numeric(precision=18, scale=6),
            nullable=False,
            comment="what the provider is to take",
        ),
        sa.Column("asked_currency", sa.Text(), nullable=False),
        sa.Column(
            "request",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the body of the create call, repeated as it is",
        ),
        sa.Column(
            "object_id",
            sa.Text(),
            nullable=True,
            comment="the object that the create call made at the provider",
        ),
        sa.Column("pay_url", sa.Text(), nullable=True),
        sa.Column(
            "next_poll_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the provider is asked next; null: never",
        ),
        sa.Column(
            "charge_id",
            sa.Text(),
            nullable=True,
            comment="the provider's object or charge that brought the money",
        ),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "paid_amount",
            sa.Numeric(precision=18, scale=6),
            nullable=True,
            comment="what the customer really paid",
        ),
        sa.Column("paid_currency", sa.Text(), nullable=True),
        sa.Column(
            "rate",
            sa.Numeric(precision=18, scale=6),
            nullable=True,
            comment="roubles for one unit of paid_currency",
        ),
        sa.Column("cancel_reason", sa.Text(), nullable=True, comment="ours, or the provider's own word"),
        sa.Column(
            "screen_message_id",
            sa.BigInteger(),
            nullable=True,
            comment="the waiting screen, turned when the money comes",
        ),
        sa.Column(
            "follows_payment_id",
            sa.BigInteger(),
            nullable=True,
            comment="this is a further charge for that order",
        ),
        sa.CheckConstraint(
            "(status = 'succeeded') = (charge_id IS NOT NULL AND paid_at IS NOT NULL)",
            name=op.f("payments_paid_check"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'succeeded', 'canceled')", name=op.f("payments_status_check")
        ),
        sa.ForeignKeyConstraint(
            ["follows_payment_id"], ["payments.payment_id"], name=op.f("payments_follows_payment_id_fkey")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.plan_id"], name=op.f("payments_plan_id_fkey")),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("payments_user_id_fkey")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("payments_pkey")),
        sa.UniqueConstraint("order_key", name=op.f("payments_order_key_key")),
        sa.UniqueConstraint("provider", "charge_id", name=op.f("payments_provider_charge_id_key")),
    )
    op.create_index("payments_created_at_idx", "payments", ["created_at"], unique=False)
    op.create_index(
        "payments_next_poll_at_idx",
        "payments",
        ["next_poll_at"],
        unique=False,
        postgresql_where=sa.text("next_poll_at IS NOT NULL"),
    )
    op.create_index("payments_object_id_idx", "payments", ["provider", "object_id"], unique=False)
    op.create_index("payments_paid_at_idx", "payments", ["paid_at"], unique=False)
    op.create_index("payments_user_id_created_at_idx", "payments", ["user_id", "created_at"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("subscription_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="how its last period was paid; trial for a trial"
        ),
        sa.Column("is_active", sa.Boolean(), nullable=False, comment="kept true to end_date within a minute"),
        sa.Column("start_date", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_date", sa.DateTime(timezone=True), nullable=False, comment="whole seconds"),
        sa.Column(
            "wanted_version",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="grows with every change",
        ),
        sa.Column("wanted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "provisioned_version",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="what the panel has",
        ),
        sa.Column(
            "delivery_trouble",
            sa.Text(),
            nullable=True,
            comment="away, refused or ours, while the panel does not have it",
        ),
        sa.Column(
            "delivery_trouble_text",
            sa.Text(),
            nullable=True,
            comment="the panel's own words, or the name of our error",
        ),
        sa.CheckConstraint("end_date > start_date", name=op.f("subscriptions_ends_after_start_check")),
        sa.CheckConstraint(
            "provisioned_version <= wanted_version", name=op.f("subscriptions_versions_check")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("subscriptions_user_id_fkey")),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("subscriptions_pkey")),
    )
    op.create_index(
        "subscriptions_expiring_idx",
        "subscriptions",
        ["end_date"],
        unique=False,
        postgresql_where=sa.text("is_active"),
    )
    op.create_index(
        "subscriptions_undelivered_idx",
        "subscriptions",
        ["wanted_at"],
        unique=False,
        postgresql_where=sa.text("provisioned_version < wanted_version"),
    )
    op.create_index("subscriptions_user_id_idx", "subscriptions", ["user_id"], unique=False)
    op.create_table(
        "panel_accounts",
        sa.Column("subscription_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("panel_user_id", sa.BigInteger(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("short_uuid", sa.Text(), nullable=False),
        sa.Column(
            "subscription_url", sa.Text(), nullable=False, comment="a secret of the customer: never logged"
        ),
        sa.Column(
            "confirmed_at", sa.DateTime(timezone=True), nullable=False, comment="when the panel last answered"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.subscription_id"],
            name=op.f("panel_accounts_subscription_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("panel_accounts_pkey")),
    )
    op.create_index("panel_accounts_panel_user_id_idx", "panel_accounts", ["panel_user_id"], unique=False)
    op.create_table(
        "payment_moves",
        sa.Column("move_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("from_status", sa.Text(), nullable=True),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="shop, customer, or an operator's name"),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.payment_id"], name=op.f("payment_moves_payment_id_fkey")
        ),
        sa.PrimaryKeyConstraint("move_id", name=op.f("payment_moves_pkey")),
    )
    op.create_index("payment_moves_payment_id_idx", "payment_moves", ["payment_id"], unique=False)
    op.create_table(
        "stuck_payments",
        sa.Column("stuck_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("charge_id", sa.Text(), nullable=False),
        sa.Column(
            "user_id", sa.BigInteger(), nullable=True, comment="whose money it seems to be; null: unknown"
        ),
        sa.Column("payment_id", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=18, scale=6), nullable=True, comment="what came"),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True, comment="when the provider took it"),
        sa.Column("details", sa.Text(), nullable=False, comment="one sentence for the operator"),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True, comment="retried, credited, refunded"),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"], ["provider_events.event_id"], name=op.f("stuck_payments_event_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.payment_id"], name=op.f("stuck_payments_payment_id_fkey")
        ),
        sa.PrimaryKeyConstraint("stuck_id", name=op.f("stuck_payments_pkey")),
        sa.UniqueConstraint(
            "kind", "provider", "charge_id", name=op.f("stuck_payments_kind_provider_charge_id_key")
        ),
    )
    op.create_index(
        "stuck_payments_open_idx",
        "stuck_payments",
        ["opened_at"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "subscription_changes",
        sa.Column("change_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False, comment="trial, payment, credit, repair"),
        sa.Column("payment_id", sa.BigInteger(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("end_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_after", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.payment_id"], name=op.f("subscription_changes_payment_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.subscription_id"],
            name=op.f("subscription_changes_subscription_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("change_id", name=op.f("subscription_changes_pkey")),
        sa.UniqueConstraint("payment_id", name=op.f("subscription_changes_payment_id_key")),
    )
    op.create_index(
        "subscription_changes_subscription_id_idx", "subscription_changes", ["subscription_id"], unique=False
    )
    _make_queue()
    _add_plans()


def _make_queue() -> None:
    """The queue's own tables, as its pinned release (3.10) brings them; a later one brings its own steps."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    connection.execute(SchemaManager.get_schema())
    # Whether a lock is free is asked at each fetch, for each job that waits: its own schema has no index.
    connection.execute(
        "CREATE INDEX procrastinate_jobs_lock_waiting_idx ON procrastinate_jobs (lock, priority DESC, id)"
        " WHERE status IN ('todo', 'doing')"
    )


def _add_plans() -> None:
    """Something to sell from the first minute; the owner changes prices in the table."""
    plans = sa.table(
        "plans",
        *(
            sa.column(name)
            for name in ("plan_id", "duration_months", "days", "price", "stars", "is_usual", "position")
        ),
    )
    op.bulk_insert(
        plans,
        [
            {
                "plan_id": 1,
                "duration_months": 1,
                "days": 30,
                "price": 199,
                "stars": 120,
                "is_usual": False,
                "position": 1,
            },
            {
                "plan_id": 2,
                "duration_months": 3,
                "days": 90,
                "price": 499,
                "stars": 300,
                "is_usual": True,
                "position": 2,
            },
            {
                "plan_id": 3,
                "duration_months": 6,
                "days": 180,
                "price": 899,
                "stars": 540,
                "is_usual": False,
                "position": 3,
            },
            {
                "plan_id": 4,
                "duration_months": 12,
                "days": 365,
                "price": 1590,
                "stars": 950,
                "is_usual": False,
                "position": 4,
            },
        ],
    )


def downgrade() -> None:
    raise NotImplementedError("the first revision has nothing below it: restore a backup instead")
