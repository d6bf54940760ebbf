"""Stars as a provider, against a Telegram that keeps the books: paid, found again, given back."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from gateway import sick_gateway
from getpro.kit.money import Money
from getpro.payments.provider import (
    Charge,
    ChargeState,
    Checked,
    NoSuchCharge,
    Order,
    ProviderRefused,
    ProviderUnavailable,
    ProviderUnreadable,
    Refund,
    StoredNotice,
)
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.payments.providers.stars.provider import Stars
from getpro.platform.bot_api import BotApi
from getpro.platform.settings import TelegramSettings
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from getpro.sandbox.telegram.state import Person

TOKEN = "42:TEST"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PRICE = Money(120, "XTR")


@dataclass
class Place:
    telegram: TelegramSimulator
    stars: Stars
    alice: Person

    def request(self, key: UUID, **changes: Any) -> dict[str, Any]:
        order = Order(key, 101, "VPN, 30 дн.", "доступ", PRICE, None, "https://t.me/shop")
        return self.stars.request(order) | changes

    async def buy(self, key: UUID) -> str:
        """Pay a fresh invoice; return the id of the charge."""
        made = await self.stars.create(key, self.request(key))
        self.telegram.people._take(self.alice, self.telegram.invoice(link=made.pay_url))
        return self.telegram.state.charges[-1].charge_id

    async def charges(self, since: datetime = LONG_AGO) -> list[Charge]:
        until = datetime.now(UTC) + timedelta(days=1)
        return [charge async for charge in self.stars.charges(since, until)]


@contextlib.asynccontextmanager
async def over_http(url: str) -> AsyncIterator[Stars]:
    api = BotApi(TelegramSettings(bot_token=SecretStr(TOKEN), api_url=url))
    yield Stars(StarsOverHttp(api))
    await api.close()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    telegram = TelegramSimulator(TOKEN)
    async with serving(telegram.app) as url, over_http(url) as stars:
        yield Place(telegram, stars, telegram.state.add_person(101, "Алиса"))


async def test_what_was_paid_is_in_the_list_of_transactions(place: Place) -> None:
    key = uuid4()
    charge_id = await place.buy(key)
    (charge,) = await place.charges()
    assert (charge.charge_id, charge.order_key, charge.payer_id) == (charge_id, key, 101)
    assert (charge.state, charge.taken, charge.refunded.minor) == (ChargeState.PAID, PRICE, 0)
    assert await place.stars.find(charge_id) == charge
    with pytest.raises(NoSuchCharge):
        await place.stars.find("stx-of-another-bot")


async def test_the_message_about_a_payment_says_the_same_as_the_list(place: Place) -> None:
    charge_id = await place.buy(uuid4())
    message = place.alice.messages[max(place.alice.messages)]
    body = json.dumps({"update_id": 1, "message": message}).encode()
    told = StoredNotice(charge_id, "successful_payment", body, datetime.now(UTC))
    proved, found = await place.stars.prove(told), await place.stars.find(charge_id)
    assert proved == found
    assert (proved.is_of_notice, found.is_of_notice) == (True, False)


async def test_stars_given_back_are_known_from_the_list_and_from_the_message(place: Place) -> None:
    charge_id = await place.buy(uuid4())
    await place.buy(uuid4())
    place.telegram.methods.call(
        "refundStarPayment", {"user_id": 101, "telegram_payment_charge_id": charge_id}
    )
    message = {"refunded_payment": {"telegram_payment_charge_id": charge_id}}
    body = json.dumps({"update_id": 2, "message": message}).encode()
    proved = await place.stars.prove(StoredNotice(charge_id, "refunded_payment", body, datetime.now(UTC)))
    assert (proved.charge_id, proved.refunded, proved.is_of_notice) == (charge_id, PRICE, False)
    assert [charge.refunded.minor for charge in await place.charges()] == [120, 0]


async def test_stars_are_given_back_once_and_found_among_what_was(place: Place) -> None:
    charge_id = await place.buy(uuid4())
    await place.buy(uuid4())
    refund = Refund(uuid4(), charge_id, 101, PRICE, None, "Тест")
    for _ in range(2):
        assert await place.stars.refund(refund.refund_key, place.stars.refund_request(refund))
    assert [charge.refunded.minor for charge in await place.charges()] == [120, 0]
    now = datetime.now(UTC)
    day = timedelta(days=1)
    assert [found async for found in place.stars.refunded(now - day, now + day)] == [charge_id]
    assert [found async for found in place.stars.refunded(now - day, now - day)] == []
    assert [found async for found in place.stars.refunded(now + day, now + 2 * day)] == []
    foreign = Refund(uuid4(), "stx-of-another-bot", 101, PRICE, None, "Тест")
    with pytest.raises(ProviderRefused, match="CHARGE_NOT_FOUND"):
        await place.stars.refund(foreign.refund_key, place.stars.refund_request(foreign))


ODD: dict[str, dict[str, Any]] = {
    "no number": {"id": None},
    "a date in words": {"date": "yesterday"},
    "a payer without a user": {"source": {"type": "user"}},
    "a payer that is a word": {"source": "user"},
    "a payer of a kind that is new": {"source": {"type": "galaxy", "name": "M31"}},
    "an amount in words": {"amount": "many"},
    "a time that no clock shows": {"date": 10**18},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
async def test_a_transaction_that_cannot_be_read_hides_no_other(changes: dict[str, Any]) -> None:
    telegram = TelegramSimulator(TOKEN)
    async with serving(telegram.app) as url, over_http(url) as stars:
        place = Place(telegram, stars, telegram.state.add_person(101, "Алиса"))
        odd, alike, last = [await place.buy(uuid4()) for _ in range(3)]
        telegram.methods.call("refundStarPayment", {"user_id": 101, "telegram_payment_charge_id": last})
        telegram.state.transactions[0] |= changes
        assert [charge.charge_id for charge in await place.charges()] == [alike, last]
        now = datetime.now(UTC)
        day = timedelta(days=1)
        assert [found async for found in stars.refunded(now - day, now + day)] == [last]
        assert (await stars.find(alike)).taken == PRICE
        with pytest.raises((ProviderUnreadable, NoSuchCharge)):
            await stars.find(odd)


@pytest.mark.parametrize("count", [0, 1, 2, 99, 100, 101, 230])
async def test_only_the_time_asked_for_is_read_from_a_long_history(place: Place, count: int) -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    await place.buy(uuid4())
    (pattern,) = place.telegram.state.transactions
    place.telegram.state.transactions[:] = [
        pattern | {"id": f"stx{number}", "date": int((first + timedelta(hours=number)).timestamp())}
        for number in range(count)
    ]
    since = first + timedelta(hours=count // 2)
    found = await place.charges(since)
    assert [charge.charge_id for charge in found] == [f"stx{n}" for n in range(count // 2, count)]
    calls = [call for call in place.telegram.state.calls if call["method"] == "getStarTransactions"]
    assert len(calls) <= 20


async def test_an_invoice_that_telegram_will_not_have_is_refused(place: Place) -> None:
    with pytest.raises(ProviderRefused):
        await place.stars.create(uuid4(), place.request(uuid4(), title=""))


async def test_a_telegram_in_trouble_leaves_open_what_happened(place: Place) -> None:
    place.telegram.faults.now.error_rate = 1
    with pytest.raises(ProviderUnavailable):
        await place.stars.create(uuid4(), place.request(uuid4()))
    with pytest.raises(ProviderUnavailable):
        await place.charges()


async def test_a_page_of_a_gateway_leaves_open_what_happened() -> None:
    async with sick_gateway() as (url, _), over_http(url) as stars:
        order = Order(uuid4(), 101, "VPN", "доступ", PRICE, None, "https://t.me/shop")
        with pytest.raises(ProviderUnavailable):
            await stars.create(order.order_key, stars.request(order))
        with pytest.raises(ProviderUnavailable):
            await stars.find("stx1")


async def test_a_check_tells_the_balance_or_what_is_wrong(place: Place) -> None:
    await place.buy(uuid4())
    assert await place.stars.check() == Checked("принимаются, на счету бота 120")
    place.telegram.faults.now.error_rate = 1
    with pytest.raises(ProviderUnavailable):
        await place.stars.check()
