"""Folders of tests, for servers that are somebody else."""

import tempfile
from pathlib import Path


def open_up(directory: Path) -> Path:
    """Let the database server in: as root it is another user, and pytest closes its folders to others."""
    for folder in (directory, *directory.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(folder.stat().st_mode | 0o011)
    return directory
