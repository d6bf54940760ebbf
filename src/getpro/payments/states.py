"""The life of a payment: one table of moves; and the words that stand in the tables beside it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class PaymentStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


MOVES: Final[Mapping[PaymentStatus, frozenset[PaymentStatus]]] = {
    PaymentStatus.PENDING: frozenset({PaymentStatus.SUCCEEDED, PaymentStatus.CANCELED}),
    PaymentStatus.CANCELED: frozenset({PaymentStatus.SUCCEEDED}),  # money can arrive after our own timeout
    PaymentStatus.SUCCEEDED: frozenset(),  # refunds are rows of their own: past revenue is not rewritten
}


def sources_of(target: PaymentStatus) -> list[str]:
    """The statuses from which a payment may become ``target``."""
    return [status.value for status, targets in MOVES.items() if target in targets]


class Actor(StrEnum):
    """Who moved a payment; an operator goes by their name."""

    SHOP = "shop"
    CUSTOMER = "customer"


class CancelReason(StrEnum):
    """Why we canceled an order; where its provider did, the provider's own word is kept instead."""

    BY_CUSTOMER = "canceled by the customer"
    NOT_PAID = "not paid in time"
    UNANSWERED = "the provider did not answer"
    REFUSED = "refused"
    """The provider would not make the payment; its own words follow after a colon."""
    AT_PROVIDER = "canceled"
    """The provider gave no reason."""
    GIVEN_BACK = "the money was given back"
    CREDITED_APART = "the money was credited to another order"
    """An operator took what came for this order as the payment of another one."""


class StuckMoney(StrEnum):
    """Why money waits for a person."""

    UNDERPAID = "underpaid"
    OVERPAID = "overpaid"
    FOREIGN_CURRENCY = "foreign_currency"
    UNKNOWN_ORDER = "unknown_order"
    REFUNDED_BEFORE_SETTLED = "refunded_before_settled"
    WRONG_PAYER = "wrong_payer"
    EXPIRED_UNDELIVERED = "expired_undelivered"
    SUM_DIFFERS = "sum_differs"


class Resolution(StrEnum):
    """How a person took money off the list."""

    RETRIED = "retried"
    CREDITED = "credited"
    REFUNDED = "refunded"
