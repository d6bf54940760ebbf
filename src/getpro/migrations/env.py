"""Alembic's environment: one connection, our metadata, the queue's tables and the partitions left alone."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, text

from getpro.migrations import SYNTHETIC, make_schema
from getpro.models import metadata
from getpro.platform.database import sqlalchemy_url

reached = context.config.attributes


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether Alembic compares the table: not the queue's own, and no month of the message log."""
    return kind != "table" or not (name or "").startswith(("procrastinate_", "message_logs_"))


def note(*_: Any, **applied: Any) -> None:
    """A revision has run."""
    reached["reached"] = applied["step"].up_revision_id


def run(connection: Connection) -> None:
    """Run on the tables that the connection's search path leads to."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=is_ours,
        compare_server_default=True,
        on_version_apply=note,
    )
    reached["reached"] = context.get_context().get_current_revision() or ""
    with context.begin_transaction():  # nothing of its own: ours is open
        context.run_migrations()


engine = create_engine(sqlalchemy_url(context.config.attributes["url"]), poolclass=NullPool)
with engine.begin() as connection:
    driver = connection.connection.driver_connection
    assert driver is not None
    make_schema(driver)
    run(connection)
    connection.execute(text(f"SET LOCAL search_path TO {SYNTHETIC}"))
    run(connection)
