"""The life of a payment: one table of moves."""

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
