"""Words that stand in the tables of subscriptions."""

from enum import StrEnum
from typing import Final

TRIAL: Final = "trial"
GIFT: Final = "gift"
"""Stand where else the code of the provider stands that took the money for the last period."""


class ChangeCause(StrEnum):
    """Why a new version of a subscription is wanted."""

    TRIAL = "trial"
    PAYMENT = "payment"
    CREDIT = "credit"
    """An operator accepted money that had been stuck."""
    REFUND = "refund"
    """Money was given back, and what it had bought is taken back as far as it is unused."""
    GIFT = "gift"
    """An operator gave days."""
    BLOCK = "block"
    UNBLOCK = "unblock"
    """An operator shut the customer out, or let them in again; the end stays."""
    ADOPTED = "adopted"
    """The panel had more than a database that was brought back; nobody knows any more who gave it."""
    REPAIR = "repair"
    """It gives the customer nothing new: it puts right what the panel has lost."""


class DeliveryTrouble(StrEnum):
    """Why the panel does not take the wanted state."""

    AWAY = "away"
    REFUSED = "refused"
    OURS = "ours"
    """Our own error: nothing is known of the panel."""
