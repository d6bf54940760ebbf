"""Somebody has written or pressed: the update is marked, and the customer found or made, in one statement."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import case, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.customers.models import users
from getpro.customers.store import Customer, customer_of
from getpro.messaging.models import telegram_updates


class Person(NamedTuple):
    """Who has written or pressed, as Telegram tells it; named as the columns of ``users``."""

    user_id: int
    username: str | None
    first_name: str
    language: str
    """To begin with; the customer's own choice is kept."""


async def welcome(
    session: AsyncSession,
    update_id: int,
    person: Person,
    *,
    start_parameter: str | None,
    is_answer: bool,
    now: datetime,
) -> Customer | None:
    """Mark the update and return whose it is, or None if it was marked before; a step.

    The first deep link is kept: it is who brought the customer. Whoever does something else than answer
    (``is_answer``) has left the bot's question behind, and whoever does anything, the screen of their trial.
    Whoever is here can be reached.

    The customer's row is written at each press, also where nothing changes: a statement reads as of its
    beginning, and only a write waits for the customer's other press, a newcomer's first one too, and
    returns the row as that press has left it.
    """
    mark = (
        insert(telegram_updates)
        .values(update_id=update_id, seen_at=now)
        .on_conflict_do_nothing()
        .returning(telegram_updates.c.update_id)
        .cte("mark")
    )
    newcomer = {
        **person._asdict(),
        "registration_date": now,
        "start_parameter": start_parameter,
    }
    typed = [literal(value, users.c[name].type) for name, value in newcomer.items()]
    arrived = insert(users).from_select(list(newcomer), select(*typed).select_from(mark))
    rows = await session.execute(
        arrived.on_conflict_do_update(
            index_elements=["user_id"],
            set_={
                "username": arrived.excluded.username,
                "first_name": arrived.excluded.first_name,
                "start_parameter": func.coalesce(users.c.start_parameter, arrived.excluded.start_parameter),
                "dialog": case((literal(is_answer), users.c.dialog)),
                "trial_screen_id": None,
                "unreachable_since": None,
                "unreachable_reason": None,
            },
        ).returning(*users.c)
    )
    row = rows.first()
    return None if row is None else customer_of(row)
