"""Whether a person has read last month's audit; and what of the guide's list the shop has no part for."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from getpro.checks.check import Finding, Line
from getpro.operations import audits
from getpro.operations.audit_words import in_month
from getpro.operations.looks.asking import asks_database
from getpro.platform.database import Database

SIGNED: Final = Line("audit.signed", "Подпись прошлого аудита")
API_KEYS: Final = Line("api.keys", "Ключи API магазина")


@asks_database(SIGNED)
async def look(db: Database, *, now: datetime, zone: ZoneInfo) -> AsyncIterator[Finding]:
    async with db.read("look: signature") as session:
        month = await audits.unsigned_month(session, before=audits.month_of(now, zone))
    if month is None:
        yield SIGNED.ok("есть, или аудитов ещё не было")
    else:
        yield SIGNED.attention(
            f"{in_month(month)}: отчёт никто не подписал",
            "Прочитайте (2getpro ops audit show) и подпишите этот месяц.",
        )
