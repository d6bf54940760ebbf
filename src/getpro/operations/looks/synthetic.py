"""The synthetic purchase: did the last one go well, and was it made just now?"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from getpro.checks.check import Finding, Level, Line
from getpro.migrations import SYNTHETIC
from getpro.operations.models import SYNTHETIC_PURCHASE
from getpro.platform.database import DATABASE_AWAY, Database

PURCHASE: Final = Line("synthetic.purchase", "Пробная покупка")
_OLD: Final = timedelta(minutes=3)
_LAST: Final = (
    f"SELECT started_at, level, findings FROM {SYNTHETIC}.check_runs"  # noqa: S608 -- our own word
    " WHERE routine = :routine ORDER BY started_at DESC LIMIT 1"
)
_DAY: Final = (
    f"SELECT count(*), count(*) FILTER (WHERE level <> :ok) FROM {SYNTHETIC}.check_runs"  # noqa: S608
    " WHERE routine = :routine AND started_at > :since"
)
_BY_HAND: Final = "Купите сейчас: 2getpro ops synthetic."


async def look(db: Database, *, now: datetime, is_on: bool) -> AsyncIterator[Finding]:
    """An old result says nothing of now."""
    if not is_on:
        yield PURCHASE.ok("выключена: OPERATIONS_SYNTHETIC=false")
        return
    try:
        async with db.read("look: synthetic") as session:
            last = (await session.execute(text(_LAST), {"routine": SYNTHETIC_PURCHASE})).first()
            since = now - timedelta(days=1)
            day = {"routine": SYNTHETIC_PURCHASE, "since": since, "ok": Level.OK}
            made, failed = (await session.execute(text(_DAY), day)).one()
    except (*DATABASE_AWAY, SQLAlchemyError) as error:
        yield PURCHASE.unknown(f"база не ответила: {type(error).__name__}", "Проверьте базу: 2getpro doctor.")
        return
    if last is None:
        yield PURCHASE.unknown("ещё ни одной", "Магазин покупает сам, пока работает: 2getpro run.")
    elif now - last.started_at > _OLD:
        ago = (now - last.started_at) // timedelta(minutes=1)
        remedy = "Работает ли магазин и его фоновые работы? 2getpro doctor. " + _BY_HAND
        yield PURCHASE.unknown(f"последняя была {ago} мин назад", remedy)
    elif last.level != Level.OK:
        wrong = next(found for found in last.findings if found["level"] != Level.OK)
        yield PURCHASE.wrong(f"не прошла: {wrong['title']}: {wrong['seen']}", wrong["remedy"])
    else:
        yield PURCHASE.ok(f"прошла; за сутки не прошли {failed} из {made}")
