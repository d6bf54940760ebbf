"""The shop for one command: built, used by one flow, closed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from getpro.bootstrap import sales_deps
from getpro.cli.database import database
from getpro.cli.processes import read_settings
from getpro.kit.trouble import Trouble
from getpro.panel.errors import PanelError
from getpro.payments.provider import ProviderError
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.telegram import make_bot
from getpro.sales.deps import Deps
from getpro.sales.errors import SaleError

Result = TypeVar("Result")


def with_shop(flow: Callable[[Deps], Awaitable[Result]]) -> Result:
    """Run ``flow`` with the configured shop; expected trouble becomes Trouble."""
    settings = read_settings()

    async def run(url: str) -> Result:
        db, telegram = Database(url, pool_size=2), make_bot(settings.telegram)
        deps = sales_deps(settings, db=db, jobs=Jobs(url), telegram=telegram)
        try:
            return await flow(deps)
        finally:
            await telegram.session.close()
            await deps.panel.close()
            for provider in deps.providers.active:
                await provider.close()
            await db.close()

    with database(migrate=False) as url:
        try:
            return asyncio.run(run(url))
        except SaleError as error:
            raise Trouble(str(error), "Так решить нельзя.", "Список: 2getpro payments stuck") from error
        except (ProviderError, PanelError) as error:
            is_key = isinstance(error, PanelError) and str(error).startswith(("401", "403"))
            remedy = "Проверьте PANEL_TOKEN и его права." if is_key else "Попробуйте ещё раз позже."
            raise Trouble("Снаружи не ответили.", str(error), remedy) from error
