"""How notices go wrong on their way: lost, doubled, overtaken."""

import random

from getpro.sandbox.faults import Faults


def spread(faults: Faults) -> list[float]:
    """The delays, in seconds, after which the copies of one notice are sent; none for a lost one."""
    if random.random() < faults.notices_lost_rate:
        return []
    return [random.uniform(0, faults.notices_shuffled_seconds) for _ in range(faults.notice_copies)]
