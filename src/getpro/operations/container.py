"""Whether this program runs in a container: then the machine around it is not to be seen."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

MARKS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files by which Docker and Podman tell a program that it is in a container."""


def is_around(marks: Collection[Path] = MARKS) -> bool:
    return any(mark.exists() for mark in marks)
