"""The biggest numbers that a table holds: what none takes is refused at the door, and not tried."""

from typing import Final

BIGGEST_BIGINT: Final = 2**63 - 1
BIGGEST_INTEGER: Final = 2**31 - 1
