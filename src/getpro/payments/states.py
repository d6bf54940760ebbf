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


class RefundStatus(StrEnum):
    PENDING = "pending"
    """Asked for; the provider is told until it has answered."""
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """The provider said no: a person decides."""
    WITHDRAWN = "withdrawn"
    """A person gave it up after the provider's no."""


REFUND_MOVES: Final[Mapping[RefundStatus, frozenset[RefundStatus]]] = {
    RefundStatus.PENDING: frozenset({RefundStatus.SUCCEEDED, RefundStatus.REFUSED}),
    RefundStatus.REFUSED: frozenset({RefundStatus.PENDING, RefundStatus.WITHDRAWN}),
    RefundStatus.SUCCEEDED: frozenset(),
    RefundStatus.WITHDRAWN: frozenset(),
}


class RefundOrigin(StrEnum):
    """Who gave the money back."""

    SHOP = "shop"
    """We asked the provider to."""
    CABINET = "cabinet"
    """It was given back at the provider's, or taken back from us by the payer's bank, and we found it."""
    BEFORE_CREDIT = "before credit"
    """It had gone back before a person credited the rest for all that is sold: it costs no days."""
    BY_HAND = "by hand"
    """A person gave it back past the provider, and told us."""


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
    GIVEN_BACK_TWICE = "given_back_twice"
    """More has gone back than was paid: by hand, and at the provider's as well."""
    SUM_DIFFERS = "sum_differs"


class Resolution(StrEnum):
    """How a person took money off the list."""

    RETRIED = "retried"
    CREDITED = "credited"
    REFUNDED = "refunded"
