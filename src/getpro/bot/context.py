"""What handlers need beside their turn."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from aiogram import Bot

from getpro.bot.texts import Texts, texts_of
from getpro.customers.store import Customer
from getpro.incidents.deps import Deps as IncidentsDeps
from getpro.platform.settings import ShopSettings
from getpro.sales.deps import Deps


@dataclass(frozen=True, slots=True)
class Context:
    bot: Bot
    sales: Deps
    shop: ShopSettings
    zone: ZoneInfo
    incidents: IncidentsDeps | None = None
    """Where complaints go; None where nobody is called."""

    def texts(self, customer: Customer, *, language: str | None = None) -> Texts:
        """The words in the language that the customer has chosen, times as their clock shows them."""
        zone = ZoneInfo(customer.zone) if customer.zone else self.zone
        return texts_of(language or customer.language, zone, now=self.now)

    def texts_in(self, language: str) -> Texts:
        return texts_of(language, self.zone, now=self.now)

    @property
    def now(self) -> datetime:
        return self.sales.clock()

    @property
    def has_other_ways(self) -> bool:
        """Whether there is a choice between ways to pay."""
        return len(self.sales.providers.active) > 1

    @property
    def terms_url(self) -> str | None:
        return self.shop.terms_url
