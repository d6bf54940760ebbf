"""Telegram's last question before it takes Stars: ten seconds to answer, nothing is written."""

from enum import StrEnum

from getpro.kit.money import Money
from getpro.payments.carried import order_key_in
from getpro.payments.provider import Provider
from getpro.payments.states import PaymentStatus
from getpro.sales import reads
from getpro.sales.deps import Deps
from getpro.sales.reads import Asked


class Refusal(StrEnum):
    UNKNOWN = "unknown"
    NOT_YOURS = "not_yours"
    """A forwarded invoice: whoever pays it would buy for somebody else."""
    NOT_PENDING = "not_pending"
    PLAN_GONE = "plan_gone"
    """Nobody can buy it any more, or not this customer."""
    OLD_PRICE = "old_price"
    """An invoice lives longer than a price: whoever pays it today pays today's."""
    HELD = "held"
    """The database was brought back, and its books are not complete yet."""


async def approve(deps: Deps, *, payload: str, payer_id: int, amount: int, currency: str) -> Refusal | None:
    """Whether Telegram may take the money for the order named by ``payload``; None: it may."""
    order_key = order_key_in(payload)
    async with deps.db.read("pre-checkout") as session:
        asked = None if order_key is None else await reads.order_and_prices(session, order_key)
    provider = deps.providers.by_code.get(asked.payment.provider) if asked is not None else None
    if asked is None or provider is None:
        return Refusal.UNKNOWN
    if asked.is_held:
        return Refusal.HELD
    return _doubt(asked, provider, payer_id=payer_id, money=Money(amount, currency))


def _doubt(asked: Asked, provider: Provider, *, payer_id: int, money: Money) -> Refusal | None:
    payment = asked.payment
    if payment.user_id != payer_id:
        return Refusal.NOT_YOURS
    if payment.status is not PaymentStatus.PENDING:
        return Refusal.NOT_PENDING
    if asked.prices is None:
        return Refusal.PLAN_GONE
    is_price_of_now = payment.asked == money == provider.price(asked.prices)
    return None if is_price_of_now else Refusal.OLD_PRICE
