"""The life of a copy: one table of moves."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class BackupKind(StrEnum):
    DUMP = "dump"
    """What pg_dump says: one database, for any server of this version or a later one."""
    FULL = "full"
    """A base backup: the files of the whole cluster, from which the log leads to any moment after it."""
    INCREMENTAL = "incremental"
    """What has changed in those files since the base backup before it."""


BASES: Final = (BackupKind.FULL, BackupKind.INCREMENTAL)


class BackupState(StrEnum):
    MAKING = "making"
    MADE = "made"
    FAILED = "failed"
    """It was never whole; nothing of it is left in the folder."""
    LOST = "lost"
    """Its file is not there any more, or is another: somebody else's hand, or the disk's."""
    DELETED = "deleted"
    """By us, when its time was over."""


MOVES: Final[Mapping[BackupState, frozenset[BackupState]]] = {
    BackupState.MAKING: frozenset({BackupState.MADE, BackupState.FAILED}),
    BackupState.MADE: frozenset({BackupState.LOST, BackupState.DELETED}),
    # A disk that was away is back, or it was fetched; or it lay off-site only, and its time was over there.
    BackupState.LOST: frozenset({BackupState.MADE, BackupState.DELETED}),
    BackupState.FAILED: frozenset({BackupState.MADE}),  # fetched into a database that is older than its end
    BackupState.DELETED: frozenset({BackupState.MADE}),  # fetched
}
