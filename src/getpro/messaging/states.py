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
    TROUBLE = "trouble"
    """Something does not work, and is being mended; at most once, likewise."""
    WORKS_AGAIN = "works_again"
    """To those who were told of the trouble; at most once, likewise."""
