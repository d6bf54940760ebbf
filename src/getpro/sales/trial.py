"""The trial: once per customer, delivered like everything else."""

from getpro.customers import store as customers
from getpro.platform.database import Session
from getpro.sales.closing import require_open
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.sales.errors import CustomerBlocked, TrialUsed
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.states import TRIAL, ChangeCause
from getpro.subscriptions.store import Subscription


async def start_trial(session: Session, deps: Deps, *, user_id: int) -> Subscription:
    """Give the customer the trial's days; a step.

    Raises TrialUsed, ShopClosed, CustomerBlocked, CustomerGone.

    Whoever has (had) a subscription needs no trial. It makes no payments row.
    """
    now = deps.clock()
    await require_open(session)
    await customers.lock(session, user_id)
    if (await customers.customer(session, user_id)).is_blocked:
        raise CustomerBlocked
    if deps.rules.trial_days == 0 or await subscriptions.of_customer(session, user_id) is not None:
        raise TrialUsed
    if not await customers.start_trial(session, user_id, now=now):
        raise TrialUsed
    subscription = await subscriptions.extend(
        session,
        user_id,
        days=deps.rules.trial_days,
        provider=TRIAL,
        cause=ChangeCause.TRIAL,
        payment_id=None,
        now=now,
    )
    await defer_delivery(session, deps, subscription.subscription_id)
    return subscription
