"""Telegram Stars as a payment provider: an invoice link to pay, ``successful_payment`` as the proof.

Source: https://core.telegram.org/bots/payments-stars.
"""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol
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
    ProviderUnfit,
    ProviderUnreadable,
    Refund,
    StoredNotice,
)

log = structlog.get_logger(__name__)

SUCCESSFUL_PAYMENT: Final = "successful_payment"
REFUNDED_PAYMENT: Final = "refunded_payment"
_LONGEST_ID: Final = 1000
"""More than Telegram has ever sent, and as much as an index takes."""
_PAGE: Final = 100
_LAST_SECOND: Final = 2**32
_END: Final = datetime.max.replace(tzinfo=UTC)


class StarsApi(Protocol):
    """The calls to Telegram, raising ProviderUnavailable and ProviderRefused."""

    async def create_invoice_link(self, invoice: dict[str, Any]) -> str:
        """A link that opens the invoice."""

    async def star_transactions(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        """The bot's transactions, oldest first, as the Bot API gives them."""

    async def refund(self, *, user_id: int, charge_id: str) -> None:
        """Give the Stars of a charge back; what was given back before is no error."""

    async def star_balance(self) -> int:
        """How many Stars the bot has."""


class Stars:
    """Whole Stars, taken inside Telegram."""

    code = "stars"
    title = "Звёзды Telegram"
    needs_email = False
    is_polled = False
    gives_back = GivesBack.WHOLE

    def __init__(self, api: StarsApi) -> None:
        self._api = api

    def price(self, plan: Priced) -> Money:
        return plan.stars

    def request(self, order: Order) -> dict[str, Any]:
        return {
            "title": order.title[:32],
            "description": order.description[:255],
            "payload": order.reference,
            "currency": order.asked.currency,
            "prices": [{"label": order.title[:32], "amount": order.asked.minor}],
        }

    async def create(self, order_key: UUID, request: dict[str, Any]) -> Created:  # noqa: ARG002 -- Telegram has no such key: a second link for the same order is harmless
        return Created(object_id=None, pay_url=await self._api.create_invoice_link(request))

    def read(self, knock: Knock) -> Notice:  # noqa: ARG002 -- nobody may knock here
        """Refuse: its notices are Telegram's updates, which come by Telegram's door and its secret."""
        raise NoticeRefused("door", status=404)

    async def prove(self, notice: StoredNotice) -> Charge:
        if notice.event == REFUNDED_PAYMENT:  # the list of transactions says how it stands
            return await self.find(notice.object_id)
        try:
            return _of_message(json.loads(notice.body)["message"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProviderUnreadable(f"the message about {notice.object_id} cannot be read") from error

    async def find(self, object_id: str) -> Charge:
        """Newest first: what is asked about is seldom old, and a refund stands behind its charge."""
        end, is_refunded = await self._offset_of(_END), False
        while end > 0:
            start = max(0, end - _PAGE)
            page = await self._api.star_transactions(offset=start, limit=end - start)
            for transaction in reversed(_readable(page)):
                if _charge_id(transaction["id"]) != object_id:
                    continue
                if "receiver" not in transaction:
                    return _of_transaction(transaction, is_refunded=is_refunded)
                is_refunded = True
            end = start
        raise NoSuchCharge(object_id)

    async def charges(self, since: datetime, until: datetime) -> AsyncIterator[Charge]:
        """Incoming payments of the time named; a refund repeats its charge's id and is added to it."""
        offset, incoming, refunded = await self._offset_of(since), [], set()
        while page := await self._api.star_transactions(offset=offset, limit=_PAGE):
            for transaction in _readable(page):
                if "receiver" in transaction:
                    refunded.add(transaction["id"])
                elif (transaction.get("source") or {}).get("type") == "user":
                    incoming.append(transaction)
            offset += len(page)
        for transaction in incoming:
            try:
                charge = _of_transaction(transaction, is_refunded=transaction["id"] in refunded)
            except ProviderUnreadable:  # one that is odd must not hide the others
                log.exception("payment.unreadable", provider=self.code)
                continue
            if charge.paid_at is not None and since <= charge.paid_at < until:
                yield charge

    def refund_request(self, refund: Refund) -> dict[str, Any]:
        return {"user_id": refund.payer_id, "charge_id": refund.charge_id}

    async def refund(self, refund_key: UUID, request: dict[str, Any]) -> bool:  # noqa: ARG002 -- a charge is given back once, whatever key
        await self._api.refund(**request)
        return True

    async def refunded(self, since: datetime, until: datetime) -> AsyncIterator[str]:
        offset, end = await self._offset_of(since), until.timestamp()
        while page := await self._api.star_transactions(offset=offset, limit=_PAGE):
            for transaction in _readable(page):
                if transaction["date"] >= end:
                    return
                if (transaction.get("receiver") or {}).get("type") == "user":
                    yield _charge_id(transaction["id"])
            offset += len(page)

    async def _offset_of(self, since: datetime) -> int:
        """Where the transactions from ``since`` on begin: the list is chronological and only grows.

        A search by halves: the cost does not grow with the shop's history.
        """
        low, high = 0, 1
        while await self._is_before(high, since):
            low, high = high, high * 2
        while low < high:
            middle = (low + high) // 2
            if await self._is_before(middle, since):
                low = middle + 1
            else:
                high = middle
        return low

    async def _is_before(self, offset: int, moment: datetime) -> bool:
        page = await self._api.star_transactions(offset=offset, limit=1)
        # Where an odd one stands more is read than need be, and nothing missed.
        return any(datetime.fromtimestamp(one["date"], UTC) < moment for one in _readable(page))

    async def check(self) -> Checked:
        try:
            return Checked(f"принимаются, на счету бота {await self._api.star_balance()}")
        except (ProviderDenied, ProviderRefused) as error:
            raise ProviderUnfit(f"Telegram отказал: {error}", "Проверьте TELEGRAM_BOT_TOKEN.") from error

    async def close(self) -> None:
        """Nothing of its own: the bot's connection is the bot's."""


def notice_in(update: Mapping[str, Any]) -> Notice | None:
    """The notice inside an update of Telegram's that brings (or takes back) Stars, else None."""
    message = update.get("message")
    if not isinstance(message, dict):
        return None
    for event in (SUCCESSFUL_PAYMENT, REFUNDED_PAYMENT):
        paid = message.get(event)
        if isinstance(paid, dict) and isinstance(paid.get("telegram_payment_charge_id"), str):
            return Notice(object_id=_charge_id(paid["telegram_payment_charge_id"]), event=event)
    return None


def _charge_id(given: str) -> str:
    """The id as Telegram gives it; what no table can hold (a NUL, half a character) is written escaped."""
    return given.encode("unicode_escape").decode()[:_LONGEST_ID]


def _of_message(message: dict[str, Any]) -> Charge:
    paid = message[SUCCESSFUL_PAYMENT]
    return Charge(
        provider=Stars.code,
        charge_id=_charge_id(paid["telegram_payment_charge_id"]),
        state=ChargeState.PAID,
        order_key=order_key_in(paid.get("invoice_payload")),
        taken=Money(paid["total_amount"], paid["currency"]),
        refunded=Money(0, paid["currency"]),
        paid_at=datetime.fromtimestamp(message["date"], UTC),
        payer_id=message["from"]["id"],
        is_of_notice=True,
        carried=CarriedOrder.parse(paid.get("invoice_payload")),
    )


def _readable(page: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that say which they are, when and between whom; an odd one is logged, and hides no other."""
    found = []
    for raw in page:
        if _is_transaction(raw):
            found.append(raw)
        else:
            log.error("payment.unreadable", provider=Stars.code, shape=shape_of(raw))
    return found


def _is_transaction(raw: Any) -> bool:
    return (
        isinstance(raw, dict)
        and isinstance(raw.get("id"), str)
        and isinstance(raw.get("date"), int)
        and 0 <= raw["date"] < _LAST_SECOND
        and all(isinstance(raw.get(side, {}), dict) for side in ("source", "receiver"))
    )


def _of_transaction(raw: dict[str, Any], *, is_refunded: bool = False) -> Charge:
    """The charge in a transaction; raises ProviderUnreadable."""
    try:
        source = raw["source"]
        return Charge(
            provider=Stars.code,
            charge_id=_charge_id(raw["id"]),
            state=ChargeState.PAID,
            order_key=order_key_in(source.get("invoice_payload")),
            taken=_stars(raw["amount"]),
            refunded=_stars(raw["amount"] if is_refunded else 0),
            paid_at=datetime.fromtimestamp(raw["date"], UTC),
            payer_id=int(source["user"]["id"]),
            carried=CarriedOrder.parse(source.get("invoice_payload")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProviderUnreadable(f"the transaction {raw['id']!r} cannot be read: {error!r}") from error


def _stars(amount: Any) -> Money:
    """Whole Stars; raises TypeError for what is no number of them."""
    if not isinstance(amount, int):
        raise TypeError(f"{amount!r} is no number of Stars")
    return Money(amount, "XTR")
