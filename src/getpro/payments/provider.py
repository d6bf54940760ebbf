"""What the shop needs of a payment provider, whoever it is.

A provider is a folder in ``payments/providers`` and one line in its list. It turns the outside's words
into :class:`Charge` and :class:`Notice`; what they mean for a customer is decided in ``sales``.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol
from uuid import UUID

from getpro.kit.money import Money
from getpro.payments.carried import CarriedOrder


class Priced(Protocol):
    """A thing for sale with its prices; the catalog's plan is one."""

    @property
    def price(self) -> Money: ...
    @property
    def stars(self) -> Money: ...


class ProviderError(Exception):
    """Something went wrong at the provider's.

    ├── ProviderUnavailable   unknown what happened: ask again, with the same key and body
    │   └── ProviderUnreadable    it answered, and we cannot read it
    │   └── ProviderDenied    it does not take our credentials: an operator mends them, then ask again
    ├── ProviderRefused       it said no: repeating is useless
    ├── NoSuchCharge          it does not know the object
    ├── ProviderUnfit         it cannot be paid through as things are set; only told by a check
    └── NoticeRefused         what knocked at our door is no notice of this provider
    """


class ProviderUnavailable(ProviderError):
    """No answer, or one that leaves open what happened."""


class ProviderUnreadable(ProviderUnavailable):
    """It answered in a shape that this program does not know: asked again, but a person must look."""


class ProviderDenied(ProviderUnavailable):
    """The provider does not take our credentials, which says nothing about the payment."""


class ProviderUnfit(ProviderError):
    """What a check has seen to be wrong, and what to do about it: both for the operator, in Russian."""

    def __init__(self, seen: str, remedy: str) -> None:
        super().__init__(seen)
        self.seen = seen
        self.remedy = remedy


class ProviderRefused(ProviderError):
    """The provider understood and refused; the text is its own."""


class NoSuchCharge(ProviderError):
    """The provider does not know the object: the notice was forged, or meant for another shop."""


class NoticeRefused(ProviderError):
    """The notice did not prove where it comes from, or cannot be read; ``reason`` is a short code."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class ChargeState(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Charge:
    """What a provider says about one object of its: the only thing that money is decided on."""

    provider: str
    charge_id: str
    state: ChargeState
    order_key: UUID | None
    """Our id, if the object carries one that can be read."""
    taken: Money
    """What was taken from the customer, before refunds; of a pending one, what is asked."""
    refunded: Money
    paid_at: datetime | None = None
    payer_id: int | None = None
    """The Telegram id of who paid, where the provider knows."""
    reason: str = ""
    """Why it was canceled."""
    is_of_notice: bool = field(default=False, compare=False)
    """Read out of the notice itself: it knows nothing of what has become of the charge since."""
    carried: CarriedOrder | None = field(default=None, compare=False)
    """The order itself, where the object carries it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants to pay for; enough to build the create call's body."""

    order_key: UUID
    user_id: int
    title: str
    """For the payer and the receipt: up to 32 characters, Stars' limit."""
    description: str
    asked: Money
    email: str | None
    return_url: str
    """Where the payment page leads back to."""
    receipt_line: str | None = None
    """What the receipt calls it, in Russian whatever the customer reads; None: as the description."""
    carried: CarriedOrder | None = None
    """All of it, for an order that can be written again from what the provider holds."""

    @property
    def reference(self) -> str:
        """What the object at the provider's is to carry for us."""
        return str(self.order_key) if self.carried is None else str(self.carried)


@dataclass(frozen=True, slots=True)
class Created:
    """The provider's answer to the create call."""

    object_id: str | None
    pay_url: str


class GivesBack(StrEnum):
    """What a provider's own call can give back."""

    ANY_PART = "any part"
    WHOLE = "whole"
    NOTHING = "nothing"
    """It has no such call: a person gives back, and tells the shop."""


@dataclass(frozen=True, slots=True)
class Refund:
    """Money to give back; enough to build the call's body."""

    refund_key: UUID
    charge_id: str
    payer_id: int
    """The Telegram id of who paid."""
    amount: Money
    email: str | None
    receipt_line: str


@dataclass(frozen=True, slots=True)
class Notice:
    """The local reading of a notice: what it is about, not whether it is true.

    Both together name one happening: a second notice of the same is not looked at once the first is handled.
    Up to 64 characters each.
    """

    object_id: str
    event: str


@dataclass(frozen=True, slots=True)
class Knock:
    """A request at a provider's door."""

    body: bytes
    headers: Mapping[str, str]
    """By name, in lower case."""
    address: IPv4Address | IPv6Address | None
    """Where it came from, seen through the trusted proxies."""


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """A notice as it was kept."""

    object_id: str
    event: str
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a provider has seen, for the operator, in Russian."""

    seen: str
    advice: str = ""
    """What to do about something that is doubtful."""


class Provider(Protocol):
    """One way to pay."""

    code: str
    """In tables, callback data and addresses: ``yookassa``, ``stars``."""
    title: str
    """What operators call it."""
    needs_email: bool
    """A receipt must be sent and the shop has no address for it."""
    is_polled: bool
    """Whether :meth:`find` can be asked about a pending object."""
    gives_back: GivesBack

    def price(self, plan: Priced) -> Money:
        """What this provider is to take for ``plan``."""

    def request(self, order: Order) -> dict[str, Any]:
        """The body of the create call; it is stored before the call and repeated word for word."""

    async def create(self, order_key: UUID, request: dict[str, Any]) -> Created:
        """Ask for the payment; the same key and body may be sent again for 23 hours.

        Raises ProviderUnavailable, ProviderRefused.
        """

    def read(self, knock: Knock) -> Notice:
        """Check what is local (address, signature, form) and say what it is about; raises NoticeRefused."""

    async def prove(self, notice: StoredNotice) -> Charge:
        """The truth behind a notice; raises ProviderUnavailable, NoSuchCharge."""

    async def find(self, object_id: str) -> Charge:
        """The present state of an object; raises ProviderUnavailable, NoSuchCharge."""

    def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        """Everything that was taken in the time named; raises ProviderUnavailable."""

    def refund_request(self, refund: Refund) -> dict[str, Any]:
        """The body of the call that gives back; it is stored before the call and repeated word for word."""

    async def refund(self, refund_key: UUID, request: dict[str, Any]) -> bool:
        """Give back, once however often it is called with this key; False while the provider is still at it.

        Raises ProviderUnavailable, ProviderRefused. Never called where ``gives_back`` is NOTHING.
        """

    def refunded(self, since: datetime, until: datetime) -> AsyncIterator[str]:
        """The charges of which something was given back in the time named; raises ProviderUnavailable."""

    async def check(self) -> Checked:
        """Try the credentials by a call that changes nothing.

        Raises ProviderUnfit, ProviderUnavailable.
        """

    async def close(self) -> None:
        """Give connections back."""


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers that are switched on, in the order in which they are offered."""

    active: tuple[Provider, ...]
    by_code: Mapping[str, Provider] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_code", {provider.code: provider for provider in self.active})
