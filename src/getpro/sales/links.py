"""A customer's link to their subscription: kept encrypted, and known to the panel in any case."""

from getpro.panel import accounts
from getpro.panel.service import KnownAccount, recognized
from getpro.sales.deps import Deps
from getpro.subscriptions.store import Subscription


async def subscription_url(deps: Deps, subscription: Subscription, known: KnownAccount) -> str | None:
    """What is kept; where our keys do not decrypt it, what the panel says, kept from then on. A flow.

    None where the panel has no such user. Raises PanelError.
    """
    kept = None if known.encrypted_url is None else deps.cipher.decrypt(known.encrypted_url)
    if kept is not None:
        return kept
    found = recognized(await deps.panel.by_username(known.username), known, subscription.user_id)
    if found is None:
        return None
    async with deps.db.begin("link: asked for") as session:
        await accounts.remember(
            session, subscription.subscription_id, found.account, cipher=deps.cipher, now=deps.clock()
        )
    return found.account.subscription_url
