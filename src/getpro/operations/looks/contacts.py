"""Whether everybody of the guide's contact list can be reached, by what they have answered themselves."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.incidents import contacts, team
from getpro.operations.looks.asking import asks_database
from getpro.platform.database import Database

TEAM: Final = Line("contacts.team", "Контакты команды")
OUTSIDE: Final = Line("contacts.outside", "Контакты внешних служб")
_TEST: Final = "Кого и как: 2getpro contacts list. Проверить: 2getpro contacts test."
_SHOWN: Final = 3


@asks_database(TEAM)
async def look(db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    """Both halves of the list."""
    async with db.read("look: contacts") as session:
        people = await team.team(session)
        on_rota = await team.on_rota(session, now=now)
        outside = await team.outside(session)
    gaps = contacts.gaps(people, on_rota, now=now)
    if gaps.red:
        yield TEAM.wrong(_words(gaps.red), _TEST)
    elif gaps.yellow:
        yield TEAM.attention(_words(gaps.yellow), _TEST)
    else:
        yield TEAM.ok(f"{len(people)}: до каждого доходит")
    if missing := [team.OUTSIDE.get(name, name) for name, how in outside.items() if not how]:
        yield OUTSIDE.wrong(
            f"не записаны: {', '.join(missing)}",
            'Запишите: 2getpro contacts outside ИМЯ "как связаться". Не пользуетесь — так и напишите.',
        )
    else:
        yield OUTSIDE.ok(f"записаны: {len(outside)}")


def _words(gaps: Sequence[str]) -> str:
    more = f"; ещё {len(gaps) - _SHOWN}" if len(gaps) > _SHOWN else ""
    return "; ".join(gaps[:_SHOWN]) + more
