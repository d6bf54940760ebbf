"""Which copies may go: so many days, weeks, months and years back one each is kept."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Keep:
    """How many of each are kept."""

    daily: int
    weekly: int
    monthly: int
    yearly: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A copy as this rule sees it."""

    name: str
    moment: datetime
    is_proven: bool
    """Restored for trial, and well."""


@dataclass(frozen=True, slots=True)
class KeptBase:
    """A base backup as this rule sees it."""

    name: str
    parent: str | None
    """What it builds on; None for a full one."""
    line: tuple[str, int]
    """Of which cluster, and of which timeline of its log."""
    moment: datetime
    is_proven: bool


_BORNE_OUT: Final = timedelta(days=1)
_UNTOLD: Final = timedelta(days=2)
"""Longer than a night without a copy."""
_PERIODS: Final[dict[str, Callable[[datetime], object]]] = {
    "daily": lambda moment: moment.date(),
    "weekly": lambda moment: moment.isocalendar()[:2],
    "monthly": lambda moment: (moment.year, moment.month),
    "yearly": lambda moment: moment.year,
}


def outdated(copies: Iterable[Kept], keep: Keep, *, zone: ZoneInfo) -> list[Kept]:
    """Those that no count keeps, oldest first. Periods are of ``zone``; the newest of each is its copy.

    The newest copy never goes, nor the newest that was proven, whatever the counts say.
    """
    newest_first: Sequence[Kept] = sorted(copies, key=lambda copy: copy.moment, reverse=True)
    stays = {copy.name for copy in newest_first[:1]}
    stays |= {copy.name for copy in [copy for copy in newest_first if copy.is_proven][:1]}
    for period, of in _PERIODS.items():
        first: dict[object, str] = {}
        for copy in newest_first:
            first.setdefault(of(copy.moment.astimezone(zone)), copy.name)
        stays |= set(list(first.values())[: getattr(keep, period)])
    return [copy for copy in reversed(newest_first) if copy.name not in stays]


def borne_out(moments: Iterable[datetime], *, now: datetime) -> datetime:
    """``now``, or less where no copy leads there: the clock may be ahead.

    A copy every night does lead there. After a gap, whatever its reason, it does a day after the first copy.
    """
    told = max((moment for moment in moments if moment <= now - _BORNE_OUT), default=now)
    return min(now, told + _UNTOLD)


def outdated_bases(bases: Iterable[KeptBase], *, since: datetime) -> list[KeptBase]:
    """Those without which any moment from ``since`` on can still be gone back to, oldest first.

    A full one and all that builds on it go together; the newest such chain never goes, nor the newest that
    was proven. A timeline that a shop has left for another may be the only way to a moment of either: none
    goes until the one that it lives on reaches back by itself.
    """
    oldest_first = sorted(bases, key=lambda base: base.moment)
    chains: list[list[KeptBase]] = []
    for base in oldest_first:
        if base.parent is None or not chains:
            chains.append([])
        chains[-1].append(base)
    reach_back = [
        number
        for number, chain in enumerate(chains)
        if chain[0].moment <= since and chain[0].line == oldest_first[-1].line
    ]
    proven = [number for number, chain in enumerate(chains) if any(base.is_proven for base in chain)]
    if not reach_back:
        return []
    first = min([reach_back[-1], *proven[-1:]])
    return [base for chain in chains[:first] for base in chain]
