"""What making and proving copies needs, handed in by bootstrap or by a test."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from getpro.backups.bucket import Bucket
from getpro.backups.errors import BackupError
from getpro.backups.keys import Keys
from getpro.backups.retention import Keep
from getpro.backups.trial import Use
from getpro.kit.clock import Clock
from getpro.kit.trouble import Trouble
from getpro.platform.bot_api import Document
from getpro.platform.database import Database
from getpro.platform.postgres.tools import Tools

ToolsFor = Callable[[int], Tools]
"""PostgreSQL's programs for a server of a major version: an older pg_dump refuses it."""


class Chat(Protocol):
    """Where an owner keeps copies; both raise NotSent."""

    async def send(self, document: Document, caption: str) -> None: ...

    async def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Deps:
    db: Database
    clock: Clock
    zone: ZoneInfo
    database_url: str
    """A secret."""
    tools: ToolsFor
    folder: Path
    """Where the copies lie."""
    trials: Path
    """Where clusters live that are thrown away."""
    spool: Path
    """Where the log waits on its way into the folder of copies: in the data directory, for it is in clear."""
    keys: Keys
    keep: Keep
    window: timedelta
    """So far back any moment can be gone back to."""
    use: Use
    """How a restored database is tried by the product itself."""
    plan: Path | None = None
    """The page for the day on which the machine is lost; with a drill's figures it goes into the folder."""
    bucket: Bucket | None = None
    """Where copies go off this machine; None: nowhere."""
    environment: str | None = field(default=None, repr=False)
    """What lies beside each copy for a rebuild, as ``.env`` takes it: a secret. None: nothing."""
    telegram: Callable[[], AbstractAsyncContextManager[Chat]] | None = None
    """The owner's chat, open while it is needed. None: none is set."""


Prepare = Callable[[], Deps]
"""Made when there is something to do: a broken key must not stop the shop. May raise Trouble."""


def prepared(prepare: Prepare) -> Deps:
    """Raises BackupError where they cannot be had."""
    try:
        return prepare()
    except Trouble as trouble:
        raise BackupError(f"{trouble.what} {trouble.why}") from trouble
