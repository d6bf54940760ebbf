"""The month's third week: the shop rebuilt from its copies alone, timed, beside the drills before it."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

from getpro.backups.drills import newest_first, span_words
from getpro.backups.errors import Busy
from getpro.checks.check import Finding, Line
from getpro.operations.deps import Deps, Rehearse
from getpro.operations.pictures import Bar, one_by_one
from getpro.platform.typesetting import draw

DRILL: Final = Line("drill", "Учения")
RTO: Final = timedelta(minutes=15)
RPO: Final = timedelta(seconds=60)
"""What the shop promises itself."""
_SHOWN: Final = 12


async def look(rehearse: Rehearse | None) -> AsyncIterator[Finding]:
    """Hold the drill now. ``rehearse``: None where the copies are somebody else's."""
    if rehearse is None:
        yield DRILL.attention(
            "копии делаете вы сами", "Восстановите магазин из них на другой машине и засеките время."
        )
        return
    try:
        held = await rehearse()
    except Busy as error:
        yield DRILL.unknown(str(error), "Повторите позже: 2getpro ops drill")
        return
    lost = "неизвестно сколько" if held.rpo is None else span_words(held.rpo)
    seen = f"{held.source}: магазин продаёт через {span_words(held.rto)}, потерялось бы {lost}"
    if not held.is_good:
        yield DRILL.wrong(
            f"{held.source or 'копий нет'}: {held.trouble}", "docs/operations/runbooks/drill.md"
        )
    elif held.rto > RTO or held.rpo is None or held.rpo > RPO:
        yield DRILL.wrong(
            f"{seen}; обещано {span_words(RTO)} и {span_words(RPO)}", "docs/operations/runbooks/drill.md"
        )
    else:
        yield DRILL.ok(seen)


async def picture(deps: Deps, _: datetime) -> bytes:
    """A PNG of the last drills, oldest first; raises NotDrawn and the database's errors."""
    async with deps.db.read("drills") as session:
        past = await newest_first(session, most=_SHOWN)
    bars = [
        Bar(
            f"{drill.started_at.astimezone(deps.zone):%d.%m}",
            drill.rto.total_seconds(),
            is_good=drill.is_good,
        )
        for drill in reversed(past)
    ]
    return await draw(one_by_one("Учения: за сколько секунд магазин снова продаёт", bars))
