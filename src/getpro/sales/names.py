"""Names of the jobs that selling defers; other rooms use them without importing what they run."""

from typing import Final

SETTLE: Final = "settle"
DELIVER: Final = "deliver"
POLL_PAYMENT: Final = "poll_payment"
COMPARE: Final = "compare"
TURN_SCREEN: Final = "turn_screen"
"""Run by the bot: shows the present state of an order on its waiting screen."""
