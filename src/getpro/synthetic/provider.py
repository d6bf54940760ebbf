"""A provider inside the process, whose customer always pays and who charges nobody."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from getpro.kit.money import Money
from getpro.payments.provider import (
    Charge,
    ChargeState,
    Checked,
    Created,
    GivesBack,
    Knock,
    NoSuchCharge,
    Notice,
    Order,
    Priced,
    ProviderRefused,
    Refund,
    StoredNotice,
)


class SyntheticProvider:
    """What it says is settled as any provider's word. Only the synthetic shop has it."""

    code = "synthetic"
    title = "Пробная покупка"
    needs_email = False
    is_polled = False
    gives_back = GivesBack.NOTHING

    def __init__(self) -> None:
        self._charges: dict[str, Charge] = {}

    def price(self, plan: Priced) -> Money:
        return plan.price

    def request(self, order: Order) -> dict[str, Any]:
        return {"amount": str(order.asked.value), "currency": order.asked.currency}

    async def create(self, order_key: UUID, request: dict[str, Any]) -> Created:
        object_id = str(order_key)
        asked = Money.parse(request["amount"], request["currency"])
        self._charges[object_id] = Charge(
            provider=self.code,
            charge_id=object_id,
            state=ChargeState.PENDING,
            order_key=order_key,
            taken=asked,
            refunded=Money(0, asked.currency),
        )
        return Created(object_id, f"https://{self.code}.invalid/{object_id}")

    def pay(self, pay_url: str, *, now: datetime) -> Knock:
        """Pay on the page of an order, and return how the provider then knocks at the shop's door."""
        object_id = pay_url.rpartition("/")[2]
        self._charges[object_id] = replace(self._charges[object_id], state=ChargeState.PAID, paid_at=now)
        return Knock(body=object_id.encode(), headers={}, address=None)

    def read(self, knock: Knock) -> Notice:
        return Notice(knock.body.decode(), "paid")

    async def prove(self, notice: StoredNotice) -> Charge:
        return await self.find(notice.object_id)

    async def find(self, object_id: str) -> Charge:
        if object_id not in self._charges:
            raise NoSuchCharge(object_id)
        return self._charges[object_id]

    async def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        for charge in self._charges.values():
            if charge.paid_at is not None and since <= charge.paid_at < until:
                yield charge

    def refund_request(self, refund: Refund) -> dict[str, Any]:
        return {"charge_id": refund.charge_id}

    async def refund(self, refund_key: UUID, request: dict[str, Any]) -> bool:  # noqa: ARG002 -- nothing was taken
        raise ProviderRefused("nothing was taken")

    async def refunded(self, since: datetime, until: datetime) -> AsyncIterator[str]:  # noqa: ARG002 -- as above
        for charge in self._charges.values():
            if charge.refunded.minor:
                yield charge.charge_id

    async def check(self) -> Checked:
        return Checked("внутри магазина")

    async def close(self) -> None:
        """It has no connection."""
