"""Typst on standard input becomes a PNG on standard output.

A program of its own, started anew for each picture: what the typesetter remembers goes with it, and the
worker stays as small as it was. Fonts are those that the typesetter brings, so it looks the same everywhere.
"""

import sys
from typing import Final

import typst

PIXELS_PER_INCH: Final = 216
"""Three for each of Typst's points: 360 of them are a phone's 1080 pixels."""

if __name__ == "__main__":
    compiler = typst.Compiler(sys.stdin.buffer.read(), ignore_system_fonts=True)
    pages = compiler.compile(format="png", ppi=PIXELS_PER_INCH)
    assert isinstance(pages, bytes)  # of one page
    sys.stdout.buffer.write(pages)
