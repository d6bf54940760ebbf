"""What the routines need, handed in by bootstrap or by a test."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from getpro.backups.claims import Compared
from getpro.backups.drills import Drill
from getpro.checks.check import Line
from getpro.incidents.deps import Deps as IncidentsDeps
from getpro.kit.clock import Clock
from getpro.operations.dependencies import Packages
from getpro.operations.secrets import Inventory
from getpro.platform.bot_api import Document
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import OperationsSettings, SentrySettings

Absent = Callable[[Line], str | None]
"""Why there is nothing to look at for a check, in a few words; None where there is."""


def nothing_absent(_: Line) -> None:
    """As on a server of one's own."""


Rehearse = Callable[[], Awaitable[Drill]]
Compare = Callable[[], Awaitable[Compared]]
"""May raise BackupError."""


class Chat(Protocol):
    """The operators' chat."""

    async def send(
        self,
        text: str,
        picture: bytes | None = None,
        *,
        document: Document | None = None,
        is_silent: bool = False,
    ) -> None:
        """Send HTML, or a PNG or a file with it as the caption; ``is_silent``: no phone sounds.

        Raises ServiceUnavailable where it is to be sent again, BotApiRefused where never.
        """


@dataclass(frozen=True, slots=True)
class Deps:
    db: Database
    jobs: Jobs
    clock: Clock
    zone: ZoneInfo
    """The operator's: their day and their hours."""
    settings: OperationsSettings
    folders: Mapping[str, Path]
    """What is written to on this machine, by purpose: data, logs, backups."""
    sentry: SentrySettings = field(default_factory=SentrySettings)
    """Where errors are reported to, and asked for."""
    urls: tuple[str, ...] = ()
    """Addresses with TLS that customers, Telegram, providers or we ourselves meet."""
    chat: Chat | None = None
    """None where none is set: what would be told is kept and not sent."""
    keeps_log: bool = True
    """Whether the database's log flows into the folder of copies."""
    makes_backups: bool = True
    """Whether the copies of the database are of our making."""
    compare: Compare | None = None
    """Compares what is claimed to lie off this machine with what does; None where no copy goes there."""
    packages: Packages = field(default_factory=Packages)
    rehearse: Rehearse | None = None
    """Holds the drill of the copies; None where they are somebody else's."""
    incidents: IncidentsDeps | None = None
    """What becomes of what is red; None: nobody is called."""
    absent: Absent = nothing_absent
    shop_name: str = "2GETPRO"
    operators: frozenset[int] = frozenset()
    """The Telegram ids of those whom the settings name."""
    inventory: Callable[[], Inventory] | None = None
    """What secrets the shop lives by, read anew; None: they are not looked at. Raises Trouble."""
    private: tuple[Path, ...] = ()
    """Files and folders that nobody but their owner may open, where they are there."""
