"""What ``2getpro ops capacity`` shows beside its findings: tables of growth, of months, and of what if."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Final

from rich.console import RenderableType
from rich.table import Table

from getpro.operations import capacity
from getpro.operations.capacity import LEAST_USERS, SPARE, UPDATES_PER_CORE, Growth, WhatIf
from getpro.operations.deps import Deps
from getpro.operations.forecast import SURE, Reached
from getpro.operations.looks.capacity import MONTH_NAMES, SHARES, between, dates
from getpro.operations.units import BYTES, COUNT, PER_SECOND

_AHEAD: Final = {"через 3 мес": 91, "через 6 мес": 182, "через год": 365}
_EARLY: Final = "мало данных"


@dataclass(frozen=True, slots=True)
class Outlook:
    growths: list[Growth]
    months: dict[date, int]
    what_if: WhatIf | None


async def outlook(deps: Deps, now: datetime, *, users: int | None) -> Outlook:
    """``users``: what if there were so many."""
    async with deps.db.read("capacity: months") as session:
        months = await capacity.months(session, deps, now)
    growths = await capacity.everything(deps, now)
    return Outlook(growths, months, None if users is None else await capacity.what_if(deps, now, users))


def tables(found: Outlook) -> Iterator[RenderableType]:
    yield _growths(found.growths)
    if found.months:
        yield _months(found.months)
    if found.what_if is not None:
        yield _what_if(found.what_if)


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left", header_style="bold")


def _growths(growths: Sequence[Growth]) -> Table:
    title = f"Прогноз; в скобках, где будет в {SURE * 5:.0f} случаях из 5"
    shown = _table(title, "Что", "Сейчас", "В неделю", *_AHEAD, *(f"{share:.0%}" for share in SHARES))
    for one in growths:
        if one.now is None:
            continue
        now = one.unit.words(one.now)
        if one.ahead is None:
            shown.add_row(one.line.title, now, _EARLY)
            continue
        coming = (one.ahead.on(one.ahead.last_day + timedelta(days=days)) for days in _AHEAD.values())
        shown.add_row(
            one.line.title,
            now,
            one.unit.words(7 * one.ahead.per_day, sign=True),
            *(between(one, values) for values in coming),
            *("" if one.limit is None else dates(one.ahead.reaches(share * one.limit)) for share in SHARES),
        )
    return shown


def _months(months: Mapping[date, int]) -> Table:
    shown = _table("По месяцам", "Месяц", "Новых клиентов")
    for month, new in sorted(months.items(), reverse=True):
        shown.add_row(f"{MONTH_NAMES[month.month - 1]} {month.year}", COUNT.words(new))
    return shown


def _what_if(found: WhatIf) -> Table:
    by = (
        f"по нынешним {COUNT.words(found.now)}"
        if found.is_measured
        else f"по стенду: своих клиентов {found.now}, нужно {LEAST_USERS}"
    )
    shown = _table(f"Если клиентов {COUNT.words(found.users)} ({by})", "Что", "Сколько")
    when = "не раньше чем через два года" if found.when is None else f"{found.when:%d.%m.%Y}"
    shown.add_row("Столько их будет, если расти как сейчас", "уже" if found.users <= found.now else when)
    shown.add_row("База", BYTES.words(found.database))
    shown.add_row("Копии на диске", BYTES.words(found.backups))
    shown.add_row(f"Диск под то и другое, занят на {SPARE:.0%}", BYTES.words(found.disk))
    shown.add_row("Сообщений в день", COUNT.words(found.messages))
    shown.add_row("Оплат в день", COUNT.words(found.paid))
    shown.add_row("Обновления в пике", PER_SECOND.words(found.peak))
    shown.add_row(f"Ядер, по {UPDATES_PER_CORE} обновлений в секунду", str(found.cores))
    shown.add_row("Процессов 2getpro web", str(found.processes))
    return shown


def plain(found: Outlook) -> dict[str, object]:
    """For programs: bytes, counts, seconds; dates as ISO 8601 has them."""
    return {
        "growth": [_plain_growth(one) for one in found.growths if one.now is not None],
        "months": {f"{month:%Y-%m}": new for month, new in sorted(found.months.items())},
        "what_if": None
        if found.what_if is None
        else asdict(found.what_if) | {"when": _iso(found.what_if.when)},
    }


def _plain_growth(one: Growth) -> dict[str, object]:
    plain: dict[str, object] = {
        "name": one.line.name,
        "title": one.line.title,
        "now": one.now,
        "limit": one.limit,
        "days": len(one.days),
        "ahead": None,
    }
    if one.ahead is None:
        return plain
    ahead: dict[str, object] = {
        "per_day": one.ahead.per_day,
        "sure": SURE,
        "jumps_left_out": [_iso(day) for day in one.ahead.jumps],
        "in_days": {
            str(days): one.ahead.on(one.ahead.last_day + timedelta(days=days))._asdict()
            for days in _AHEAD.values()
        },
    }
    if one.limit is not None:
        ahead["reaches"] = {
            f"{share:.0%}": _plain_reached(one.ahead.reaches(share * one.limit)) for share in SHARES
        }
    return plain | {"ahead": ahead}


def _plain_reached(when: Reached) -> dict[str, str | None]:
    return {name: _iso(day) for name, day in when._asdict().items()}


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
