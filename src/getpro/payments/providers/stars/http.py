"""The Bot API's calls about Stars over plain HTTP, read as they come."""

from typing import Any

from getpro.payments.provider import ProviderDenied, ProviderRefused, ProviderUnavailable
from getpro.platform.bot_api import BotApi, BotApiRefused
from getpro.platform.http import ServiceUnavailable


class StarsOverHttp:
    """Raises ProviderRefused where Telegram says that the call is wrong, else ProviderUnavailable."""

    def __init__(self, api: BotApi) -> None:
        self._api = api

    async def create_invoice_link(self, invoice: dict[str, Any]) -> str:
        return str(await self._ask("createInvoiceLink", **invoice))

    async def star_transactions(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        page = await self._ask("getStarTransactions", offset=offset, limit=limit)
        return list(page["transactions"])

    async def refund(self, *, user_id: int, charge_id: str) -> None:
        try:
            await self._ask("refundStarPayment", user_id=user_id, telegram_payment_charge_id=charge_id)
        except ProviderRefused as error:
            if "CHARGE_ALREADY_REFUNDED" not in str(error):
                raise

    async def star_balance(self) -> int:
        return int((await self._ask("getMyStarBalance"))["amount"])

    async def _ask(self, method: str, **parameters: Any) -> Any:
        try:
            return await self._api.ask(method, **parameters)
        except BotApiRefused as error:
            kind = ProviderDenied if error.is_about_token else ProviderRefused
            raise kind(str(error)) from error
        except ServiceUnavailable as error:
            raise ProviderUnavailable(str(error)) from error
