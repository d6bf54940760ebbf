"""Telegram's last question before it takes Stars: ten seconds to answer, nothing is written."""

from enum import StrEnum
from uuid import UUID

from getpro.kit.money import Money
from getpro.payments import store as payments
from getpro.payments.states import PaymentStatus
from getpro.sales.deps import Deps


class Refusal(StrEnum):
    UNKNOWN = "unknown"
    NOT_YOURS = "not_yours"
    """A forwarded invoice: whoever pays it would buy for somebody else."""
    NOT_PENDING = "not_pending"
    OLD_PRICE = "old_price"


async def approve(deps: Deps, *, payload: str, payer_id: int, amount: int, currency: str) -> Refusal | None:
    """Whether Telegram may take the money for the order named by ``payload``; None: it may."""
    try:
        order_key = UUID(payload)
    except ValueError:
        return Refusal.UNKNOWN
    async with deps.db.begin("pre-checkout") as session:
        payment = await payments.by_order_key(session, order_key)
    if payment is None:
        return Refusal.UNKNOWN
    if payment.user_id != payer_id:
        return Refusal.NOT_YOURS
    if payment.status is not PaymentStatus.PENDING:
        return Refusal.NOT_PENDING
    if payment.asked != Money(amount, currency):
        return Refusal.OLD_PRICE
    return None
