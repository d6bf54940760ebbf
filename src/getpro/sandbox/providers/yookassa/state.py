"""The simulated shop's books: payments, refunds, idempotence keys; what the judges of a test read."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4

from getpro.sandbox.providers.yookassa.errors import Problem

Event = Callable[[str, dict[str, Any]], None]
KEYS_KEPT = timedelta(hours=24)
CURRENCIES = {"RUB", "EUR", "USD", "KZT", "BYN", "UAH", "UZS", "TRY", "INR", "MDL", "AZN", "AMD"}


def now() -> datetime:
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601, UTC, milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Books:
    """Every object as the API shows it; events are handed to ``on_event``."""

    def __init__(self, shop_id: str, *, on_event: Event, page: Callable[[str], str]) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, tuple[datetime, Any, dict[str, Any]]] = {}
        self._shop_id = shop_id
        self._on_event = on_event
        self._page = page

    def once(self, key: str | None, body: Any, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run ``make`` once per idempotence key: the same key and body give the first answer for 24 h."""
        if not key or len(key) > 64:
            raise Problem("Idempotence-Key is missing or too long", parameter="Idempotence-Key")
        kept = self._keys.get(key)
        if kept is not None and now() - kept[0] < KEYS_KEPT:
            if kept[1] != body:
                raise Problem("Idempotence-Key duplicated", parameter="Idempotence-Key")
            return kept[2]
        made = make()
        self._keys[key] = (now(), body, copy.deepcopy(made))
        return made

    def create_payment(self, body: dict[str, Any]) -> dict[str, Any]:
        amount = checked_amount(body.get("amount"))
        confirmation = body.get("confirmation")
        if confirmation is not None and (
            not isinstance(confirmation, dict) or confirmation.get("type") != "redirect"
        ):
            raise Problem("Only redirect is played", parameter="confirmation.type")
        if len(body.get("description") or "") > 128:
            raise Problem("Description is too long", parameter="description")
        _check_metadata(body.get("metadata"))
        if "receipt" in body:
            _check_receipt(body["receipt"], amount)
        number = str(uuid4())
        payment: dict[str, Any] = {
            "id": number,
            "status": "pending",
            "amount": amount,
            "description": body.get("description"),
            "recipient": {"account_id": self._shop_id, "gateway_id": "1"},
            "created_at": iso(now()),
            "test": True,
            "paid": False,
            "refundable": False,
            "metadata": body.get("metadata") or {},
        }
        if confirmation is not None:
            payment["confirmation"] = {
                "type": "redirect",
                "return_url": confirmation.get("return_url", ""),
                "confirmation_url": self._page(number),
            }
        payment["_capture"] = body.get("capture", False)
        self.payments[number] = payment
        return payment

    def pay(self, number: str) -> dict[str, Any]:
        """The customer pays; with two stages the money waits for its capture."""
        payment = self._pending(number)
        payment |= {"paid": True, "payment_method": _card(number)}
        if not payment["_capture"]:
            payment |= {"status": "waiting_for_capture", "expires_at": iso(now() + timedelta(days=7))}
            self._on_event("payment.waiting_for_capture", payment)
            return payment
        return self.capture(number)

    def capture(self, number: str, amount: dict[str, str] | None = None) -> dict[str, Any]:
        """Take the money, or a part of it."""
        payment = self.payment(number)
        if payment["status"] not in {"pending", "waiting_for_capture"} or not payment["paid"]:
            raise Problem("The payment cannot be captured", parameter="status")
        taken = checked_amount(amount) if amount else payment["amount"]
        if Decimal(taken["value"]) > Decimal(payment["amount"]["value"]):
            raise Problem("More than the payment", parameter="amount.value")
        payment |= {
            "status": "succeeded",
            "amount": taken,
            "captured_at": iso(now()),
            "refundable": True,
            "refunded_amount": {"value": "0.00", "currency": taken["currency"]},
        }
        payment.pop("expires_at", None)
        self._on_event("payment.succeeded", payment)
        return payment

    def cancel(self, number: str, *, party: str, reason: str) -> dict[str, Any]:
        payment = self.payment(number)
        if payment["status"] not in {"pending", "waiting_for_capture"}:
            raise Problem("The payment is final", parameter="status")
        payment |= {
            "status": "canceled",
            "paid": False,
            "cancellation_details": {"party": party, "reason": reason},
        }
        self._on_event("payment.canceled", payment)
        return payment

    def refund(self, body: dict[str, Any]) -> dict[str, Any]:
        payment = self.payments.get(str(body.get("payment_id")))
        if payment is None or payment["status"] != "succeeded":
            raise Problem("Payment doesn't exist or cannot be refunded", parameter="payment_id")
        amount = checked_amount(body.get("amount"))
        before = Decimal(payment["refunded_amount"]["value"])
        after = before + Decimal(amount["value"])
        if after > Decimal(payment["amount"]["value"]):
            raise Problem("More than is left of the payment", parameter="amount.value")
        payment["refunded_amount"] = {"value": f"{after:.2f}", "currency": amount["currency"]}
        payment["refundable"] = after < Decimal(payment["amount"]["value"])
        refund = {
            "id": str(uuid4()),
            "payment_id": payment["id"],
            "status": "succeeded",
            "created_at": iso(now()),
            "amount": amount,
        }
        self.refunds[refund["id"]] = refund
        self._on_event("refund.succeeded", refund)
        return refund

    def payment(self, number: str) -> dict[str, Any]:
        if number not in self.payments:
            raise Problem("Payment doesn't exist or access denied", parameter="payment_id", status=404)
        return self.payments[number]

    def _pending(self, number: str) -> dict[str, Any]:
        payment = self.payment(number)
        if payment["status"] != "pending":
            raise Problem("The payment is not pending", parameter="status")
        return payment


def shown(item: dict[str, Any]) -> dict[str, Any]:
    """The object as the API gives it: without what is ours, and without empty fields."""
    return {name: value for name, value in item.items() if not name.startswith("_") and value is not None}


def checked_amount(amount: Any) -> dict[str, str]:
    if not isinstance(amount, dict):
        raise Problem("Amount is missing", parameter="amount")
    value, currency = amount.get("value"), amount.get("currency")
    try:
        number = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0 or number != round(number, 2):
        raise Problem("Value must be a positive amount with two decimals", parameter="amount.value")
    if currency not in CURRENCIES:
        raise Problem("Unknown currency", parameter="amount.currency")
    return {"value": f"{number:.2f}", "currency": currency}


def _check_metadata(metadata: Any) -> None:
    if metadata is None:
        return
    fits = isinstance(metadata, dict) and len(metadata) <= 16
    if not fits or any(
        len(key) > 32 or not isinstance(v, str) or len(v) > 512 for key, v in metadata.items()
    ):
        raise Problem("Metadata does not fit", parameter="metadata")


def _check_receipt(receipt: Any, amount: dict[str, str]) -> None:
    customer = receipt.get("customer") or {}
    if not customer.get("email") and not customer.get("phone"):
        raise Problem("Receipt needs an email or a phone", parameter="receipt.customer")
    total = Decimal(0)
    for item in receipt.get("items", []):
        if not isinstance(item.get("vat_code"), int):
            raise Problem("VAT code must be a number", parameter="receipt.items.vat_code")
        if not 0 < len(item.get("description", "")) <= 128:
            raise Problem("Description does not fit", parameter="receipt.items.description")
        total += Decimal(str(item["quantity"])) * Decimal(checked_amount(item.get("amount"))["value"])
    if total != Decimal(amount["value"]):
        raise Problem("Receipt does not add up to the amount", parameter="receipt.items.amount")


def _card(number: str) -> dict[str, Any]:
    return {
        "type": "bank_card",
        "id": number,
        "saved": False,
        "status": "inactive",
        "title": "Bank card *4444",
        "card": {
            "first6": "555555",
            "last4": "4444",
            "expiry_year": "2030",
            "expiry_month": "12",
            "card_type": "MasterCard",
            "issuer_country": "RU",
        },
    }
