"""States and the table of their moves: what is not in the table does not happen."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

Status = TypeVar("Status", bound=StrEnum)


def sources_of(target: Status, moves: Mapping[Status, frozenset[Status]]) -> list[str]:
    """The states from which ``target`` may be reached."""
    return [status.value for status, targets in moves.items() if target in targets]
