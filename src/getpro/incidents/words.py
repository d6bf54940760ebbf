"""The words that pages, time lines and commands share."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from getpro.incidents.states import Complaint, IncidentState, Level, Role

ROLES: Final = {
    Role.ON_CALL: "Дежурный инженер",
    Role.TECH_LEAD: "Технический руководитель",
    Role.DEVOPS: "DevOps",
    Role.EVERYONE: "Вся команда",
}
STATES: Final = {
    IncidentState.OPEN: "не взят",
    IncidentState.TAKEN: "взят",
    IncidentState.RESOLVED: "решён",
}
COMPLAINTS: Final = {
    Complaint.PAID: "Оплатил, а доступа нет",
    Complaint.CONNECTION: "VPN не подключается",
    Complaint.OTHER: "Что-то не работает",
}
LIGHTS: Final = {Level.L1: "🟡", Level.L2: "🔴", Level.L3: "🚨"}
_MINUTE: Final = 60
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#])")


def span(length: timedelta) -> str:
    """``1 ч 30 мин``; of less than a minute the seconds."""
    seconds = int(length.total_seconds())
    if seconds < _MINUTE:
        return f"{seconds} с"
    days, minutes = divmod(seconds // _MINUTE, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{n} {unit}" for n, unit in ((days, "д"), (hours, "ч"), (minutes, "мин")) if n]
    return " ".join(parts[:2])


def clock(moment: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """``14:05``, on another day ``28.11 14:05``."""
    local = moment.astimezone(zone)
    is_today = local.date() == now.astimezone(zone).date()
    return f"{local:%H:%M}" if is_today else f"{local:%d.%m %H:%M}"


def plain(text: str) -> str:
    """Of anybody's words, Markdown that shows just them, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def names(those: Iterable[str]) -> str:
    return ", ".join(those)
