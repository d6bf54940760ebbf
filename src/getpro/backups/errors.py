"""What can go wrong with a copy."""


class BackupError(Exception):
    """The text is for an operator."""


class DumpFailed(BackupError):
    """pg_dump, or writing what it said; nothing of it was left behind."""


class NotThere(BackupError):
    """The copy's file is gone."""


class Damaged(BackupError):
    """The file is not what was written; or the key does not open it."""


class NotRestored(BackupError):
    """The copy could not be restored, or what was restored is not what was copied."""


class NoFolder(BackupError):
    """The folder of copies cannot be made or written to."""


class Busy(BackupError):
    """Another process is at work in the folder."""


class NoStream(BackupError):
    """The write-ahead log does not reach the folder."""


class TooOld(NoStream):
    """The server is of a version whose log we do not take."""
