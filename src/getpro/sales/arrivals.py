"""Somebody has written or pressed: the update is marked, and the customer found or made, in one statement."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Boolean, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import insert

from getpro.customers.models import users
from getpro.customers.store import Customer, customer_of
from getpro.messaging.models import telegram_updates
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared
from getpro.platform.restores import HELD, is_held
from getpro.sales.errors import ShopHeld


class Person(NamedTuple):
    """Who has written or pressed, as Telegram tells it; named as the columns of ``users``."""

    user_id: int
    username: str | None
    first_name: str
    language: str
    """To begin with; the customer's own choice is kept."""


def _welcome() -> Prepared:
    seen = ("update_id", "seen_at")
    values = [bindparam(name, type_=telegram_updates.c[name].type) for name in seen]
    mark = (
        insert(telegram_updates)
        .from_select(seen, select(*values).where(~HELD))
        .on_conflict_do_nothing()
        .returning(telegram_updates.c.update_id)
        .cte("mark")
    )
    newcomer = (*Person._fields, "registration_date", "start_parameter")
    typed = [bindparam(name, type_=users.c[name].type) for name in newcomer]
    arrived = insert(users).from_select(newcomer, select(*typed).select_from(mark))
    return Prepared(
        arrived.on_conflict_do_update(
            index_elements=["user_id"],
            set_={
                "username": arrived.excluded.username,
                "first_name": arrived.excluded.first_name,
                "language": func.coalesce(users.c.language, arrived.excluded.language),
                "start_parameter": func.coalesce(users.c.start_parameter, arrived.excluded.start_parameter),
                "dialog": case((bindparam("is_answer", type_=Boolean), users.c.dialog)),
                "trial_screen_id": None,
                "unreachable_since": None,
                "unreachable_reason": None,
            },
        ).returning(*users.c)
    )


_WELCOME: Final = _welcome()


async def welcome(
    session: Session,
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

    Raises ShopHeld: then nothing of this was done.
    """
    row = await _WELCOME.first(
        session,
        **person._asdict(),
        update_id=update_id,
        seen_at=now,
        registration_date=now,
        start_parameter=start_parameter,
        is_answer=is_answer,
    )
    if row is None and await is_held(session):
        raise ShopHeld
    return None if row is None else customer_of(row)
