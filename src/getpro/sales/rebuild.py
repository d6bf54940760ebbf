"""An order that the database has lost, written again from what its provider carries for us."""

import structlog

from getpro.catalog import store as catalog
from getpro.customers import store as customers
from getpro.payments import store as payments
from getpro.payments.provider import Charge
from getpro.payments.states import Actor
from getpro.payments.store import NewOrder, Payment
from getpro.platform.database import Session
from getpro.sales.deps import Deps

log = structlog.get_logger(__name__)


async def rebuild_order(session: Session, deps: Deps, charge: Charge) -> Payment | None:
    """Write the order again for which ``charge`` was paid, and its customer if need be; a step.

    None where the charge does not carry an order, or carries one of another shop. Orders are never deleted:
    one of ours that is not there was lost with a part of the database. Whoever could write its words into
    the charge has our keys at the provider's.
    """
    lost = charge.carried
    if lost is None or lost.bot_id != deps.rules.bot_id or lost.order_key != charge.order_key:
        return None
    await customers.ensure(session, lost.user_id, language=lost.language, since=lost.created_at)
    order = NewOrder(
        order_key=lost.order_key,
        user_id=lost.user_id,
        provider=charge.provider,
        price=lost.price,
        asked=lost.asked,
        duration_months=lost.duration_months,
        days=lost.days,
        plan_id=lost.plan_id if await catalog.is_known(session, lost.plan_id) else None,
        request=None,
    )
    payment = await payments.add_order(session, order, now=lost.created_at, actor=Actor.SHOP)
    log.warning("payment.order_rebuilt", payment_id=payment.payment_id, charge_id=charge.charge_id)
    return payment
