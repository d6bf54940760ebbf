"""Fakes of the outside for tests of flows: a provider, a panel, and moments that can be held."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from getpro.kit.money import Money
from getpro.panel.errors import PanelGone, PanelUnavailable
from getpro.panel.service import Allowance, PanelAccount, PanelUser, Usage, UsernameTaken, WantedAccess
from getpro.payments.provider import (
    Charge,
    ChargeState,
    Checked,
    Created,
    GivesBack,
    Knock,
    NoSuchCharge,
    Notice,
    NoticeRefused,
    Order,
    Priced,
    ProviderRefused,
    ProviderUnavailable,
    ProviderUnreadable,
    Refund,
    StoredNotice,
)


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass
class FakeProvider:
    """A provider in roubles whose objects a test makes and pays."""

    code: str = "fakepay"
    title: str = "Проверочная касса"
    needs_email: bool = False
    is_polled: bool = True
    charges_by_id: dict[str, Charge] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    is_away: bool = False
    loses_answers: bool = False
    before_answer: asyncio.Event | None = None
    gives_back: GivesBack = GivesBack.ANY_PART
    refund_keys: list[UUID] = field(default_factory=list)
    refuses: str | None = None
    refused_keys: list[UUID] = field(default_factory=list)
    is_unreadable: bool = False
    is_slow: bool = False
    believes_notices: bool = False
    """As Stars: what a notice of payment says is taken from it, and knows of no refund since."""

    def price(self, plan: Priced) -> Money:
        return plan.price

    def request(self, order: Order) -> dict[str, Any]:
        return {"amount": str(order.asked.value), "key": str(order.order_key), "email": order.email}

    async def create(self, order_key: UUID, request: dict[str, Any]) -> Created:
        if self.is_away:
            raise ProviderUnavailable("away")
        self.asked.append(request)
        object_id = f"obj-{order_key}"
        self.charges_by_id.setdefault(
            object_id, self.charge(object_id, order_key, Money.parse(request["amount"], "RUB"))
        )
        if self.loses_answers:
            raise ProviderUnavailable("the answer was lost")
        if self.before_answer is not None:
            await self.before_answer.wait()
        return Created(object_id, f"https://pay.example/{object_id}")

    def charge(self, object_id: str, order_key: UUID | None, money: Money, **changes: Any) -> Charge:
        made = Charge(
            provider=self.code,
            charge_id=object_id,
            state=ChargeState.PENDING,
            order_key=order_key,
            taken=money,
            refunded=Money(0, money.currency),
        )
        return replace(made, **changes)

    def pay(self, object_id: str, **changes: Any) -> str:
        """The customer pays the object; its id is what a notice would carry."""
        self.charges_by_id[object_id] = replace(
            self.charges_by_id[object_id], **({"state": ChargeState.PAID} | changes)
        )
        return object_id

    def read(self, knock: Knock) -> Notice:
        event, _, object_id = knock.body.decode().partition(" ")
        if event not in {"paid", "refunded"}:
            raise NoticeRefused("form")
        return Notice(object_id, event)

    async def prove(self, notice: StoredNotice) -> Charge:
        found = await self.find(notice.object_id)
        if self.believes_notices and notice.event == "paid":
            return replace(found, refunded=Money(0, found.taken.currency), is_of_notice=True)
        return found

    async def find(self, object_id: str) -> Charge:
        if self.is_away:
            raise ProviderUnavailable("away")
        if self.is_unreadable:
            raise ProviderUnreadable("KeyError('amount')")
        if object_id not in self.charges_by_id:
            raise NoSuchCharge(object_id)
        return self.charges_by_id[object_id]

    async def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        for charge in list(self.charges_by_id.values()):
            if charge.paid_at is not None and since <= charge.paid_at < until:
                yield charge

    def refund_request(self, refund: Refund) -> dict[str, Any]:
        return {"charge_id": refund.charge_id, "amount": str(refund.amount.value)}

    async def refund(self, refund_key: UUID, request: dict[str, Any]) -> bool:
        """As YooKassa: the same key gives back once."""
        if self.is_away:
            raise ProviderUnavailable("away")
        if self.refuses is not None or refund_key in self.refused_keys:
            self.refused_keys.append(refund_key)
            raise ProviderRefused(self.refuses or "the same no under the same key")
        if refund_key not in self.refund_keys:
            self.give_back(request["charge_id"], Money.parse(request["amount"], "RUB"))
            self.refund_keys.append(refund_key)
        if self.loses_answers:
            raise ProviderUnavailable("the answer was lost")
        return not self.is_slow

    async def refunded(self, since: datetime, until: datetime) -> AsyncIterator[str]:
        for charge in list(self.charges_by_id.values()):
            if charge.refunded.minor:
                yield charge.charge_id

    def give_back(self, charge_id: str, money: Money) -> None:
        """Money goes back to the payer, whoever decided so."""
        charge = self.charges_by_id[charge_id]
        if charge.taken < charge.refunded + money:
            raise ProviderRefused("more than is left")
        self.charges_by_id[charge_id] = replace(charge, refunded=charge.refunded + money)

    async def check(self) -> Checked:
        return Checked("на месте")

    async def close(self) -> None:
        pass


class FakePanel:
    """A panel in memory. ``hold`` lets a test keep one call waiting while others pass it."""

    def __init__(self) -> None:
        self.users_by_id: dict[str, PanelUser] = {}
        self.calls: Counter[str] = Counter()
        self.is_away = False
        self.loses_answers = False
        self.held: dict[datetime, asyncio.Event] = {}
        self.trouble: Exception | None = None
        self.used = Usage(traffic_bytes=0, traffic_limit_bytes=0, device_limit=3)
        self.devices_connected = 0

    async def create(self, wanted: WantedAccess, username: str) -> PanelUser:
        self._count("create")
        if any(user.account.username == username for user in self.users_by_id.values()):
            raise UsernameTaken(username)
        number = str(len(self.users_by_id) + 1)
        made = PanelUser(
            account=PanelAccount(number, username, f"short{number}", f"https://panel.example/{number}"),
            telegram_id=wanted.user_id,
            description=f"shop:{wanted.subscription_id}",
            status="ACTIVE",
            expire_at=wanted.end_date,
        )
        self.users_by_id[number] = made
        return self._answered(made)

    async def change(
        self, panel_user_id: str, wanted: WantedAccess, *, sparing: PanelUser | None = None
    ) -> PanelUser:
        self._count("change")
        if (held := self.held.get(wanted.end_date)) is not None:
            await held.wait()
        if panel_user_id not in self.users_by_id:
            raise PanelGone(str(panel_user_id))
        end = wanted.end_date if sparing is None else max(wanted.end_date, sparing.expire_at)
        changed = replace(self.users_by_id[panel_user_id], expire_at=end)
        self.users_by_id[panel_user_id] = changed
        return self._answered(changed)

    async def enable(self, panel_user_id: str) -> None:
        self._count("enable")
        self.users_by_id[panel_user_id] = replace(self.users_by_id[panel_user_id], status="ACTIVE")

    async def disable(self, panel_user_id: str) -> None:
        self._count("disable")
        self.users_by_id[panel_user_id] = replace(self.users_by_id[panel_user_id], status="DISABLED")

    async def allowance(self) -> Allowance:
        return Allowance(frozenset(), traffic_bytes=0, device_limit=None)

    async def by_username(self, username: str) -> PanelUser | None:
        self._count("by_username")
        return next((u for u in self.users_by_id.values() if u.account.username == username), None)

    async def users(self) -> AsyncIterator[PanelUser]:
        self._count("users")
        for user in list(self.users_by_id.values()):
            yield user

    async def usage(self, panel_user_id: str) -> Usage | None:
        self._count("usage")
        return self.used if panel_user_id in self.users_by_id else None

    async def devices(self, panel_user_id: str) -> int:
        self._count("devices")
        return self.devices_connected

    def is_ours(self, user: PanelUser) -> bool:
        return (user.description or "").startswith("shop:")

    def owns(self, user: PanelUser, wanted: WantedAccess) -> bool:
        return user.telegram_id == wanted.user_id and user.description == f"shop:{wanted.subscription_id}"

    async def close(self) -> None:
        pass

    def foreign_user(self, username: str, *, telegram_id: int | None = None) -> PanelUser:
        """Somebody whom the shop did not make."""
        number = str(len(self.users_by_id) + 1)
        self.users_by_id[number] = PanelUser(
            account=PanelAccount(number, username, f"short{number}", f"https://panel.example/{number}"),
            telegram_id=telegram_id,
            description=None,
            status="ACTIVE",
            expire_at=datetime(2030, 1, 1, tzinfo=UTC),
        )
        return self.users_by_id[number]

    def set_expiry(self, panel_user_id: str, expire_at: datetime) -> None:
        """An operator changes the end by hand."""
        self.users_by_id[panel_user_id] = replace(self.users_by_id[panel_user_id], expire_at=expire_at)

    def expiry_of(self, user_id: int) -> datetime | None:
        """The end that the panel shows for a customer of ours."""
        ours = [u for u in self.users_by_id.values() if u.telegram_id == user_id and self.is_ours(u)]
        assert len(ours) <= 1, f"{user_id} has {len(ours)} users on the panel"
        return ours[0].expire_at if ours else None

    def _count(self, call: str) -> None:
        self.calls[call] += 1
        if self.is_away:
            raise PanelUnavailable("away")
        if self.trouble is not None:
            raise self.trouble

    def _answered(self, user: PanelUser) -> PanelUser:
        if self.loses_answers:
            raise PanelUnavailable("the answer was lost")
        return user
