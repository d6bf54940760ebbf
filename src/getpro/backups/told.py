"""What goes wrong again and again is logged once, and again when it was well in between."""

import structlog

from getpro.kit.trouble import system_words

log = structlog.get_logger(__name__)


class Told:
    """Of one thing that is tried again and again."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._words = ""

    def say(self, error: Exception) -> None:
        words = error_words(error)
        if words != self._words:
            log.error(self._event, error=words)
        self._words = words

    def is_well(self) -> None:
        self._words = ""


def error_words(error: Exception) -> str:
    """In a line; a database that is away has several."""
    said = system_words(error) if isinstance(error, OSError) else str(error).partition("\n")[0]
    return said or type(error).__name__
