"""How commands name an entry of the operator's list: s12, d7, r5, e9, j31."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from getpro.sales.errors import CannotResolve

_WRITTEN: Final = re.compile(r"([sdrej])([0-9]{1,18})")
"""No more digits than a number of the database surely has."""


class Listed(StrEnum):
    """What an entry is about, by the first letter of its reference."""

    MONEY = "s"
    DELIVERY = "d"
    REFUND = "r"
    NOTICE = "e"
    JOB = "j"


@dataclass(frozen=True, slots=True)
class Reference:
    kind: Listed
    number: int

    @classmethod
    def parse(cls, written: str) -> "Reference":
        """Raises CannotResolve for what names no entry."""
        if (found := _WRITTEN.fullmatch(written)) is None:
            raise CannotResolve(f"{written!r}: такой записи нет, ссылка пишется как s12, d7, r5, e9 или j31")
        return cls(Listed(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.kind}{self.number}"
