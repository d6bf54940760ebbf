"""Which copies may go: so many days, weeks, months and years back one each is kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    by_name = {base.name: base for base in bases}
    if not by_name:
        return []
    line = max(by_name.values(), key=lambda base: base.moment).line
    chains = _chains(by_name)
    whole = [(number, chain) for number, chain in enumerate(chains) if chain[0].parent is None]
    reach_back = [number for number, chain in whole if chain[0].moment <= since and chain[0].line == line]
    proven = [number for number, chain in whole if any(base.is_proven for base in chain)]
    if not reach_back:
        return []
    first = min([reach_back[-1], *proven[-1:]])
    return [base for chain in chains[:first] for base in chain]


def _chains(bases: Mapping[str, KeptBase]) -> list[list[KeptBase]]:
    """Those that hang together, the full one first; oldest first. By a clock that was set they may overlap.

    What hangs on one that is missing is a chain of its own, which leads nowhere.
    """
    chains: dict[str, list[KeptBase]] = {}
    for base in sorted(bases.values(), key=lambda base: (base.parent is not None, base.moment)):
        chains.setdefault(_begin(base, bases), []).append(base)
    return sorted(chains.values(), key=lambda chain: chain[0].moment)


def _begin(base: KeptBase, bases: Mapping[str, KeptBase]) -> str:
    """What it builds on in the end, as far as that is here."""
    for _ in bases:  # no more: what stands in files may go round
        if base.parent is None or base.parent not in bases:
            break
        base = bases[base.parent]
    return base.parent or base.name
