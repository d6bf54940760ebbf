"""The shop for one command: built, used by one flow, closed."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import structlog
from rich.console import Console

from getpro.bootstrap.sales import close, sales_deps
from getpro.cli.database import database
from getpro.cli.settings import read_settings
from getpro.kit.trouble import Trouble
from getpro.panel.errors import PanelError, PanelUnavailable
from getpro.payments.provider import ProviderError
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings
from getpro.sales.deps import Deps
from getpro.sales.errors import SaleError

Result = TypeVar("Result")


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """What the shop would log in the block, the command's answer says."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextlib.contextmanager
def quietly(doing: str) -> Iterator[Callable[[str], object]]:
    """Show on a terminal what is being done, and log nothing; what is handed out changes the words."""
    with unlogged():
        if not sys.stderr.isatty():
            yield lambda _: None
            return
        with Console(stderr=True).status(doing) as status:
            yield status.update


def with_shop(
    flow: Callable[[Deps], Awaitable[Result]], *, remedy: str = "Список: 2getpro payments stuck"
) -> Result:
    """Run ``flow`` with the configured shop; trouble becomes Trouble, a refusal one with ``remedy``."""
    settings = read_settings(Settings)

    async def run(url: str) -> Result:
        api = BotApi(settings.telegram)
        deps = sales_deps(
            settings, db=Database(url, pool_size=2), jobs=Jobs(url), telegram=StarsOverHttp(api)
        )
        try:
            return await flow(deps)
        finally:
            await api.close()
            await close(deps)

    with database(migrate=False) as url, quietly("Спрашиваем базу, провайдеров и панель…"):
        try:
            return asyncio.run(run(url))
        except SaleError as error:
            raise Trouble("Не сделано.", str(error), remedy) from error
        except PanelUnavailable as error:
            raise Trouble("Панель не ответила.", str(error), "Проверьте PANEL_URL и саму панель.") from error
        except PanelError as error:
            is_key = str(error).startswith(("401", "403"))
            what = "Проверьте PANEL_TOKEN и его права." if is_key else "Исправьте причину и повторите."
            raise Trouble("Панель отказала.", str(error), what) from error
        except ProviderError as error:
            raise Trouble("Провайдер не ответил.", str(error), "Попробуйте ещё раз позже.") from error
