"""How well the shop was run in a period: what Prometheus, the incidents and the copies have of it.

Some of it is forgotten after weeks, so a closed month is kept as it was told (``kept.py``).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text

from getpro.incidents import month as incidents
from getpro.incidents.month import Times
from getpro.operations.budget import Budget, budget
from getpro.operations.deps import Deps
from getpro.operations.looks.prometheus import NotAnswered
from getpro.operations.month.period import Period
from getpro.platform.database import Session

_COPIES: Final = """
SELECT kind <> 'dump' AS is_base, count(*) FILTER (WHERE state <> 'failed') AS made,
       count(*) FILTER (WHERE state = 'failed') AS failed
FROM backups WHERE started_at >= :since AND started_at < :until AND state <> 'making'
GROUP BY 1 ORDER BY 1
"""
_TRIALS: Final = """
SELECT count(*) FILTER (WHERE is_good), count(*) FILTER (WHERE NOT is_good)
FROM backups WHERE verified_at >= :since AND verified_at < :until
"""
_DRILLS: Final = """
SELECT count(*) AS held, count(*) FILTER (WHERE trouble IS NULL) AS good,
       max(rto_seconds) FILTER (WHERE trouble IS NULL) AS rto,
       max(rpo_seconds) FILTER (WHERE trouble IS NULL) AS rpo
FROM drills WHERE started_at >= :since AND started_at < :until
"""


@dataclass(frozen=True, slots=True)
class Incidents:
    """Of one level, or of all (``level`` empty); times in seconds, None where there are none."""

    level: str
    count: int
    open: int
    taken_median: float | None
    resolved_median: float | None
    kept: int
    judged: int


@dataclass(frozen=True, slots=True)
class Availability:
    """Seconds; ``unknown`` says why nothing was measured."""

    down: float = 0
    allowed: float = 0
    measured: float = 0
    unknown: str = ""

    @property
    def share(self) -> float | None:
        """Of the time in which anybody looked, in which one could buy."""
        return 1 - self.down / self.measured if self.measured else None

    @property
    def used(self) -> float | None:
        """Of the budget; 1 is all of it."""
        return self.down / self.allowed if self.measured else None


@dataclass(frozen=True, slots=True)
class Copies:
    """``made`` and ``failed``: nightly copies, then base backups."""

    made: tuple[int, int]
    failed: tuple[int, int]
    restored: int
    """Restored for trial with success."""
    not_restored: int
    drills: int
    good_drills: int
    rto: float | None
    """The longest of the good drills, seconds."""
    rpo: float | None


@dataclass(frozen=True, slots=True)
class Service:
    availability: Availability
    incidents: list[Incidents]
    """Each level's, then all together; empty where none are kept."""
    copies: Copies


async def look(deps: Deps, period: Period, *, now: datetime) -> Service:
    """A flow, it changes nothing."""
    async with deps.db.read("month: service") as session:
        copies = await _copies(session, period)
        cases = (
            []
            if deps.incidents is None
            else incidents.figures(
                await incidents.cases(session, deps.incidents, since=period.since, until=period.until)
            )
        )
    return Service(await _availability(deps, period, now=now), [_plain(one) for one in cases], copies)


async def _availability(deps: Deps, period: Period, *, now: datetime) -> Availability:
    url = deps.settings.prometheus_url
    if url is None:
        return Availability(unknown="Prometheus не задан")
    try:
        found = await budget(url, since=period.since, until=period.until, now=now)
    except NotAnswered as error:
        return Availability(unknown=str(error))
    return Availability(unknown="пробных покупок не было") if found is None else _seconds(found)


def _seconds(found: Budget) -> Availability:
    return Availability(
        found.down.total_seconds(), found.allowed.total_seconds(), found.measured.total_seconds()
    )


def _plain(one: incidents.Figures) -> Incidents:
    return Incidents(
        level="" if one.level is None else one.level.value,
        count=one.count,
        open=one.open,
        taken_median=_median(one.to_take),
        resolved_median=_median(one.to_resolve),
        kept=one.kept,
        judged=one.judged,
    )


def _median(times: Times | None) -> float | None:
    return None if times is None else times.median.total_seconds()


async def _copies(session: Session, period: Period) -> Copies:
    span: dict[str, Any] = {"since": period.since, "until": period.until}
    by_kind = {row.is_base: row for row in await session.execute(text(_COPIES), span)}
    good, bad = (await session.execute(text(_TRIALS), span)).one()
    drills = (await session.execute(text(_DRILLS), span)).one()

    def both(name: str) -> tuple[int, int]:
        dump, base = (getattr(by_kind.get(is_base), name, 0) for is_base in (False, True))
        return dump, base

    return Copies(
        made=both("made"),
        failed=both("failed"),
        restored=good,
        not_restored=bad,
        drills=drills.held,
        good_drills=drills.good,
        rto=drills.rto,
        rpo=drills.rpo,
    )
