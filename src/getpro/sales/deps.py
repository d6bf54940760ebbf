"""What selling needs, handed in by bootstrap (real) or by a test (with fakes of the outside)."""

from dataclasses import dataclass

from getpro.kit.clock import Clock
from getpro.panel.service import Panel
from getpro.payments.provider import Provider, Providers
from getpro.platform.cipher import Cipher
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.sales.errors import UnknownProvider


@dataclass(frozen=True, slots=True)
class SalesRules:
    """What the owner decides."""

    shop_name: str
    bot_id: int
    """Whose orders are this shop's."""
    return_url: str
    trial_days: int
    operators: frozenset[int] = frozenset()
    """The Telegram ids of those who may act on customers."""

    def receipt_line(self, days: int) -> str:
        """What a receipt calls the thing sold: in Russian, whatever the customer reads."""
        return f"{self.shop_name}: доступ на {days} дн."


@dataclass(frozen=True, slots=True)
class Deps:
    db: Database
    jobs: Jobs
    clock: Clock
    providers: Providers
    panel: Panel
    rules: SalesRules
    cipher: Cipher
    """Of what the tables keep of customers' secrets."""

    def provider(self, code: str) -> Provider:
        """The provider that is called so; raises UnknownProvider where it is switched off."""
        if (provider := self.providers.by_code.get(code)) is None:
            raise UnknownProvider(f"провайдер {code} выключен")
        return provider
