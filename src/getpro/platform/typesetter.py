"""Typst on standard input becomes a PNG or, asked with ``pdf``, a PDF on standard output.

A program of its own, started anew each time: what the typesetter remembers goes with it, and the worker
stays as small as it was. Fonts are those that the typesetter brings, so it looks the same everywhere.
"""

import sys
from typing import Final

import typst

PIXELS_PER_INCH: Final = 216
"""Three for each of Typst's points: 360 of them are a phone's 1080 pixels."""
KEPT_FOR_YEARS: Final = "a-2b"
"""PDF/A: fonts and colours are inside, nothing is asked of whoever opens it."""

if __name__ == "__main__":
    compiler = typst.Compiler(sys.stdin.buffer.read(), ignore_system_fonts=True)
    if sys.argv[1:] == ["pdf"]:
        made = compiler.compile(format="pdf", pdf_standards=KEPT_FOR_YEARS)
    else:
        made = compiler.compile(format="png", ppi=PIXELS_PER_INCH)
    assert isinstance(made, bytes)  # a picture has one page
    sys.stdout.buffer.write(made)
