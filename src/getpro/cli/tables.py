"""What the commands' tables share: how wide they are, and times in the shop's zone with its name."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

BIGGEST_ID: Final = 2**63 - 1
BIGGEST_PLAN: Final = 2**31 - 1
"""What a column holds: a slip of the hand is told, not tried."""
WIDE: Final = 220
"""For a file or a pipe: nothing is cut."""
_NAMES: Final = {"MSK": "МСК"}


def in_words(moment: datetime, zone: ZoneInfo) -> str:
    """``24.11.2026 03:00 МСК``; a zone without a name of its own is written as ``UTC+05``."""
    local = moment.astimezone(zone)
    name = local.tzname() or zone.key
    shown = f"UTC{name}" if name[0] in "+-" else _NAMES.get(name, name)
    return f"{local:%d.%m.%Y %H:%M} {shown}"
