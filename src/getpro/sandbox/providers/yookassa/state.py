"""The simulated shop's books: payments, refunds, idempotence keys; what the judges of a test read."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from getpro.sandbox.providers.yookassa.amounts import checked_amount
from getpro.sandbox.providers.yookassa.errors import Problem
from getpro.sandbox.providers.yookassa.receipts import check_receipt

Clock = Callable[[], datetime]
Event = Callable[[str, dict[str, Any]], None]
KEYS_KEPT = timedelta(hours=24)
CAPTURE_WITHIN = timedelta(days=7)


def now() -> datetime:
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601, UTC, milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Books:
    """Every object as the API shows it; events are handed to ``on_event``."""

    def __init__(self, shop_id: str, *, on_event: Event, page: Callable[[str], str], clock: Clock) -> None:
        self.now = clock
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, tuple[datetime, Any, dict[str, Any]]] = {}
        self._shop_id = shop_id
        self._on_event = on_event
        self._page = page

    def once(self, key: str | None, request: Any, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run ``make`` once per idempotence key: the same key and request give the first answer for 24 h."""
        if not key or len(key) > 64:
            raise Problem("Idempotence-Key is missing or too long", parameter="Idempotence-Key")
        kept = self._keys.get(key)
        if kept is not None and self.now() - kept[0] < KEYS_KEPT:
            if kept[1] != request:
                raise Problem(f"Idempotence-Key {key} duplicated", parameter="Idempotence-Key")
            return kept[2]
        made = copy.deepcopy(make())
        self._keys[key] = (self.now(), request, made)
        return made

    def create_payment(self, body: dict[str, Any]) -> dict[str, Any]:
        amount = checked_amount(body.get("amount"))
        _check_request(body)
        if "receipt" in body:
            check_receipt(body["receipt"], amount)
        number = str(uuid4())
        payment: dict[str, Any] = {
            "id": number,
            "status": "pending",
            "amount": amount,
            "description": body.get("description"),
            "recipient": {"account_id": self._shop_id, "gateway_id": "1"},
            "created_at": iso(self.now()),
            "test": True,
            "paid": False,
            "refundable": False,
            "metadata": body.get("metadata") or {},
            "_capture": body.get("capture", False),
        }
        if "receipt" in body:
            payment["receipt_registration"] = "pending"
        if "confirmation" in body:
            payment["confirmation"] = {
                "type": "redirect",
                "return_url": body["confirmation"]["return_url"],
                "confirmation_url": self._page(number),
            }
        self.payments[number] = payment
        return payment

    def pay(self, number: str) -> dict[str, Any]:
        """The customer pays; with two stages the money waits for its capture."""
        payment = self.pending(number)
        payment |= {
            "status": "waiting_for_capture",
            "paid": True,
            "payment_method": _card(number),
            "expires_at": iso(self.now() + CAPTURE_WITHIN),
        }
        if payment["_capture"]:
            return self.capture(number)
        self._on_event("payment.waiting_for_capture", payment)
        return payment

    def pay_later(self, number: str, moment: datetime) -> None:
        """Note when the customer is going to pay, for the page."""
        self.pending(number)["_pays_at"] = moment

    def capture(self, number: str, amount: Any = None, receipt: Any = None) -> dict[str, Any]:
        """Take the money that waits, or a part of it: the rest goes back to the customer."""
        payment = self.waiting(number)
        taken = payment["amount"] if amount is None else checked_amount(amount)
        if taken["currency"] != payment["amount"]["currency"]:
            raise Problem("Currency differs from the payment's", parameter="amount.currency")
        if Decimal(taken["value"]) > Decimal(payment["amount"]["value"]):
            raise Problem("More than the payment", parameter="amount.value")
        if receipt is not None:
            check_receipt(receipt, taken)
        payment |= {
            "status": "succeeded",
            "amount": taken,
            "captured_at": iso(self.now()),
            "refundable": True,
            "refunded_amount": {"value": "0.00", "currency": taken["currency"]},
        }
        del payment["expires_at"]
        if "receipt_registration" in payment or receipt is not None:
            payment["receipt_registration"] = "succeeded"
        self._on_event("payment.succeeded", payment)
        return payment

    def capture_part(self, number: str, value: str | None) -> dict[str, Any]:
        """The customer pays and only ``value``, or the half, is taken, however the shop had asked."""
        payment = self.payment(number)
        part = {
            "value": value or f"{Decimal(payment['amount']['value']) / 2:.2f}",
            "currency": payment["amount"]["currency"],
        }
        if payment["status"] == "pending":
            checked_amount(part)
            payment["_capture"] = False
            self.pay(number)
        return self.capture(number, part)

    def cancel(self, number: str, *, party: str, reason: str) -> dict[str, Any]:
        payment = self.payment(number)
        if payment["status"] not in {"pending", "waiting_for_capture"}:
            raise Problem("The payment is final", parameter="status")
        payment |= {
            "status": "canceled",
            "paid": False,
            "cancellation_details": {"party": party, "reason": reason},
        }
        payment.pop("expires_at", None)
        if "receipt_registration" in payment:
            payment["receipt_registration"] = "canceled"
        self._on_event("payment.canceled", payment)
        return payment

    def refund(self, body: dict[str, Any]) -> dict[str, Any]:
        payment = self.payments.get(str(body.get("payment_id")))
        if payment is None or payment["status"] != "succeeded":
            raise Problem("Payment doesn't exist or cannot be refunded", parameter="payment_id")
        amount = checked_amount(body.get("amount"))
        if amount["currency"] != payment["amount"]["currency"]:
            raise Problem("Currency differs from the payment's", parameter="amount.currency")
        _check_texts(body)
        if "receipt" in body:
            check_receipt(body["receipt"], amount)
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
            "created_at": iso(self.now()),
            "amount": amount,
            "description": body.get("description"),
            "metadata": body.get("metadata"),
        }
        self.refunds[refund["id"]] = refund
        self._on_event("refund.succeeded", refund)
        return refund

    def payment(self, number: str) -> dict[str, Any]:
        if number not in self.payments:
            raise Problem("Payment doesn't exist or access denied", parameter="payment_id", status=404)
        return self.payments[number]

    def pending(self, number: str) -> dict[str, Any]:
        """A payment that the customer may still make."""
        payment = self.payment(number)
        if payment["status"] != "pending":
            raise Problem("The payment is not pending", parameter="status")
        return payment

    def waiting(self, number: str) -> dict[str, Any]:
        """A payment that may be captured or canceled by the shop."""
        payment = self.payment(number)
        if payment["status"] != "waiting_for_capture":
            raise Problem("The payment is not waiting for capture", parameter="status")
        return payment

    def expire(self, pending_for: timedelta) -> None:
        """Cancel what was not paid, or not captured, in time."""
        limit, moment = iso(self.now() - pending_for), iso(self.now())
        for payment in list(self.payments.values()):
            if payment["status"] == "pending" and payment["created_at"] < limit:
                self.cancel(payment["id"], party="yoo_money", reason="expired_on_confirmation")
            elif payment["status"] == "waiting_for_capture" and payment["expires_at"] < moment:
                self.cancel(payment["id"], party="yoo_money", reason="expired_on_capture")


def shown(item: dict[str, Any]) -> dict[str, Any]:
    """The object as the API gives it: without what is ours, and without empty fields."""
    return {name: value for name, value in item.items() if not name.startswith("_") and value is not None}


def _check_request(body: dict[str, Any]) -> None:
    """Everything of a create call but its money; raises Problem."""
    if body.get("save_payment_method") or "payment_method_id" in body:
        raise Problem("Recurring payments are not agreed with this shop", status=403)
    if not isinstance(body.get("capture", False), bool):
        raise Problem("Capture must be true or false", parameter="capture")
    _check_texts(body)
    if "confirmation" not in body:
        return
    confirmation = body["confirmation"]
    if not isinstance(confirmation, dict) or confirmation.get("type") != "redirect":
        raise Problem("Only redirect is played", parameter="confirmation.type")
    return_url = confirmation.get("return_url")
    if not isinstance(return_url, str) or not 0 < len(return_url) <= 2048:
        raise Problem("Return URL is missing or too long", parameter="confirmation.return_url")


def _check_texts(body: dict[str, Any]) -> None:
    description, metadata = body.get("description", ""), body.get("metadata", {})
    if not isinstance(description, str) or len(description) > 128:
        raise Problem("Description must be text up to 128 characters", parameter="description")
    if (
        not isinstance(metadata, dict)
        or len(metadata) > 16
        or any(len(key) > 32 or not isinstance(v, str) or len(v) > 512 for key, v in metadata.items())
    ):
        raise Problem("Metadata must be up to 16 texts", parameter="metadata")


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
