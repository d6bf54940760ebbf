"""The shop's own client of Crypto Pay, against the simulated Crypto Pay over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from gateway import sick_gateway
from getpro.kit.money import Money
from getpro.payments.provider import (
    ChargeState,
    Knock,
    NoSuchCharge,
    Notice,
    NoticeRefused,
    Order,
    ProviderRefused,
    ProviderUnavailable,
    StoredNotice,
)
from getpro.payments.providers.cryptopay.client import CryptoPayClient
from getpro.payments.providers.cryptopay.provider import CryptoPay
from getpro.platform.settings import CryptoPaySettings
from getpro.sandbox.providers.cryptopay import CryptoPaySimulator
from getpro.sandbox.serving import serving

TOKEN = "12345:AADUMMYTOKEN"
PRICE = Money.parse("199.00", "RUB")
BODY = (
    b'{"update_id":1,"update_type":"invoice_paid","request_date":"2026-01-01T00:00:00.000Z",'
    b'"payload":{"invoice_id":777,"status":"paid","amount":"5","asset":"USDT","payload":"order-1"}}'
)
SIGNATURE = "7872f39e941d1c93db3bdc7b9d625be3480532611cf87c1de51747f34dae91dc"
"""Made with another implementation of the same rule."""


def an_order(**changes: Any) -> Order:
    order = Order(uuid4(), 101, "VPN", "VPN, 30 дней", PRICE, None, "https://t.me/shop_bot")
    return replace(order, **changes)


@dataclass
class Place:
    simulator: CryptoPaySimulator
    provider: CryptoPay

    async def create(self, order: Order) -> str:
        made = await self.provider.create(order.order_key, self.provider.request(order))
        assert made.object_id is not None
        return made.object_id

    def invoice(self, number: str) -> dict[str, Any]:
        return self.simulator.books.invoices[int(number)]

    def pay(self, number: str, asset: str = "USDT") -> None:
        self.simulator.books.pay(self.invoice(number)["hash"], asset)


def provider_at(url: str, **settings: Any) -> CryptoPay:
    group = CryptoPaySettings(token=SecretStr(TOKEN), api_url=url, timeout_seconds=5, **settings)
    return CryptoPay(group, CryptoPayClient(group))


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    simulator = CryptoPaySimulator(TOKEN)
    async with serving(simulator.app) as url:
        provider = provider_at(url)
        yield Place(simulator, provider)
        await provider.close()


async def test_an_order_becomes_an_invoice_in_roubles_and_then_a_charge(place: Place) -> None:
    order = an_order()
    made = await place.provider.create(order.order_key, place.provider.request(order))
    assert made.object_id == "1"
    assert made.pay_url == place.invoice("1")["bot_invoice_url"]
    asked = await place.provider.find("1")
    assert (asked.state, asked.order_key, asked.taken) == (ChargeState.PENDING, order.order_key, PRICE)
    place.pay("1", "TON")
    paid = await place.provider.find("1")
    assert (paid.provider, paid.charge_id, paid.state) == ("cryptopay", "1", ChargeState.PAID)
    assert (paid.taken, paid.refunded) == (PRICE, Money(0, "RUB"))
    assert paid.paid_at is not None


async def test_an_invoice_that_ran_out_is_canceled(place: Place) -> None:
    number = await place.create(an_order())
    place.invoice(number)["status"] = "expired"
    charge = await place.provider.find(number)
    assert (charge.state, charge.reason) == (ChargeState.CANCELED, "expired")


async def test_only_the_coins_that_the_shop_takes_are_offered(place: Place) -> None:
    assert "accepted_assets" not in place.provider.request(an_order())
    settings = CryptoPaySettings(token=SecretStr(TOKEN), assets=["USDT", "TON"])
    choosy = CryptoPay(settings, CryptoPayClient(settings))
    assert choosy.request(an_order())["accepted_assets"] == "USDT,TON"


async def test_a_notice_is_believed_by_its_signature(place: Place) -> None:
    knock = Knock(BODY, {"crypto-pay-api-signature": SIGNATURE}, None)
    assert place.provider.read(knock) == Notice(object_id="777", event="invoice_paid")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {}),
        (BODY, {"crypto-pay-api-signature": SIGNATURE[:-1] + "0"}),
        (BODY.replace(b'"5"', b'"9"'), {"crypto-pay-api-signature": SIGNATURE}),
        (BODY, {"crypto-pay-api-signature": "ы"}),
    ],
)
async def test_a_notice_with_another_signature_is_forged(
    place: Place, body: bytes, headers: dict[str, str]
) -> None:
    with pytest.raises(NoticeRefused) as refused:
        place.provider.read(Knock(body, headers, None))
    assert (refused.value.reason, refused.value.status) == ("signature", 403)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"update_type":"x"}', b'{"payload":{"invoice_id":"a"}}']
)
async def test_a_signed_notice_that_cannot_be_read_is_refused(place: Place, body: bytes) -> None:
    signed = place.simulator._signed(body)
    with pytest.raises(NoticeRefused) as refused:
        place.provider.read(Knock(body, signed, None))
    assert (refused.value.reason, refused.value.status) == ("form", 400)


async def test_a_stored_notice_proves_its_charge_without_asking(place: Place) -> None:
    order = an_order()
    body = (
        b'{"update_type":"invoice_paid","payload":{"invoice_id":7,"status":"paid","currency_type":"fiat",'
        b'"fiat":"RUB","amount":"199","paid_at":"2026-03-01T12:00:00.000Z","payload":"%s"}}'
    ) % str(order.order_key).encode()
    place.simulator.faults.now.away = True
    charge = await place.provider.prove(StoredNotice("7", "invoice_paid", body, datetime.now(UTC)))
    assert (charge.charge_id, charge.state, charge.taken) == ("7", ChargeState.PAID, PRICE)
    assert charge.is_of_notice
    assert charge.order_key == order.order_key
    assert charge.paid_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("number", ["999", "", "1,2", "../1"])
async def test_an_invoice_that_is_not_there_is_no_charge(place: Place, number: str) -> None:
    await place.create(an_order())
    with pytest.raises(NoSuchCharge):
        await place.provider.find(number)


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502])
async def test_an_answer_that_leaves_open_what_happened_is_asked_for_again(place: Place, status: int) -> None:
    place.simulator.faults.now.error_rate = 1
    place.simulator.faults.now.error_status = status
    with pytest.raises(ProviderUnavailable, match=str(status)):
        await place.create(an_order())
    with pytest.raises(ProviderUnavailable, match=str(status)):
        await place.provider.find("1")


async def test_an_order_that_crypto_pay_refuses_is_refused_in_its_words(place: Place) -> None:
    order = an_order()
    with pytest.raises(ProviderRefused, match="400 AMOUNT_INVALID"):
        await place.provider.create(order.order_key, place.provider.request(order) | {"amount": "0"})


async def test_a_page_of_a_gateway_leaves_open_what_happened() -> None:
    async with sick_gateway() as (url, _):
        provider = provider_at(url)
        with pytest.raises(ProviderUnavailable, match="502"):
            await provider.find("1")
        await provider.close()


async def test_an_invoice_without_its_date_hides_no_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpro.payments.providers.cryptopay.provider._PAGE", 2)
    for _ in range(5):
        place.pay(await place.create(an_order()))
    for number in ("2", "4"):
        place.invoice(number)["created_at"] = None
    now = datetime.now(UTC)
    charges = place.provider.charges(now - timedelta(hours=1), now + timedelta(hours=1))
    assert [charge.charge_id async for charge in charges] == ["5", "4", "3", "2", "1"]


async def test_charges_of_a_time_are_read_page_by_page(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpro.payments.providers.cryptopay.provider._PAGE", 2)
    for _ in range(5):
        place.pay(await place.create(an_order()))
    await place.create(an_order())  # not paid
    place.invoice("1")["paid_at"] = "2026-01-01T00:00:00.000Z"
    place.invoice("1")["created_at"] = "2026-01-01T00:00:00.000Z"

    async def found(since: datetime, until: datetime) -> list[str]:
        return [charge.charge_id async for charge in place.provider.charges(since, until)]

    now = datetime.now(UTC)
    assert await found(now - timedelta(hours=1), now + timedelta(hours=1)) == ["5", "4", "3", "2"]
    new_year = datetime(2026, 1, 1, tzinfo=UTC)
    assert await found(new_year, new_year + timedelta(seconds=1)) == ["1"]
