"""The one place where things are built and joined."""

from dataclasses import dataclass

from aiogram import Bot

from getpro.bot.app import ShopBot
from getpro.bot.jobs import job_kinds as bot_job_kinds
from getpro.bot.message_log import MessageLog
from getpro.kit.clock import Clock, utc_now
from getpro.panel.client import PanelClient
from getpro.payments import providers
from getpro.payments.providers.stars.telegram import TelegramStars
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings
from getpro.platform.telegram import make_bot
from getpro.sales.deps import Deps, SalesRules
from getpro.sales.jobs import job_kinds as sales_job_kinds
from getpro.webhooks.deps import Doors


@dataclass(frozen=True)
class Shop:
    """Everything that runs, joined; :meth:`close` gives it all back."""

    settings: Settings
    db: Database
    jobs: Jobs
    sales: Deps
    telegram: Bot
    bot: ShopBot
    message_log: MessageLog
    doors: Doors

    async def close(self) -> None:
        await self.telegram.session.close()
        await self.sales.panel.close()
        for provider in self.sales.providers.active:
            await provider.close()
        await self.db.close()


def build(settings: Settings, *, database_url: str, clock: Clock = utc_now) -> Shop:
    """Join the real parts; opens no connection yet."""
    db = Database(database_url)
    jobs = Jobs(database_url)
    telegram = make_bot(settings.telegram)
    sales = sales_deps(settings, db=db, jobs=jobs, telegram=telegram, clock=clock)
    message_log = MessageLog(db)
    bot = ShopBot(bot=telegram, sales=sales, settings=settings, log=message_log)
    jobs.register(sales_job_kinds(sales, zone=settings.zone))
    jobs.register(bot_job_kinds(bot))
    doors = Doors(
        sales=sales,
        handle_update=bot.handle,
        telegram_secret=settings.telegram.webhook_secret,
        panel_secret=settings.panel.webhook_secret,
        trusted_proxies=settings.trusted_proxies,
    )
    return Shop(settings, db, jobs, sales, telegram, bot, message_log, doors)


def sales_deps(
    settings: Settings, *, db: Database, jobs: Jobs, telegram: Bot, clock: Clock = utc_now
) -> Deps:
    """What selling needs, also for commands that run no bot."""
    return Deps(
        db=db,
        jobs=jobs,
        clock=clock,
        providers=providers.build(settings, providers.Outside(telegram=TelegramStars(telegram))),
        panel=PanelClient(settings.panel, settings.shop, owner=f"2getpro:{telegram.id}"),
        rules=SalesRules(
            shop_name=settings.shop.name,
            return_url=settings.shop.return_url,
            trial_days=settings.shop.trial_days,
        ),
    )
