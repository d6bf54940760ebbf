"""What going back to a moment costs, asked before anything is done."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from getpro import migrations
from getpro.backups.errors import Unsuitable
from getpro.backups.restore import NAME
from getpro.backups.sources import Source
from getpro.kit.money import Money, roubles
from getpro.platform.postgres.address import impatient

_READ_ONLY: Final = "-c default_transaction_read_only=on -c statement_timeout=15s -c timezone=UTC"


@dataclass(frozen=True, slots=True)
class Since:
    """What the living database has from after the moment."""

    payments: int
    money: Money
    refunds: int
    money_back: Money
    customers: int
    changes: int
    """Of subscriptions."""


def since(url: str, moment: datetime) -> Since | None:
    """Count what going back would lose; None where the database does not answer, or is not as ours."""
    try:
        with _looking(url) as connection:
            payments, money = _one(
                connection,
                "SELECT count(*), coalesce(sum(amount), 0) FROM payments"
                " WHERE status = 'succeeded' AND paid_at > %s",
                moment,
            )
            refunds, money_back = _one(
                connection,
                "SELECT count(*), coalesce(sum(amount), 0) FROM refunds"
                " WHERE amount IS NOT NULL AND finished_at > %s",
                moment,
            )
            (customers,) = _one(connection, "SELECT count(*) FROM users WHERE registration_date > %s", moment)
            (changes,) = _one(
                connection, "SELECT count(*) FROM subscription_changes WHERE changed_at > %s", moment
            )
    except psycopg.Error:
        return None
    return Since(payments, roubles(money), refunds, roubles(money_back), customers, changes)


def seconds_of_last_trial(url: str) -> float | None:
    """How long the newest trial that went well took, by the catalogue; None where that is not known."""
    try:
        with _looking(url) as connection:
            row = connection.execute(
                "SELECT sum((step ->> 1)::float) FROM ("
                "SELECT verification FROM backups WHERE is_good ORDER BY verified_at DESC LIMIT 1"
                ") last, jsonb_array_elements(verification -> 'steps') step"
            ).fetchone()
    except psycopg.Error:
        return None
    return None if row is None or row[0] is None else float(row[0])


def require_known(source: Source) -> None:
    """That this program knows the tables of ``source``; raises Unsuitable."""
    if source.revision > migrations.HEAD:
        raise Unsuitable(
            f"{source.name} сделана программой новее этой:"
            f" таблицы версии {source.revision}, а программа знает до {migrations.HEAD}"
        )


def _looking(url: str) -> "psycopg.Connection[Any]":
    return psycopg.connect(impatient(url), autocommit=True, options=_READ_ONLY, application_name=NAME)


def _one(connection: "psycopg.Connection[Any]", query: str, moment: datetime) -> Any:
    return connection.execute(query.encode(), [moment]).fetchone()
