"""Names of the jobs that selling defers; other rooms use them without importing what they run."""

from typing import Final

from getpro.platform.jobs import MONEY, NOTICES, OUTSIDE, JobName

SETTLE: Final = JobName("settle", MONEY)
DELIVER: Final = JobName("deliver", MONEY)
REFUND: Final = JobName("refund", MONEY)
POLL_PAYMENT: Final = JobName("poll_payment", OUTSIDE)
COMPARE: Final = JobName("compare", OUTSIDE)
TURN_SCREEN: Final = JobName("turn_screen", NOTICES)
"""Run by the bot: shows the present state of an order on its waiting screen."""
