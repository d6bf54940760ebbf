"""The shop once more, on the tables of the synthetic purchase, for as long as one purchase takes."""

from aiogram import Bot

from getpro.bootstrap.sales import close
from getpro.bot.app import ShopBot
from getpro.bot.jobs import job_kinds as bot_job_kinds
from getpro.bot.message_log import MessageLog
from getpro.kit.clock import Clock, utc_now
from getpro.migrations import SYNTHETIC
from getpro.panel.client import PanelClient
from getpro.payments.provider import Providers
from getpro.platform.cipher import cipher
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings
from getpro.sales.deps import Deps as Sales
from getpro.sales.deps import SalesRules
from getpro.sales.jobs import job_kinds as sales_job_kinds
from getpro.synthetic.deps import Deps, synthetic_user_id
from getpro.synthetic.phone import Phone
from getpro.synthetic.provider import SyntheticProvider
from getpro.synthetic.purchase import SECONDS, Purchase, purchase

_TAG = "SYNTHETIC"
"""On the panel, for an operator's eyes. The shop's own users are told by their description."""


async def buy(
    settings: Settings,
    *,
    database_url: str,
    asked_by: str,
    clock: Clock = utc_now,
    seconds: float = SECONDS,
) -> Purchase:
    """Make one synthetic purchase and tell how it went, in any migrated database; a flow.

    Of the outside it meets the panel of ``settings``, and nobody else.
    """
    deps = synthetic_deps(settings, database_url=database_url, clock=clock)
    try:
        return await purchase(deps, asked_by=asked_by, seconds=seconds)
    finally:
        await close(deps.sales)


def synthetic_deps(settings: Settings, *, database_url: str, clock: Clock = utc_now) -> Deps:
    """Opens no connection yet."""
    bot_id = settings.telegram.bot_id
    user_id = synthetic_user_id(bot_id)
    phone, provider = Phone(user_id), SyntheticProvider()
    db = Database(database_url, pool_size=4, schema=SYNTHETIC)
    jobs = Jobs(database_url, schema=SYNTHETIC)
    sales = Sales(
        db=db,
        jobs=jobs,
        clock=clock,
        providers=Providers((provider,)),
        panel=PanelClient(settings.panel, settings.shop, owner=f"2getpro-synthetic:{bot_id}", tag=_TAG),
        rules=SalesRules(
            shop_name=settings.shop.name, bot_id=bot_id, return_url=settings.shop.return_url, trial_days=0
        ),
        cipher=cipher(settings),
    )
    # Not the shop's token: a call that went out by mistake would be nobody's.
    bot = ShopBot(
        bot=Bot(f"{bot_id}:synthetic", session=phone), sales=sales, settings=settings, log=MessageLog(db)
    )
    jobs.register(sales_job_kinds(sales, zone=settings.zone))
    jobs.register(bot_job_kinds(bot))
    return Deps(sales=sales, bot=bot, phone=phone, provider=provider, user_id=user_id)
