"""Amounts in the API's form: a string with a dot and a currency."""

import re
from decimal import Decimal
from typing import Any

from getpro.sandbox.providers.yookassa.errors import Problem

CURRENCIES = {"RUB", "EUR", "USD", "KZT", "BYN", "UAH", "UZS", "TRY", "INR", "MDL", "AZN", "AMD"}
_VALUE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")


def checked_amount(amount: Any, *, parameter: str = "amount") -> dict[str, str]:
    """The amount with two decimals; raises Problem for anything but a positive one."""
    if not isinstance(amount, dict):
        raise Problem("Amount is missing", parameter=parameter)
    value, currency = amount.get("value"), amount.get("currency")
    if not isinstance(value, str) or not _VALUE.fullmatch(value) or Decimal(value) <= 0:
        raise Problem("Value must be a positive amount, as a string", parameter=f"{parameter}.value")
    if currency not in CURRENCIES:
        raise Problem("Unknown currency", parameter=f"{parameter}.currency")
    return {"value": f"{Decimal(value):.2f}", "currency": currency}
