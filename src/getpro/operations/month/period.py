"""Which time a report is about: a month of the shop's zone, or its days so far. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from getpro.kit.clock import midnight

CLOSES_AFTER: Final = 3
"""Days: each day of a month has been compared with its provider by then, the last ones more than once."""
_HALF: Final = 15
_MONTHS: Final = (
    "январь", "февраль", "март", "апрель", "май", "июнь",
    "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь",
)  # fmt: skip
_SHORT: Final = ("янв", "фев", "мар", "апр", "май", "июн", "июл", "авг", "сен", "окт", "ноя", "дек")


@dataclass(frozen=True, slots=True)
class Period:
    """``since`` belongs to it, ``until`` does not; both are midnights of the zone, in UTC."""

    month: date
    """Its first day."""
    since: datetime
    until: datetime
    last_day: date
    closes_at: datetime
    """What is learned later belongs to the month in which it is learned."""
    earlier_since: datetime
    """When the month before began."""
    earlier_closes_at: datetime
    is_whole: bool

    def is_closed(self, now: datetime) -> bool:
        return self.is_whole and now >= self.closes_at

    @property
    def title(self) -> str:
        """``Октябрь 2026``, or ``Ноябрь 2026, 1–21 число``."""
        name = in_title(self.month)
        return name if self.is_whole else f"{name}, 1–{self.last_day.day} число"


def parse(written: str) -> date:
    """The first day of ``2026-10``; raises ValueError."""
    return datetime.strptime(written, "%Y-%m").date()  # noqa: DTZ007 -- the zone comes next


def in_title(month: date) -> str:
    return f"{_MONTHS[month.month - 1].capitalize()} {month.year}"


def in_short(month: date) -> str:
    """``окт``, for twelve in a row."""
    return _SHORT[month.month - 1]


def following(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def previous(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def whole(month: date, zone: ZoneInfo) -> Period:
    """The month whose first day is ``month``. Raises OverflowError beyond the calendar."""
    return _of(month, following(month), zone, is_whole=True)


def so_far(today: date, zone: ZoneInfo) -> Period:
    """The whole days of the month that are over; on its first day, the month before."""
    if today.day == 1:
        return whole(previous(today), zone)
    return _of(today.replace(day=1), today, zone, is_whole=False)


def due(today: date, zone: ZoneInfo) -> Period:
    """What is reported on that day: in the first half of a month the one before, then this one so far."""
    return whole(previous(today.replace(day=1)), zone) if today.day < _HALF else so_far(today, zone)


def asked(month: date, today: date, zone: ZoneInfo) -> Period:
    """That month, or as much of it as is over; raises ValueError for one that has not begun."""
    this = today.replace(day=1)
    if month > this or (month == this and today.day == 1):
        raise ValueError(f"{in_title(month)} ещё не начался")
    return so_far(today, zone) if month == this else whole(month, zone)


def before(period: Period, zone: ZoneInfo) -> Period:
    """The month before; of a month's days so far, as many days of the month before as it has."""
    month = previous(period.month)
    if period.is_whole:
        return whole(month, zone)
    after = min(month + timedelta(days=period.last_day.day), period.month)
    return _of(month, after, zone, is_whole=False)


def _of(first: date, after: date, zone: ZoneInfo, *, is_whole: bool) -> Period:
    end, earlier = following(first), previous(first)
    return Period(
        month=first,
        since=midnight(first, zone),
        until=midnight(after, zone),
        last_day=after - timedelta(days=1),
        closes_at=midnight(end + timedelta(days=CLOSES_AFTER), zone),
        earlier_since=midnight(earlier, zone),
        earlier_closes_at=midnight(first + timedelta(days=CLOSES_AFTER), zone),
        is_whole=is_whole,
    )
