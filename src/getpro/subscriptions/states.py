"""Words that stand in the tables of subscriptions."""

from enum import StrEnum


class DeliveryTrouble(StrEnum):
    """Why the panel does not take the wanted state."""

    AWAY = "away"
    REFUSED = "refused"
