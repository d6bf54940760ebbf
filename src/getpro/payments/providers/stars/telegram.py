"""The Bot API's calls about Stars, in the words of a provider."""

from typing import Any

from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramForbiddenError
from aiogram.types import LabeledPrice

from getpro.payments.provider import ProviderRefused, ProviderUnavailable


class TelegramStars:
    """Raises ProviderRefused where Telegram says that the call is wrong, else ProviderUnavailable."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def create_invoice_link(self, invoice: dict[str, Any]) -> str:
        prices = [LabeledPrice(**price) for price in invoice["prices"]]
        try:
            return await self._bot.create_invoice_link(**(invoice | {"prices": prices}))
        except (TelegramBadRequest, TelegramForbiddenError) as error:
            raise ProviderRefused(str(error)) from error
        except AiogramError as error:
            raise ProviderUnavailable(str(error)) from error

    async def refund(self, *, user_id: int, charge_id: str) -> None:
        try:
            await self._bot.refund_star_payment(user_id=user_id, telegram_payment_charge_id=charge_id)
        except (TelegramBadRequest, TelegramForbiddenError) as error:
            if "CHARGE_ALREADY_REFUNDED" not in error.message:
                raise ProviderRefused(error.message) from error
        except AiogramError as error:
            raise ProviderUnavailable(str(error)) from error

    async def star_transactions(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        try:
            page = await self._bot.get_star_transactions(offset=offset, limit=limit)
        except AiogramError as error:
            raise ProviderUnavailable(str(error)) from error
        return [transaction.model_dump(mode="json", exclude_none=True) for transaction in page.transactions]

    async def star_balance(self) -> int:
        try:
            return (await self._bot.get_my_star_balance()).amount
        except AiogramError as error:
            raise ProviderUnavailable(str(error)) from error
