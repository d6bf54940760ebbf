"""What somebody's answer looked like, told without what stood in it: that may be a name, a card, a link."""

from typing import Any, Final

_MOST_NAMES: Final = 30


def shape_of(raw: Any) -> str:
    """The names of an object's fields, or the kind of anything else."""
    if not isinstance(raw, dict):
        return type(raw).__name__
    return ", ".join(sorted(str(name)[:40] for name in raw)[:_MOST_NAMES]) or "an empty object"
