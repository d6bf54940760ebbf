"""Advisory locks of PostgreSQL are numbers that the whole database shares."""

import re
from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src/getpro"


def test_no_two_parts_of_the_shop_lock_by_the_same_number() -> None:
    """One of them is held for as long as a shop fetches its updates itself."""
    locks = Counter(
        found[1]
        for file in SOURCE.rglob("*.py")
        for found in re.finditer(r"^_LOCK: Final = ([\d_]+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert len(locks) >= 6
    assert [number for number, uses in locks.items() if uses > 1] == []
