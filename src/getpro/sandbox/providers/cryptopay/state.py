"""The simulated app's books: invoices, transfers, checks; what the judges of a test read."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from getpro.sandbox.providers.cryptopay.currencies import ASSETS, FIATS, SWAPS, plain, rate
from getpro.sandbox.providers.cryptopay.errors import Problem

Clock = Callable[[], datetime]
Parameters = dict[str, Any]
Item = dict[str, Any]
LONGEST_SECONDS = 2_678_400
_BUTTONS = frozenset({"viewItem", "openChannel", "openBot", "callback"})
_FEE = Decimal("0.03")


def now() -> datetime:
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601, UTC, milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Books:
    """Every object as the API shows it; a paid invoice is handed to ``on_paid``."""

    def __init__(self, *, on_paid: Callable[[Item], None], page: Callable[[str], str], clock: Clock) -> None:
        self.now = clock
        self.invoices: dict[int, Item] = {}
        self.transfers: dict[str, Item] = {}
        self.checks: dict[int, Item] = {}
        self.balance: dict[str, Decimal] = dict.fromkeys(ASSETS, Decimal(0))
        self._on_paid = on_paid
        self._page = page

    def create_invoice(self, given: Parameters) -> Item:
        currency = _currency(given)
        amount = _amount(given)
        _check_texts(given)
        number, code = len(self.invoices) + 1, secrets.token_urlsafe(9)
        page = self._page(code)
        invoice: Item = {
            "invoice_id": number,
            "hash": code,
            **currency,
            "amount": plain(amount),
            "bot_invoice_url": page,
            "pay_url": page,
            "mini_app_invoice_url": page,
            "web_app_invoice_url": page,
            "status": "active",
            "created_at": iso(self.now()),
            "allow_comments": _flag(given, "allow_comments"),
            "allow_anonymous": _flag(given, "allow_anonymous"),
        }
        for name in ("description", "hidden_message", "payload", "paid_btn_name", "paid_btn_url", "swap_to"):
            if name in given:
                invoice[name] = given[name]
        if "expires_in" in given:
            seconds = _number(given["expires_in"], "EXPIRES_IN_INVALID", low=1, high=LONGEST_SECONDS)
            invoice["expiration_date"] = iso(self.now() + timedelta(seconds=seconds))
        self.invoices[number] = invoice
        return invoice

    def pay(self, code: str, asset: str = "USDT", *, anonymously: bool = False) -> Item:
        """The customer pays in ``asset``."""
        invoice = self.by_hash(code)
        self.expire()
        if invoice["status"] != "active":
            raise Problem("INVOICE_NOT_ACTIVE")
        if asset not in _accepted(invoice):
            raise Problem("ASSET_INVALID")
        amount = in_coins(invoice, asset)
        if invoice["currency_type"] == "fiat":
            worth = rate(asset, invoice["fiat"])
            invoice |= {"paid_asset": asset, "paid_amount": plain(amount), "paid_fiat_rate": plain(worth)}
        fee = _rounded(amount * _FEE, asset)
        self.balance[asset] += amount - fee
        invoice |= {
            "status": "paid",
            "paid_at": iso(self.now()),
            "paid_anonymously": anonymously,
            "paid_usd_rate": ASSETS[asset][1],
            "fee_asset": asset,
            "fee_amount": plain(fee),
        }
        self._on_paid(invoice)
        return invoice

    def delete_invoice(self, given: Parameters) -> bool:
        invoice = self.invoices.get(_number(given.get("invoice_id"), "INVOICE_ID_REQUIRED", low=1))
        if invoice is None or invoice["status"] == "paid":
            raise Problem("INVOICE_NOT_FOUND")
        del self.invoices[invoice["invoice_id"]]
        return True

    def list_invoices(self, given: Parameters) -> dict[str, Any]:
        """Newest first."""
        self.expire()
        found = [item for item in reversed(self.invoices.values()) if _fits(item, given)]
        return _page_of(found, given)

    def transfer(self, given: Parameters) -> Item:
        """Send to a user; the same ``spend_id`` sends once."""
        spend_id = given.get("spend_id")
        if not isinstance(spend_id, str) or not 0 < len(spend_id) <= 64:
            raise Problem("SPEND_ID_REQUIRED")
        if spend_id in self.transfers:
            raise Problem("SPEND_ID_ALREADY_USED")
        asset, amount = _asset(given), _amount(given)
        user_id = _number(given.get("user_id"), "USER_ID_REQUIRED", low=1)
        if self.balance[asset] < amount:
            raise Problem("NOT_ENOUGH_COINS")
        self.balance[asset] -= amount
        self.transfers[spend_id] = item = {
            "transfer_id": len(self.transfers) + 1,
            "spend_id": spend_id,
            "user_id": user_id,
            "asset": asset,
            "amount": plain(amount),
            "status": "completed",
            "completed_at": iso(self.now()),
        }
        if "comment" in given:
            item["comment"] = str(given["comment"])[:1024]
        return item

    def list_transfers(self, given: Parameters) -> dict[str, Any]:
        found = [item for item in reversed(self.transfers.values()) if _fits(item, given)]
        return _page_of(found, given)

    def create_check(self, given: Parameters) -> Item:
        asset, amount = _asset(given), _amount(given)
        if self.balance[asset] < amount:
            raise Problem("NOT_ENOUGH_COINS")
        self.balance[asset] -= amount
        number, code = len(self.checks) + 1, secrets.token_urlsafe(9)
        self.checks[number] = {
            "check_id": number,
            "hash": code,
            "asset": asset,
            "amount": plain(amount),
            "bot_check_url": self._page(code),
            "status": "active",
            "created_at": iso(self.now()),
        }
        return self.checks[number]

    def delete_check(self, given: Parameters) -> bool:
        check = self.checks.pop(_number(given.get("check_id"), "CHECK_ID_REQUIRED", low=1), None)
        if check is None:
            raise Problem("CHECK_NOT_FOUND")
        self.balance[check["asset"]] += Decimal(check["amount"])
        return True

    def list_checks(self, given: Parameters) -> dict[str, Any]:
        found = [item for item in reversed(self.checks.values()) if _fits(item, given)]
        return _page_of(found, given)

    def by_hash(self, code: str) -> Item:
        for invoice in self.invoices.values():
            if invoice["hash"] == code:
                return invoice
        raise Problem("INVOICE_NOT_FOUND", status=404)

    def expire(self) -> None:
        """Close what was not paid in time; Crypto Pay tells nobody."""
        moment = iso(self.now())
        for invoice in self.invoices.values():
            if invoice["status"] == "active" and invoice.get("expiration_date", "9") <= moment:
                invoice["status"] = "expired"


def in_coins(invoice: Item, asset: str) -> Decimal:
    """What the invoice costs in ``asset``."""
    amount = Decimal(invoice["amount"])
    return (
        amount
        if invoice["currency_type"] == "crypto"
        else _rounded(amount / rate(asset, invoice["fiat"]), asset)
    )


def coins(invoice: Item) -> list[dict[str, str]]:
    """What the invoice may be paid with, and how much of it."""
    return [{"asset": asset, "amount": plain(in_coins(invoice, asset))} for asset in _accepted(invoice)]


def _rounded(amount: Decimal, asset: str) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-ASSETS[asset][2]))


def _currency(given: Parameters) -> Item:
    kind = given.get("currency_type", "crypto")
    if kind == "crypto":
        return {"currency_type": "crypto", "asset": _asset(given)}
    if kind != "fiat":
        raise Problem("CURRENCY_TYPE_INVALID")
    if "fiat" not in given:
        raise Problem("FIAT_REQUIRED")
    if given["fiat"] not in FIATS:
        raise Problem("FIAT_INVALID")
    accepted = given.get("accepted_assets") or list(ASSETS)
    assets = accepted.split(",") if isinstance(accepted, str) else accepted
    if not set(assets) <= set(ASSETS):
        raise Problem("ACCEPTED_ASSETS_INVALID")
    return {"currency_type": "fiat", "fiat": given["fiat"], "accepted_assets": list(assets)}


def _asset(given: Parameters) -> str:
    asset = given.get("asset")
    if asset is None:
        raise Problem("ASSET_REQUIRED")
    if asset not in ASSETS:
        raise Problem("ASSET_INVALID")
    return str(asset)


def _amount(given: Parameters) -> Decimal:
    if "amount" not in given:
        raise Problem("AMOUNT_REQUIRED")
    try:
        amount = Decimal(str(given["amount"]))
    except InvalidOperation:
        raise Problem("AMOUNT_INVALID") from None
    if not amount.is_finite() or amount <= 0:
        raise Problem("AMOUNT_INVALID")
    return amount


def _check_texts(given: Parameters) -> None:
    for name, longest in (("description", 1024), ("hidden_message", 2048), ("payload", 4096)):
        if len(str(given.get(name, "")).encode()) > longest:
            raise Problem(f"{name.upper()}_TOO_LONG")
    if given.get("paid_btn_name", "viewItem") not in _BUTTONS:
        raise Problem("PAID_BTN_NAME_INVALID")
    if "paid_btn_name" in given and not str(given.get("paid_btn_url", "")).startswith(
        ("https://", "http://")
    ):
        raise Problem("PAID_BTN_URL_REQUIRED")
    if given.get("swap_to", "USDT") not in SWAPS:
        raise Problem("SWAP_TO_INVALID")


def _accepted(invoice: Item) -> list[str]:
    return [invoice["asset"]] if invoice["currency_type"] == "crypto" else list(invoice["accepted_assets"])


def _flag(given: Parameters, name: str) -> bool:
    return str(given.get(name, True)).lower() not in {"false", "0"}


def _number(value: Any, name: str, *, low: int, high: int | None = None) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise Problem(name) from None
    if number < low or (high is not None and number > high):
        raise Problem(name)
    return number


def _fits(item: Item, given: Parameters) -> bool:
    numbers = given.get("invoice_ids") or given.get("transfer_ids") or given.get("check_ids")
    if numbers:
        wanted = {part.strip() for part in str(numbers).strip("[]").split(",")}
        if str(item.get("invoice_id") or item.get("transfer_id") or item.get("check_id")) not in wanted:
            return False
    if "spend_id" in given and item.get("spend_id") != given["spend_id"]:
        return False
    return all(item.get(name) == given[name] for name in ("asset", "fiat", "status") if name in given)


def _page_of(items: list[Item], given: Parameters) -> dict[str, Any]:
    offset = _number(given.get("offset", 0), "OFFSET_INVALID", low=0)
    count = _number(given.get("count", 100), "COUNT_INVALID", low=1, high=1000)
    return {"items": items[offset : offset + count]}
