"""What the commands' tables share: how wide they are, and the words for times, money, providers."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from getpro.backups.states import BackupKind
from getpro.kit.money import Money
from getpro.payments.providers import LIST
from getpro.payments.states import PaymentStatus

BIGGEST_ID: Final = 2**63 - 1
BIGGEST_PLAN: Final = 2**31 - 1
"""What a column holds: a slip of the hand is told, not tried."""
WIDE: Final = 220
"""For a file or a pipe: nothing is cut."""
STATUSES: Final = {
    PaymentStatus.PENDING: "ждёт оплаты",
    PaymentStatus.SUCCEEDED: "оплачен",
    PaymentStatus.CANCELED: "отменён",
}
KINDS: Final = {
    BackupKind.DUMP: "обычная",
    BackupKind.FULL: "базовая, полная",
    BackupKind.INCREMENTAL: "базовая, изменения",
}
_PROVIDERS: Final = {way.code: way.title for way in LIST}
_NAMES: Final = {"MSK": "МСК"}


def in_words(moment: datetime, zone: ZoneInfo) -> str:
    """``24.11.2026 03:00 МСК``; a zone without a name of its own is written as ``UTC+05``."""
    local = moment.astimezone(zone)
    name = local.tzname() or zone.key
    shown = f"UTC{name}" if name[0] in "+-" else _NAMES.get(name, name)
    return f"{local:%d.%m.%Y %H:%M} {shown}"


def in_money(money: Money | None) -> str:
    """``199 ₽``, ``198,50 ₽``, ``⭐ 250``; nothing for none."""
    if money is None:
        return ""
    if money.currency == "XTR":
        return f"⭐ {money.minor}"
    value = str(money.value).removesuffix(".00").replace(".", ",")
    return f"{value} {'₽' if money.currency == 'RUB' else money.currency}"


def in_title(provider: str) -> str:
    """A provider as people call it; its code where nobody does."""
    return _PROVIDERS.get(provider, provider)
