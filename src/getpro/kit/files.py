"""Files that are there whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_new(path: Path, text: str) -> None:
    """A file for its owner alone, and never over another; raises FileExistsError and any other OSError.

    A kill leaves either none or a whole one; of two writers that come at once one wins.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.link(fresh, path)
    finally:
        fresh.unlink()
