"""One provider is one folder here and one line in the list below."""

from collections.abc import Callable, Iterator
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


@dataclass(frozen=True, slots=True)
class Way:
    """A way to pay. Its code is also the name of its group of settings."""

    kind: type[Provider]
    make: Callable[[Settings, Outside], Provider | None]
    switch: str
    """The setting that switches it on, for who has none."""

    @property
    def code(self) -> str:
        return self.kind.code

    @property
    def title(self) -> str:
        return self.kind.title

    def is_on(self, settings: Settings) -> bool:
        group = getattr(settings, self.code)
        return group is not None and getattr(group, "enabled", True)


LIST: Final = (
    Way(YooKassa, _yookassa, switch="YOOKASSA_SHOP_ID"),
    Way(CryptoPay, _cryptopay, switch="CRYPTOPAY_TOKEN"),
    Way(Stars, _stars, switch="STARS_ENABLED"),
)
"""In the order in which customers are offered them."""


def build(settings: Settings, outside: Outside) -> Providers:
    """The providers that have settings; the others are off."""
    built = (way.make(settings, outside) for way in LIST)
    return Providers(tuple(provider for provider in built if provider is not None))


def hurried(settings: Settings, *, seconds: float) -> Settings:
    """The same, with no more patience for any provider than a check has."""
    return settings.model_copy(update=dict(_hurried(settings, seconds)))


def _hurried(settings: Settings, seconds: float) -> Iterator[tuple[str, object]]:
    for way in LIST:
        group = getattr(settings, way.code)
        if (patience := getattr(group, "timeout_seconds", None)) is not None:
            yield way.code, group.model_copy(update={"timeout_seconds": min(patience, seconds)})
