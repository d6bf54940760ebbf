"""The shop for one command: built, used by one flow, closed."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from rich.console import Console

from getpro.bootstrap.sales import close, sales_deps
from getpro.cli.database import database
from getpro.cli.settings import read_settings
from getpro.kit.trouble import Trouble
from getpro.panel.errors import PanelError, PanelUnavailable
from getpro.payments.provider import ProviderError
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings, TelegramSettings
from getpro.sales.deps import Deps
from getpro.sales.errors import SaleError

if TYPE_CHECKING:
    from aiogram import Bot

    from getpro.payments.providers.stars.telegram import TelegramStars

Result = TypeVar("Result")


class _StarsOnDemand:
    """Telegram's calls about Stars; the bot's library takes seconds to load, and few commands ask it."""

    def __init__(self, settings: TelegramSettings) -> None:
        self._settings = settings
        self._bot: Bot | None = None

    async def create_invoice_link(self, invoice: dict[str, Any]) -> str:
        return await self._api().create_invoice_link(invoice)

    async def star_transactions(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        return await self._api().star_transactions(offset=offset, limit=limit)

    async def refund(self, *, user_id: int, charge_id: str) -> None:
        await self._api().refund(user_id=user_id, charge_id=charge_id)

    def _api(self) -> "TelegramStars":
        from getpro.payments.providers.stars.telegram import TelegramStars  # noqa: PLC0415
        from getpro.platform.telegram import make_bot  # noqa: PLC0415

        self._bot = self._bot or make_bot(self._settings)
        return TelegramStars(self._bot)

    async def close(self) -> None:
        if self._bot is not None:
            await self._bot.session.close()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Show on a terminal that something is being done; what the shop would log, the command's answer says."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        if not sys.stderr.isatty():
            yield
            return
        with Console(stderr=True).status("Спрашиваем базу, провайдеров и панель…"):
            yield
    finally:
        structlog.configure(**before)


def with_shop(
    flow: Callable[[Deps], Awaitable[Result]], *, remedy: str = "Список: 2getpro payments stuck"
) -> Result:
    """Run ``flow`` with the configured shop; trouble becomes Trouble, a refusal one with ``remedy``."""
    settings = read_settings(Settings)

    async def run(url: str) -> Result:
        telegram = _StarsOnDemand(settings.telegram)
        deps = sales_deps(settings, db=Database(url, pool_size=2), jobs=Jobs(url), telegram=telegram)
        try:
            return await flow(deps)
        finally:
            await telegram.close()
            await close(deps)

    with database(migrate=False) as url, _quietly():
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
