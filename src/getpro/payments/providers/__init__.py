"""One provider is one folder here and one line in the list below."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from getpro.payments.provider import Provider, Providers
from getpro.payments.providers.cryptopay.client import CryptoPayClient
from getpro.payments.providers.cryptopay.provider import CryptoPay
from getpro.payments.providers.stars.provider import Stars, StarsApi
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.payments.providers.yookassa.provider import YooKassa
from getpro.platform.settings import Settings


@dataclass(frozen=True, slots=True)
class Outside:
    """Clients that exist already and that a provider may use."""

    telegram: StarsApi | None
    """None: there is no bot to ask, as in a check of settings that name none."""


def _yookassa(settings: Settings, _: Outside) -> Provider | None:
    group = settings.yookassa
    return None if group is None else YooKassa(group, YooKassaClient(group))


def _cryptopay(settings: Settings, _: Outside) -> Provider | None:
    group = settings.cryptopay
    return None if group is None else CryptoPay(group, CryptoPayClient(group))


def _stars(settings: Settings, outside: Outside) -> Provider | None:
    return Stars(outside.telegram) if settings.stars.enabled and outside.telegram is not None else None


LIST: Final[tuple[Callable[[Settings, Outside], Provider | None], ...]] = (
    _yookassa,
    _cryptopay,
    _stars,
)
"""In the order in which customers are offered them."""


def build(settings: Settings, outside: Outside) -> Providers:
    """The providers that have settings; the others are off."""
    built = (make(settings, outside) for make in LIST)
    return Providers(tuple(provider for provider in built if provider is not None))
