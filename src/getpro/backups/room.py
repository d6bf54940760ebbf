"""Room on a disk, looked at before it is taken: what fills it may be beside the shop's own database."""

import shutil
from pathlib import Path
from typing import Final

from getpro.backups.errors import NoFolder, NoRoom
from getpro.kit.trouble import system_words

CLUSTER_BYTES: Final = 128 * 2**20
"""Write-ahead log, and what a cluster weighs when it is empty."""
_RESERVE_BYTES: Final = 256 * 2**20
"""What nobody takes from the shop who is not asked to."""


def free_bytes(path: Path) -> int:
    """How much room there is where a folder is, or will be; raises NoFolder."""
    try:
        there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
        return shutil.disk_usage(there).free
    except OSError as error:
        raise NoFolder(f"{path}: {system_words(error)}") from error


def require_room(path: Path, needed: int) -> None:
    """Raises NoRoom and NoFolder."""
    if (there := free_bytes(path)) < needed:
        raise NoRoom(
            f"{path}: нет места на диске: нужно {in_megabytes(needed)}, свободно {in_megabytes(there)}"
        )


def require_room_to_spare(path: Path, needed: int) -> None:
    """That the shop has room left beside it; raises NoRoom and NoFolder."""
    require_room(path, needed + _RESERVE_BYTES)


def require_room_as_before(folder: Path, *patterns: str) -> None:
    """That there is room to spare for files as large as the newest of each; raises NoRoom and NoFolder."""
    newest = [max(found) for pattern in patterns if (found := list(folder.glob(pattern)))]
    require_room_to_spare(folder, sum(path.stat().st_size for path in newest))


def in_megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} МБ".replace(",", " ")
