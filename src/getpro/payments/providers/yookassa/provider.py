"""YooKassa as a payment provider. Its notices are unsigned: the object fetched by id is the only proof."""

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from getpro.kit.money import Money
from getpro.kit.shapes import shape_of
from getpro.payments.carried import CarriedOrder, order_key_in
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
    ProviderDenied,
    ProviderRefused,
    ProviderUnavailable,
    ProviderUnfit,
    ProviderUnreadable,
    Refund,
    StoredNotice,
)
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.platform.settings import YooKassaSettings

log = structlog.get_logger(__name__)

METADATA_KEY: Final = "order_key"
ORDER: Final = "order"
"""Under this name the metadata hold the whole order."""
REFUND_KEY: Final = "refund_key"
_EVENT: Final = re.compile(r"[a-z_.]{1,64}")
_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
"""It becomes part of an address that we ask: nothing that leaves the path may pass."""
_STATES: Final = {"succeeded": ChargeState.PAID, "canceled": ChargeState.CANCELED}


class YooKassa:
    """Roubles by card, SBP and whatever the shop has agreed with YooKassa."""

    code = "yookassa"
    title = "ЮKassa"
    is_polled = True
    gives_back = GivesBack.ANY_PART

    def __init__(self, settings: YooKassaSettings, client: YooKassaClient) -> None:
        self._settings = settings
        self._client = client
        self.needs_email = settings.receipts and settings.receipt_email is None

    def price(self, plan: Priced) -> Money:
        return plan.price

    def request(self, order: Order) -> dict[str, Any]:
        body: dict[str, Any] = {
            "amount": _amount(order.asked),
            "capture": True,
            "description": order.description[:128],
            "confirmation": {"type": "redirect", "return_url": order.return_url},
            "metadata": {METADATA_KEY: str(order.order_key), ORDER: order.reference},
        }
        if self._settings.receipts:
            body["receipt"] = self._receipt(order.receipt_line or order.description, order.asked, order.email)
        return body

    async def create(self, order_key: UUID, request: dict[str, Any]) -> Created:
        made = await self._client.create_payment(request, idempotence_key=str(order_key))
        try:
            return Created(object_id=made["id"], pay_url=made["confirmation"]["confirmation_url"])
        except (KeyError, TypeError) as error:
            raise ProviderRefused("the payment came back without a page to pay on") from error

    def read(self, knock: Knock) -> Notice:
        networks = self._settings.networks
        if knock.address is None or not any(knock.address in network for network in networks):
            raise NoticeRefused("address", status=403)
        try:
            parsed = json.loads(knock.body)
            event, object_id = parsed["event"], parsed["object"]["id"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise NoticeRefused("form") from error
        if not (_is(event, _EVENT) and _is(object_id, _ID)):
            raise NoticeRefused("form")
        return Notice(object_id=object_id, event=event)

    async def prove(self, notice: StoredNotice) -> Charge:
        if notice.event.startswith("payment."):
            return await self.find(notice.object_id)
        if notice.event.startswith("refund."):
            refund = await self._client.refund(notice.object_id)
            if refund.get("status") == "succeeded":
                return await self.find(str(refund.get("payment_id")))
        raise NoSuchCharge(f"{notice.event} is about no payment that we could look at")

    async def find(self, object_id: str) -> Charge:
        if not _is(object_id, _ID):
            raise NoSuchCharge(object_id)
        return _charge(await self._client.payment(object_id))

    async def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        async for raw in self._client.succeeded_payments(since, until):
            try:
                charge = _charge(raw)
            except ProviderUnavailable:  # one that is odd must not hide the others
                log.exception("payment.unreadable", provider=self.code)
                continue
            yield charge

    def refund_request(self, refund: Refund) -> dict[str, Any]:
        body: dict[str, Any] = {
            "payment_id": refund.charge_id,
            "amount": _amount(refund.amount),
        }
        if self._settings.receipts:
            body["receipt"] = self._receipt(refund.receipt_line, refund.amount, refund.email)
        return body

    async def refund(self, refund_key: UUID, request: dict[str, Any]) -> bool:
        """The list is asked first: YooKassa forgets the key after a day, and we ask for longer than that."""
        made: dict[str, Any] | None = None
        async for raw in self._client.refunds(payment_id=request["payment_id"]):
            if (raw.get("metadata") or {}).get(REFUND_KEY) == str(refund_key):
                made = raw
        if made is None:
            body = request | {"metadata": {REFUND_KEY: str(refund_key)}}
            made = await self._client.create_refund(body, idempotence_key=str(refund_key))
        if made.get("status") == "canceled":
            raise ProviderRefused((made.get("cancellation_details") or {}).get("reason", "canceled"))
        return made.get("status") == "succeeded"

    async def refunded(self, since: datetime, until: datetime) -> AsyncIterator[str]:
        filters = {"created_at.gte": since.isoformat(), "created_at.lt": until.isoformat()}
        raw: Any
        async for raw in self._client.refunds(**filters, status="succeeded"):
            number = raw.get("payment_id") if isinstance(raw, dict) else None
            if _is(number, _ID):
                yield str(number)
            else:  # one that is odd must not hide the others
                log.error("refund.unreadable", provider=self.code, shape=shape_of(raw))

    async def check(self) -> Checked:
        try:
            me = await self._client.me()
        except ProviderDenied as error:
            raise ProviderUnfit(
                f"магазин и ключ не подходят друг к другу ({error})",
                "Возьмите оба в кабинете ЮKassa, Интеграция → Ключи API; впишите в YOOKASSA_SHOP_ID и "
                "YOOKASSA_SECRET_KEY.",
            ) from error
        if me.get("status") != "enabled":
            raise ProviderUnfit(
                f"магазин {self._settings.shop_id} выключен", "Включите его в кабинете или напишите в ЮKassa."
            )
        kind = "тестовый магазин" if me.get("test") else "магазин"
        seen = f"{kind} {self._settings.shop_id}, чеки {'' if self._settings.receipts else 'не '}передаются"
        if (me.get("fiscalization") or {}).get("enabled") and not self._settings.receipts:
            return Checked(
                f"{seen}, а в кабинете включены: без чека платёж могут отклонить",
                "Задайте YOOKASSA_RECEIPTS=true и YOOKASSA_VAT_CODE или выключите чеки в кабинете.",
            )
        return Checked(seen)

    async def close(self) -> None:
        await self._client.close()

    def _receipt(self, line: str, amount: Money, email: str | None) -> dict[str, Any]:
        receipt: dict[str, Any] = {
            "customer": {"email": self._settings.receipt_email or email},
            "items": [
                {
                    "description": line[:128],
                    "quantity": 1.0,
                    "amount": _amount(amount),
                    "vat_code": self._settings.vat_code,
                    "payment_mode": "full_payment",
                    "payment_subject": "service",
                    "measure": "piece",
                }
            ],
            "internet": True,
        }
        if self._settings.tax_system_code is not None:
            receipt["tax_system_code"] = self._settings.tax_system_code
        return receipt


def _charge(raw: Any) -> Charge:
    """The charge in YooKassa's object; raises ProviderUnavailable for a shape or currency we cannot read."""
    try:
        captured = raw.get("captured_at")
        metadata = raw["metadata"] if isinstance(raw.get("metadata"), dict) else {}
        return Charge(
            provider=YooKassa.code,
            charge_id=raw["id"],
            state=_STATES.get(raw["status"], ChargeState.PENDING),
            order_key=order_key_in(metadata.get(METADATA_KEY)),
            taken=_money(raw["amount"]),
            refunded=_money(raw.get("refunded_amount") or {**raw["amount"], "value": "0.00"}),
            paid_at=datetime.fromisoformat(captured) if captured else None,
            reason=(raw.get("cancellation_details") or {}).get("reason", ""),
            carried=CarriedOrder.parse(metadata.get(ORDER)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        number = raw.get("id") if isinstance(raw, dict) else None
        raise ProviderUnreadable(f"the payment {number} cannot be read: {error!r}") from error


def _money(raw: dict[str, str]) -> Money:
    return Money.parse(raw["value"], raw["currency"])


def _amount(money: Money) -> dict[str, str]:
    return {"value": str(money.value), "currency": money.currency}


def _is(value: Any, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None
