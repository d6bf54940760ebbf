"""Where in our code an error is at home: one way to say it, for the log and for what is reported."""

from collections.abc import Iterable
from typing import Final

OURS: Final = "getpro"
_FLOOR: Final = ("platform.", "kit.", "cli.")
"""What all rooms stand on: an error that comes out of it belongs to the room that went in."""


def place_of(frames: Iterable[tuple[str, str]]) -> str:
    """``module:function`` of the last of ``frames``, preferably of a room; empty where there is none.

    ``frames`` are those of ours, from the outermost in: the module below ``getpro`` and the function.
    """
    places = [f"{module}:{function}" for module, function in frames]
    rooms = [place for place in places if not place.startswith(_FLOOR)]
    return (rooms or places or [""])[-1]
