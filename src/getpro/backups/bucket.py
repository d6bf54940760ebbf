"""What copies off this machine need of a place for them: files under keys, there whole or not at all."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

OnTransfer = Callable[[int, int], object]
"""Told how many bytes of how many are over, after each part of a file. What it raises ends the transfer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies under a key, as the place tells."""

    key: str
    bytes: int
    sha256: str | None
    """In hex, of the whole file, as it was said when it was sent; None where that is not known."""


class Bucket(Protocol):
    """Used by any number of threads at once. Everything here may raise OffsiteError."""

    def close(self) -> None:
        """Give its connections back."""

    def address(self, key: str) -> str:
        """Where that is, for a person and for the catalogue."""

    def put(
        self, path: Path, key: str, *, sha256: str | None = None, on_bytes: OnTransfer = lambda *_: None
    ) -> None:
        """Send a file; afterwards it is there, and what was sent. Sends nothing that is there already.

        One that was cut off is gone on with. ``sha256`` is what the file must have, in hex; raises Damaged
        where it has another one, and OSError where it cannot be read.
        """

    def has(self, key: str) -> Stored | None:
        """What lies there; None: nothing. Raises OffsiteRefused where the credentials may not know."""

    def get(self, key: str, path: Path, *, on_bytes: OnTransfer = lambda *_: None) -> None:
        """Bring what lies there into a file of its owner alone; raises NotThere, and OSError of the disk."""

    def listing(self, prefix: str = "") -> Iterator[Stored]:
        """What lies under keys that begin so, by their order."""

    def delete(self, key: str) -> None:
        """With all its versions; nothing there is fine.

        Raises OffsiteRefused where some must stay, or the credentials may not know whether there are some.
        """

    def try_to_write(self) -> None:
        """Find out whether files can be sent, and leave none."""

    def abort_unfinished(self, prefix: str, *, keep: Collection[str] = ()) -> int:
        """Give up what was begun under such keys, but for ``keep``; returns how many it could see.

        Only for who knows that nobody else is sending there.
        """
