"""The synthetic purchase: did the last one go well, and was it made just now?"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from getpro.checks.check import Finding, Level, Line
from getpro.incidents.deps import Bought
from getpro.migrations import SYNTHETIC
from getpro.operations.models import SYNTHETIC_PURCHASE
from getpro.platform.database import DATABASE_AWAY, Database, Session

PURCHASE: Final = Line("synthetic.purchase", "Пробная покупка")
_OLD: Final = timedelta(minutes=3)
_LAST: Final = (
    f"SELECT started_at, level, findings FROM {SYNTHETIC}.check_runs"  # noqa: S608 -- our own word
    " WHERE routine = :routine ORDER BY started_at DESC LIMIT 1"
)
_COUNTED: Final = (
    f"SELECT count(*), count(*) FILTER (WHERE level <> :ok) FROM {SYNTHETIC}.check_runs"  # noqa: S608
    " WHERE routine = :routine AND started_at > :since AND started_at <= :until"
)
_BY_HAND: Final = "Купите сейчас: 2getpro ops synthetic."


async def last(session: Session) -> Bought | None:
    """How the last one went; a step. None before the first."""
    row = (await session.execute(text(_LAST), {"routine": SYNTHETIC_PURCHASE})).first()
    if row is None or row.level == Level.OK:
        return None if row is None else Bought(row.started_at)
    wrong = next(found for found in row.findings if found["level"] != Level.OK)
    return Bought(row.started_at, f"{wrong['title']}: {wrong['seen']}", wrong["remedy"])


async def between(session: Session, since: datetime, until: datetime) -> tuple[int, int]:
    """How many were made in that time, and how many of them failed, as far as they are kept; a step."""
    row = (await session.execute(text(_COUNTED), _span(since, until))).one()
    return row[0], row[1]


def _span(since: datetime, until: datetime) -> dict[str, Any]:
    return {"routine": SYNTHETIC_PURCHASE, "since": since, "until": until, "ok": Level.OK}


async def look(db: Database, *, now: datetime, is_on: bool) -> AsyncIterator[Finding]:
    """An old result says nothing of now."""
    if not is_on:
        yield PURCHASE.ok("выключена: OPERATIONS_SYNTHETIC=false")
        return
    try:
        async with db.read("look: synthetic") as session:
            bought = await last(session)
            made, failed = await between(session, now - timedelta(days=1), now)
    except (*DATABASE_AWAY, SQLAlchemyError) as error:
        yield PURCHASE.unknown(f"база не ответила: {type(error).__name__}", "Проверьте базу: 2getpro doctor.")
        return
    if bought is None:
        yield PURCHASE.unknown("ещё ни одной", "Магазин покупает сам, пока работает: 2getpro run.")
    elif now - bought.began_at > _OLD:
        ago = (now - bought.began_at) // timedelta(minutes=1)
        remedy = "Работает ли магазин и его фоновые работы? 2getpro doctor. " + _BY_HAND
        yield PURCHASE.unknown(f"последняя была {ago} мин назад", remedy)
    elif bought.trouble is not None:
        yield PURCHASE.wrong(f"не прошла: {bought.trouble}", bought.remedy)
    else:
        yield PURCHASE.ok(f"прошла; за сутки не прошли {failed} из {made}")
