"""What can go wrong with a copy."""

from datetime import UTC, datetime


class BackupError(Exception):
    """The text is for an operator."""


class DumpFailed(BackupError):
    """pg_dump, or writing what it said; nothing of it was left behind."""


class NotThere(BackupError):
    """The copy's file is gone."""


class Damaged(BackupError):
    """The file is not what was written."""


class WrongKey(Damaged):
    """The key does not open the file."""


class NotRestored(BackupError):
    """The copy could not be restored, or what was restored is not what was copied."""


class LogBroken(NotRestored):
    """The log has a gap, or cannot be read, before what was asked for.

    ``last`` is when what stands last before that was committed; None where that is not known.
    """

    def __init__(self, why: str, last: datetime | None) -> None:
        reached = "когда — не узнать" if last is None else f"{last.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        super().__init__(f"{why}; последнее, что записано до этого: {reached}")
        self.last = last


class NoTransaction(NotRestored):
    """It does not stand in the log."""


class NoFolder(BackupError):
    """The folder of copies cannot be made or written to."""


class Busy(BackupError):
    """Another process is at work in the folder."""


class NoStream(BackupError):
    """The write-ahead log does not reach the folder."""


class TooOld(NoStream):
    """The server is of a version whose log we do not take."""


class NoRoom(BackupError):
    """What is to be restored does not fit."""


class Unsuitable(BackupError):
    """It cannot be restored there: a server too old, a right that is missing, a name that is taken."""


class InUse(BackupError):
    """Somebody works with the database that is to be replaced."""


class OffsiteError(BackupError):
    """The place off this machine said no, or nothing; ``remedy`` is what to do about it."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


class OffsiteAway(OffsiteError):
    """It did not answer: any other call would fare alike now, and better later."""


class OffsiteRefused(OffsiteError):
    """The credentials may not, or what lies there is locked."""


class Interrupted(BackupError):
    """Nobody waits for it any more."""


class NotSent(BackupError):
    """The chat has not got it, or not all of it."""


class TooLarge(BackupError):
    """It does not fit into a chat, however it is split."""
