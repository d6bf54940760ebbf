"""The data of a 54-FZ receipt, checked as YooKassa's own receipts want it."""

import re
from decimal import Decimal
from typing import Any

from getpro.sandbox.providers.yookassa.amounts import checked_amount
from getpro.sandbox.providers.yookassa.errors import Problem

MOST_ITEMS = 80
_QUANTITY = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?")
_MODES = {
    "full_prepayment",
    "partial_prepayment",
    "advance",
    "full_payment",
    "partial_payment",
    "credit",
    "credit_payment",
}


def check_receipt(receipt: Any, amount: dict[str, str]) -> None:
    """Raises Problem unless the receipt has a customer and its items add up to ``amount``."""
    customer = receipt.get("customer") if isinstance(receipt, dict) else None
    if not isinstance(customer, dict) or not (customer.get("email") or customer.get("phone")):
        raise Problem("Receipt needs an email or a phone", parameter="receipt.customer")
    email, phone = str(customer.get("email") or "a@b"), str(customer.get("phone") or "0000")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise Problem("This is no email", parameter="receipt.customer.email")
    if not re.fullmatch(r"[0-9]{4,15}", phone):
        raise Problem("Phone must be digits only", parameter="receipt.customer.phone")
    items = receipt.get("items")
    if not isinstance(items, list) or not 0 < len(items) <= MOST_ITEMS:
        raise Problem(f"Receipt needs 1 to {MOST_ITEMS} items", parameter="receipt.items")
    if sum(_price(item, amount["currency"]) for item in items) != Decimal(amount["value"]):
        raise Problem("Receipt does not add up to the amount", parameter="receipt.items.amount")


def _price(item: Any, currency: str) -> Decimal:
    """The price of one position: its unit's times its quantity."""
    if not isinstance(item, dict):
        raise Problem("Receipt item is no object", parameter="receipt.items")

    def must(name: str, *, be: bool, said: str) -> None:
        if not be:
            raise Problem(said, parameter=f"receipt.items.{name}")

    description, vat_code, quantity = item.get("description"), item.get("vat_code"), item.get("quantity")
    described = isinstance(description, str) and 1 <= len(description) <= 128
    must("description", be=described, said="Description must have 1 to 128 characters")
    numbered = type(vat_code) is int and 1 <= vat_code <= 12
    must("vat_code", be=numbered, said="VAT code must be a number from 1 to 12")
    counted = type(quantity) in {int, float, str} and bool(_QUANTITY.fullmatch(str(quantity)))
    must("quantity", be=counted, said="Quantity must be a number with at most three decimals")
    must("measure", be=isinstance(item.get("measure"), str), said="Measure is missing")
    mode = item.get("payment_mode", "full_payment")
    must("payment_mode", be=mode in _MODES, said="Unknown payment mode")
    price = checked_amount(item.get("amount"), parameter="receipt.items.amount")
    must("amount", be=price["currency"] == currency, said="Currency differs from the payment's")
    return Decimal(str(quantity)) * Decimal(price["value"])
