"""Photos: what Telegram takes, and how large it shows them."""

import struct

from getpro.sandbox.telegram.errors import Refusal, bad

_PNG = b"\x89PNG\r\n\x1a\n"
_SIZE = struct.Struct(">4s2I")
"""The first chunk's name, width, height; before it stands its length."""
_JPEG = b"\xff\xd8"
_LONGEST_BYTES = 10 * 1024 * 1024
_LONGEST_SIDES = 10_000
_MOST_STRETCHED = 20
_SHOWN_PIXELS = 1280
"""Of the longer side; what is larger is made smaller."""


def check_photo(photo: bytes) -> None:
    """Raises Refusal for what is no picture, or has sides that Telegram does not take."""
    if len(photo) > _LONGEST_BYTES:
        raise bad("file is too big for a photo; the maximum size is 10 MB")
    width, height = _size(photo)
    if width + height > _LONGEST_SIDES or max(width, height) > _MOST_STRETCHED * min(width, height):
        raise bad("PHOTO_INVALID_DIMENSIONS")


def shown_size(photo: bytes) -> tuple[int, int]:
    """Width and height, in pixels."""
    width, height = _size(photo)
    scale = min(1, _SHOWN_PIXELS / max(width, height))
    return round(width * scale), round(height * scale)


def _size(photo: bytes) -> tuple[int, int]:
    if photo.startswith(_JPEG):
        raise Refusal("Not Implemented: the simulator reads PNG only", 501)
    at = len(_PNG) + 4
    if not photo.startswith(_PNG) or len(photo) < at + _SIZE.size:
        raise bad("IMAGE_PROCESS_FAILED")
    chunk, width, height = _SIZE.unpack_from(photo, at)
    if chunk != b"IHDR" or not width or not height:
        raise bad("IMAGE_PROCESS_FAILED")
    return width, height
