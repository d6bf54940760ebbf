"""The whole shop, built and joined."""

from dataclasses import dataclass
from functools import partial

from aiogram import Bot

from getpro.backups.jobs import job_kinds as backup_job_kinds
from getpro.bootstrap.backups import Preparing
from getpro.bootstrap.incidents import incidents_deps
from getpro.bootstrap.operations import operations_deps
from getpro.bootstrap.sales import close, sales_deps
from getpro.bootstrap.synthetic import buy
from getpro.bot.app import ShopBot
from getpro.bot.jobs import job_kinds as bot_job_kinds
from getpro.bot.message_log import MessageLog
from getpro.incidents.jobs import job_kinds as incidents_job_kinds
from getpro.kit.clock import Clock, utc_now
from getpro.operations.deps import Absent, nothing_absent
from getpro.operations.jobs import job_kinds as operations_job_kinds
from getpro.operations.models import BY_SCHEDULE
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings
from getpro.platform.telegram import make_bot
from getpro.sales.deps import Deps
from getpro.sales.jobs import job_kinds as sales_job_kinds
from getpro.synthetic.jobs import job_kinds as synthetic_job_kinds
from getpro.webhooks.deps import Doors


@dataclass(frozen=True)
class Shop:
    """Everything that runs, joined; :meth:`close` gives it all back."""

    settings: Settings
    db: Database
    jobs: Jobs
    sales: Deps
    telegram: Bot
    stars: BotApi
    """Telegram once more, by plain calls: for the books of its Stars and for the operators' chat."""
    bot: ShopBot
    message_log: MessageLog
    doors: Doors
    backups: Preparing

    async def close(self) -> None:
        await self.telegram.session.close()
        await self.stars.close()
        await close(self.sales)
        self.backups.close()


def build(
    settings: Settings,
    *,
    database_url: str,
    clock: Clock = utc_now,
    absent: Absent = nothing_absent,
) -> Shop:
    """Join the real parts; opens no connection yet. ``absent``: what the routines need not look at."""
    db = Database(database_url)
    jobs = Jobs(database_url)
    telegram = make_bot(settings.telegram)
    stars = BotApi(settings.telegram)
    sales = sales_deps(settings, db=db, jobs=jobs, telegram=StarsOverHttp(stars), clock=clock)
    message_log = MessageLog(db)
    incidents = incidents_deps(settings, sales=sales, api=stars)
    bot = ShopBot(bot=telegram, sales=sales, settings=settings, log=message_log, incidents=incidents)
    jobs.register(sales_job_kinds(sales, zone=settings.zone))
    jobs.register(bot_job_kinds(bot))
    backups = Preparing(settings, db=db, database_url=database_url, clock=clock)
    jobs.register(incidents_job_kinds(incidents))
    operations = operations_deps(
        settings,
        db=db,
        jobs=jobs,
        api=stars,
        backups=backups,
        clock=clock,
        incidents=incidents,
        absent=absent,
    )
    jobs.register(operations_job_kinds(operations))
    jobs.register(backup_job_kinds(backups, jobs))
    buying = partial(buy, settings, database_url=database_url, asked_by=BY_SCHEDULE, clock=clock)
    jobs.register(synthetic_job_kinds(buying))
    doors = Doors(
        sales=sales,
        handle_update=bot.handle,
        telegram_secret=settings.telegram.webhook_secret,
        panel_secret=settings.panel.webhook_secret,
        trusted_proxies=settings.trusted_proxies,
        alerts_token=settings.operations.alerts_token,
        incidents=incidents,
    )
    return Shop(settings, db, jobs, sales, telegram, stars, bot, message_log, doors, backups)
