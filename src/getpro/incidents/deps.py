"""What incidents need, handed in by bootstrap or by a test."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from getpro.incidents.escalation import Night
from getpro.kit.clock import Clock
from getpro.platform.cipher import Cipher
from getpro.platform.database import Database, Session
from getpro.platform.jobs import Jobs
from getpro.sales.deps import Deps as SalesDeps


class Telegram(Protocol):
    """The Bot API by plain calls."""

    async def ask(self, method: str, **parameters: Any) -> Any:
        """Its result; raises BotApiRefused, TooManyRequests, ServiceUnavailable."""


class OtherWay(Protocol):
    """Mail, SMS, push."""

    async def send(self, addresses: Sequence[str], title: str, text: str) -> list[str]:
        """Send to each address of Apprise's and return the kinds of those that did not take it.

        Raises NotSent where none has: whoever has got it by one of them is not written to again.
        """


class Outside(Protocol):
    """Whoever raises the alarm when no sign of life comes any more."""

    async def hear(self) -> None:
        """Give the sign; raises ServiceUnavailable where it was not taken, or the shop's door is shut."""


@dataclass(frozen=True, slots=True)
class Bought:
    """How the last synthetic purchase went."""

    began_at: datetime
    trouble: str | None = None
    """None: it passed."""
    remedy: str = ""


class Purchases(Protocol):
    """The synthetic purchases that the shop makes."""

    async def last(self, session: Session) -> Bought | None:
        """The newest; None before the first."""

    async def between(self, session: Session, since: datetime, until: datetime) -> tuple[int, int]:
        """How many were made in that time, and how many of them failed."""


@dataclass(frozen=True, slots=True)
class Deps:
    db: Database
    jobs: Jobs
    clock: Clock
    zone: ZoneInfo
    """The operator's."""
    night: Night
    telegram: Telegram
    other: OtherWay
    cipher: Cipher
    """Of people's addresses."""
    sales: SalesDeps
    """What is done to the shop from an incident is done by it."""
    chat_id: int | None = None
    """The operators' chat; None where none is set."""
    operators: frozenset[int] = frozenset()
    """The Telegram ids of those whom the settings name."""
    mail: str | None = None
    """An Apprise address for whom the settings name, where the team has nobody to be called otherwise."""
    mail_server: str | None = None
    """``mailto`` of Apprise's without the one it goes to."""
    purchases: Purchases | None = None
    """None where none are made."""
    shop_name: str = "2GETPRO"
    runbooks_url: str | None = None
    """Where runbooks are read in a browser; None: their files are named."""
    outside: Outside | None = None
    """Who is given signs of life; None: nobody, but whoever asks the shop sees them."""
