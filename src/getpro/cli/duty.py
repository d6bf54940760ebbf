"""Incidents and the team for one command: built, used by one flow, closed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from getpro.bootstrap.incidents import incidents_deps
from getpro.bootstrap.sales import close, sales_deps
from getpro.cli.database import database
from getpro.cli.settings import read_settings
from getpro.cli.shop import quietly
from getpro.incidents.deps import Deps
from getpro.incidents.errors import IncidentError
from getpro.kit.trouble import Trouble
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database, Session
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings

Result = TypeVar("Result")


def with_incidents(flow: Callable[[Deps], Awaitable[Result]], *, remedy: str) -> Result:
    """Run ``flow`` with the configured shop's incidents; a refusal becomes Trouble with ``remedy``."""
    settings = read_settings(Settings)

    async def run(url: str) -> Result:
        api = BotApi(settings.telegram)
        sales = sales_deps(
            settings, db=Database(url, pool_size=2), jobs=Jobs(url), telegram=StarsOverHttp(api)
        )
        try:
            return await flow(incidents_deps(settings, sales=sales, api=api))
        finally:
            await api.close()
            await close(sales)

    with database(migrate=False) as url, quietly("Спрашиваем базу…"):
        try:
            return asyncio.run(run(url))
        except IncidentError as error:
            raise Trouble("Не сделано.", f"{str(error)[:1].upper()}{str(error)[1:]}.", remedy) from error


def in_one_step(step: Callable[[Session, Deps], Awaitable[Result]], *, remedy: str) -> Result:
    """The same for what is one transaction."""

    async def flow(deps: Deps) -> Result:
        async with deps.db.begin("incidents: command") as session:
            return await step(session, deps)

    return with_incidents(flow, remedy=remedy)


def day_of(said: str) -> date:
    """``2027-01-01``, ``01.01.2027``; raises Trouble."""
    for form in ("%Y-%m-%d", "%d.%m.%Y"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(said.strip(), form).date()  # noqa: DTZ007 -- a day of the calendar
    raise Trouble("День записан неверно.", f"{said!r} не прочесть.", "Пишите так: 2027-01-01")


def moment_of(said: str, zone: ZoneInfo, *, now: datetime) -> datetime:
    """``2026-12-01 10:00`` or ``10:00`` of today in the operator's zone; raises Trouble."""
    for form in ("%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%H:%M"):
        try:
            found = datetime.strptime(said.strip(), form)  # noqa: DTZ007 -- the zone comes next
        except ValueError:
            continue
        if form == "%H:%M":
            found = datetime.combine(now.astimezone(zone).date(), found.time())
        return found.replace(tzinfo=zone).astimezone(now.tzinfo)
    raise Trouble("Время записано неверно.", f"{said!r} не прочесть.", "Пишите так: '2026-12-01 10:00'")
