"""Words that stand in the tables of messages."""

from enum import StrEnum


class NoticeKind(StrEnum):
    """What a notice tells."""

    ACCESS_OPEN = "access_open"
    ACCESS_DELAYED = "access_delayed"
    REFUNDED = "refunded"
    MESSAGE = "message"
    """What an operator has written."""
    REMINDER = "reminder"
    """Told at most once: twice would annoy, and nothing is lost if it is not told."""
