"""A month's report: made of what there is, and kept once the month is closed.

What is kept is told again as it was told. That the database still gives the same is looked at each time, and
what has become different is named.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from getpro.operations.deps import Deps
from getpro.operations.models import month_reports
from getpro.operations.month import books, figures, period, service
from getpro.operations.month.books import Account
from getpro.operations.month.figures import Figures
from getpro.operations.month.period import Period
from getpro.operations.month.service import Service
from getpro.platform.database import Session

TREND: Final = 12
"""Months on the chart of months, this one among them."""
_AT_ONE_MOMENT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WORKING_MEMORY: Final = "SET LOCAL work_mem = '64MB'"


@dataclass(frozen=True, slots=True)
class Told:
    """A period as it is told: its money and people, its books, how the shop was run."""

    figures: Figures
    accounts: list[Account]
    service: Service


@dataclass(frozen=True, slots=True)
class Report:
    """``this`` beside ``earlier``, the month before or as many of its days."""

    month: date
    title: str
    earlier_title: str
    made_at: datetime
    is_closed: bool
    """Nothing changes in it any more."""
    this: Told
    earlier: Told


@dataclass(frozen=True, slots=True)
class Seen:
    """A report with what is known beside it now."""

    report: Report
    changed: list[str]
    """Names of figures that the database gives otherwise than when they were kept."""
    past: list[tuple[date, int]]
    """Net revenue in kopeks of the months that are kept, oldest first, this one last."""


_AS_JSON: Final = TypeAdapter(Report)


async def see(deps: Deps, asked: Period, *, recounts: bool = True) -> Seen:
    """The report about a period; a flow. A closed month's is kept by the first who asks.

    ``recounts``: what is kept is held against the database. Raises what the database raises.
    """
    now = deps.clock()
    kept = await _read(deps, asked.month) if asked.is_closed(now) else None
    changed: list[str] = []
    if kept is None:
        kept = await _made(deps, asked, now=now)
        if kept.is_closed:
            kept = await _keep(deps, kept)
    elif recounts:
        async with _still(deps) as session:
            [again] = await figures.collect(session, [asked], deps.zone)
        changed = _changed(kept.this.figures, again)
    async with deps.db.read("month: past") as session:
        past = await _past(session, kept)
    return Seen(kept, changed, past)


async def _made(deps: Deps, asked: Period, *, now: datetime) -> Report:
    earlier = period.before(asked, deps.zone)
    kept = await _read(deps, earlier.month) if earlier.is_closed(now) else None
    told = await _told(deps, [asked] if kept is not None else [asked, earlier], now=now)
    return Report(
        month=asked.month,
        title=asked.title,
        earlier_title=earlier.title,
        made_at=now,
        is_closed=asked.is_closed(now),
        this=told[0],
        earlier=told[-1] if kept is None else kept.this,
    )


async def _told(deps: Deps, periods: Sequence[Period], *, now: datetime) -> list[Told]:
    async with _still(deps) as session:
        counted = await figures.collect(session, periods, deps.zone)
        accounts = [await books.compare(session, one, deps.zone) for one in periods]
    run = [await service.look(deps, one, now=now) for one in periods]
    return [Told(*parts) for parts in zip(counted, accounts, run, strict=True)]


@contextlib.asynccontextmanager
async def _still(deps: Deps) -> AsyncIterator[Session]:
    """The database as it is at one moment, with memory for long looks."""
    async with deps.db.begin("month: figures") as session:
        await session.exec_driver_sql(_AT_ONE_MOMENT)
        await session.exec_driver_sql(_WORKING_MEMORY)
        yield session


async def _read(deps: Deps, month: date) -> Report | None:
    async with deps.db.read("month: kept") as session:
        return await _kept(session, month)


async def _kept(session: Session, month: date) -> Report | None:
    found = await session.scalar(select(month_reports.c.report).where(month_reports.c.month == month))
    return None if found is None else _AS_JSON.validate_python(found)


async def _keep(deps: Deps, made: Report) -> Report:
    """Of two that come at once the first counts."""
    async with deps.db.begin("month: keep") as session:
        as_json = _AS_JSON.dump_python(made, mode="json")
        await session.execute(
            insert(month_reports)
            .values(month=made.month, made_at=made.made_at, report=as_json)
            .on_conflict_do_nothing()
        )
        kept = await _kept(session, made.month)
    assert kept is not None
    return kept


def _changed(kept: Figures, now: Figures) -> list[str]:
    """Of the figures alone: the rest may be forgotten where it was asked for."""
    return [one.name for one in fields(Figures) if getattr(kept, one.name) != getattr(now, one.name)]


async def _past(session: Session, report: Report) -> list[tuple[date, int]]:
    own = month_reports.c
    rows = await session.execute(
        select(own.report).where(own.month < report.month).order_by(own.month.desc()).limit(TREND - 1)
    )
    kept = [_AS_JSON.validate_python(one) for one in rows.scalars()]
    known = {one.month: one.this.figures.net for one in kept}
    if _is_whole(report):
        known.setdefault(period.previous(report.month), report.earlier.figures.net)
    return [*sorted(known.items()), (report.month, report.this.figures.net)]


def _is_whole(report: Report) -> bool:
    return report.title == period.in_title(report.month)


def plain(seen: Seen) -> dict[str, Any]:
    """For programs; money in kopeks or in the smallest unit of its currency, times in seconds."""
    found = TypeAdapter(Seen).dump_python(seen, mode="json")
    assert isinstance(found, dict)
    return found
