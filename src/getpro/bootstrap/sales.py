"""What selling needs, built from the settings; without the bot, so that a command answers at once."""

from getpro.kit.clock import Clock, utc_now
from getpro.panel.client import PanelClient
from getpro.payments import providers
from getpro.payments.providers.stars.provider import StarsApi
from getpro.platform.cipher import cipher
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings
from getpro.sales.deps import Deps, SalesRules


def sales_deps(
    settings: Settings, *, db: Database, jobs: Jobs, telegram: StarsApi, clock: Clock = utc_now
) -> Deps:
    """Opens no connection yet; :func:`close` gives back those that were opened.

    Raises Trouble where the keys of the database's secrets cannot be had.
    """
    return Deps(
        db=db,
        jobs=jobs,
        clock=clock,
        providers=providers.build(settings, providers.Outside(telegram=telegram)),
        panel=PanelClient(settings.panel, settings.shop, owner=f"2getpro:{settings.telegram.bot_id}"),
        rules=SalesRules(
            shop_name=settings.shop.name,
            bot_id=settings.telegram.bot_id,
            return_url=settings.shop.return_url,
            trial_days=settings.shop.trial_days,
            operators=frozenset(settings.shop.operators),
        ),
        cipher=cipher(settings),
    )


async def close(deps: Deps) -> None:
    """Close the connections to the panel, the providers and the database."""
    await deps.panel.close()
    for provider in deps.providers.active:
        await provider.close()
    await deps.db.close()
