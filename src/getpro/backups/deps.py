"""What making and proving copies needs, handed in by bootstrap or by a test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from getpro.backups.keys import Keys
from getpro.backups.retention import Keep
from getpro.backups.trial import Use
from getpro.kit.clock import Clock
from getpro.platform.database import Database
from getpro.platform.postgres.tools import Tools

ToolsFor = Callable[[int], Tools]
"""PostgreSQL's programs for a server of a major version: an older pg_dump refuses it."""


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
    keys: Keys
    keep: Keep
    use: Use
    """How a restored database is tried by the product itself."""
