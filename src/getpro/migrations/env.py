"""Alembic's environment: one connection, our metadata, the queue's tables and the partitions left alone."""

from typing import Any

from alembic import context
from sqlalchemy import NullPool, create_engine

from getpro.models import metadata
from getpro.platform.database import sqlalchemy_url


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether Alembic compares the table: not the queue's own, and no month of the message log."""
    return kind != "table" or not (name or "").startswith(("procrastinate_", "message_logs_"))


def note(*_: Any, **applied: Any) -> None:
    """A revision has run."""
    context.config.attributes["done"].append(applied["step"].up_revision_id)


engine = create_engine(sqlalchemy_url(context.config.attributes["url"]), poolclass=NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=is_ours,
        compare_server_default=True,
        on_version_apply=note,
    )
    with context.begin_transaction():
        context.run_migrations()
