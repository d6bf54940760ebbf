"""Crypto Pay as a payment provider: an invoice in roubles, paid in whatever coin; its notices are signed."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from getpro.kit.money import Money
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
    ProviderUnavailable,
    ProviderUnfit,
    ProviderUnreadable,
    Refund,
    StoredNotice,
)
from getpro.payments.providers.cryptopay.client import CryptoPayClient
from getpro.platform.settings import CryptoPaySettings

log = structlog.get_logger(__name__)

SIGNATURE: Final = "crypto-pay-api-signature"
OPEN_FOR: Final = timedelta(hours=1)
_INVOICE_PAID: Final = "invoice_paid"
_PAGE: Final = 1000
_STATES: Final = {
    "active": ChargeState.PENDING,
    "paid": ChargeState.PAID,
    "expired": ChargeState.CANCELED,
}


class CryptoPay:
    """The price is in roubles; which coin pays it, and at what rate, is between Crypto Pay and the payer."""

    code = "cryptopay"
    title = "Crypto Pay"
    needs_email = False
    is_polled = True
    gives_back = GivesBack.NOTHING

    def __init__(self, settings: CryptoPaySettings, client: CryptoPayClient) -> None:
        self._key = hashlib.sha256(settings.token.get_secret_value().encode()).digest()
        self._assets = settings.assets
        self._client = client

    def price(self, plan: Priced) -> Money:
        return plan.price

    def request(self, order: Order) -> dict[str, Any]:
        body: dict[str, Any] = {
            "currency_type": "fiat",
            "fiat": order.asked.currency,
            "amount": str(order.asked.value),
            "description": order.description[:1024],
            "payload": order.reference,
            "paid_btn_name": "callback",
            "paid_btn_url": order.return_url,
            "expires_in": int(OPEN_FOR.total_seconds()),
        }
        if self._assets:
            body["accepted_assets"] = ",".join(self._assets)
        return body

    async def create(self, order_key: UUID, request: dict[str, Any]) -> Created:  # noqa: ARG002 -- Crypto Pay has no such key: a second invoice, should both be paid, is a purchase of its own
        made = await self._client.create_invoice(request)
        try:
            return Created(object_id=str(made["invoice_id"]), pay_url=made["bot_invoice_url"])
        except KeyError as error:
            raise ProviderUnavailable(f"the invoice came back without its {error}") from error

    def read(self, knock: Knock) -> Notice:
        signed = hmac.new(self._key, knock.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(knock.headers.get(SIGNATURE, "").encode(), signed.encode()):
            raise NoticeRefused("signature", status=403)
        try:
            notice = json.loads(knock.body)
            return Notice(object_id=str(int(notice["payload"]["invoice_id"])), event=notice["update_type"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise NoticeRefused("form") from error

    async def prove(self, notice: StoredNotice) -> Charge:
        """The signature has been checked at the door, and what is paid stays paid."""
        if notice.event != _INVOICE_PAID:
            return await self.find(notice.object_id)
        return replace(_charge(json.loads(notice.body)["payload"]), is_of_notice=True)

    async def find(self, object_id: str) -> Charge:
        for invoice in await self._client.invoices(invoice_ids=object_id):
            if str(invoice.get("invoice_id")) == object_id:
                return _charge(invoice)
        raise NoSuchCharge(object_id)

    async def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        """Invoices come newest first, and none is paid later than it stays open."""
        offset, oldest = 0, since - OPEN_FOR
        while page := await self._client.invoices(status="paid", offset=offset, count=_PAGE):
            for invoice in page:
                try:
                    charge = _charge(invoice)
                except ProviderUnavailable:  # one that is odd must not hide the others
                    log.exception("payment.unreadable", provider=self.code)
                    continue
                if charge.paid_at is not None and since <= charge.paid_at < until:
                    yield charge
            if len(page) < _PAGE or _is_created_before(oldest, page[-1]):
                return
            offset += _PAGE

    def refund_request(self, refund: Refund) -> dict[str, Any]:
        raise NotImplementedError("Crypto Pay has no call that gives a payment back")

    async def refund(self, refund_key: UUID, request: dict[str, Any]) -> bool:
        raise NotImplementedError("Crypto Pay has no call that gives a payment back")

    async def refunded(self, since: datetime, until: datetime) -> AsyncIterator[str]:  # noqa: ARG002 -- it knows of none
        """Nothing: what a person gives back past the provider is in no list of its."""
        nothing: tuple[str, ...] = ()
        for charge_id in nothing:
            yield charge_id

    async def check(self) -> Checked:
        try:
            me = await self._client.me()
        except ProviderDenied as error:
            raise ProviderUnfit(
                f"токен не подходит ({error})",
                "Возьмите его в @CryptoBot: Crypto Pay → Мои приложения; впишите в CRYPTOPAY_TOKEN. "
                "Токену от @CryptoTestnetBot нужна ещё CRYPTOPAY_TESTNET=true.",
            ) from error
        if self._assets:
            known = [coin["code"] for coin in await self._client.currencies() if not coin["is_fiat"]]
            if strange := [code for code in self._assets if code not in known]:
                raise ProviderUnfit(
                    f"Crypto Pay не знает монет: {', '.join(strange)}",
                    f"Впишите в CRYPTOPAY_ASSETS нужные из этих: {', '.join(known)}.",
                )
        return Checked(f"приложение «{me.get('name')}» № {me.get('app_id')}")

    async def close(self) -> None:
        await self._client.close()


def _charge(raw: Any) -> Charge:
    """The charge in an invoice; raises ProviderUnavailable for a shape or currency we cannot read.

    ``amount`` in ``fiat`` is what was asked and taken; ``paid_amount`` is the coin's side of it.
    """
    try:
        currency = raw["fiat"] if raw["currency_type"] == "fiat" else raw["asset"]
        paid_at = raw.get("paid_at")
        return Charge(
            provider=CryptoPay.code,
            charge_id=str(raw["invoice_id"]),
            state=_STATES[raw["status"]],
            order_key=order_key_in(raw.get("payload")),
            taken=Money.parse(raw["amount"], currency),
            refunded=Money(0, currency),
            paid_at=_moment(paid_at) if paid_at else None,
            reason="expired" if raw["status"] == "expired" else "",
            carried=CarriedOrder.parse(raw.get("payload")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        number = raw.get("invoice_id") if isinstance(raw, dict) else None
        raise ProviderUnreadable(f"the invoice {number} cannot be read: {error!r}") from error


def _is_created_before(moment: datetime, raw: Any) -> bool:
    """An odd one does not say: then more is read than need be, and nothing missed."""
    try:
        return _moment(raw["created_at"]) < moment
    except (KeyError, TypeError, ValueError):
        return False


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
