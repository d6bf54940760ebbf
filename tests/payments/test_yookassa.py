"""The shop's own client of YooKassa, against the simulated YooKassa over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID, uuid4

import pytest

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
    Refund,
    StoredNotice,
)
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.payments.providers.yookassa.provider import YooKassa
from getpro.platform.settings import YooKassaSettings
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving

SHOP, KEY = "123456", "test_dummySecret"


def rub(text: str) -> Money:
    return Money.parse(text, "RUB")


def an_order(**changes: Any) -> Order:
    order = Order(
        order_key=uuid4(),
        user_id=101,
        title="VPN",
        description="VPN, 30 дней",
        asked=rub("199.00"),
        email="alice@example.com",
        return_url="https://t.me/shop_bot",
    )
    return replace(order, **changes)


@dataclass
class AtYooKassa:
    """The provider under test and the simulated shop that it speaks to."""

    simulator: YooKassaSimulator
    url: str
    provider: YooKassa

    def with_settings(self, **changes: Any) -> YooKassa:
        given: dict[str, Any] = {"shop_id": SHOP, "secret_key": KEY, "api_url": f"{self.url}/v3"} | changes
        settings = YooKassaSettings(**given)
        return YooKassa(settings, YooKassaClient(settings))

    async def create(self, order: Order) -> str:
        made = await self.provider.create(order.order_key, self.provider.request(order))
        assert made.object_id is not None
        return made.object_id


@pytest.fixture
async def at() -> AsyncIterator[AtYooKassa]:
    simulator = YooKassaSimulator(SHOP, KEY)
    async with serving(simulator.app) as url:
        settings = YooKassaSettings.model_validate(
            {"shop_id": SHOP, "secret_key": KEY, "api_url": f"{url}/v3", "timeout_seconds": 5}
        )
        provider = YooKassa(settings, YooKassaClient(settings))
        yield AtYooKassa(simulator, url, provider)
        await provider.close()


async def test_an_order_becomes_a_page_to_pay_on_and_then_a_charge(at: AtYooKassa) -> None:
    order = an_order()
    made = await at.provider.create(order.order_key, at.provider.request(order))
    assert made.object_id is not None
    assert made.pay_url == f"{at.url}/pay/{made.object_id}"
    asked = await at.provider.find(made.object_id)
    assert (asked.state, asked.order_key, asked.taken) == (
        ChargeState.PENDING,
        order.order_key,
        rub("199.00"),
    )

    before = datetime.now(UTC) - timedelta(milliseconds=1)  # YooKassa counts in milliseconds
    at.simulator.books.pay(made.object_id)
    paid = await at.provider.find(made.object_id)
    assert (paid.provider, paid.charge_id, paid.state) == ("yookassa", made.object_id, ChargeState.PAID)
    assert (paid.taken, paid.refunded) == (rub("199.00"), rub("0.00"))
    assert paid.paid_at is not None
    assert before <= paid.paid_at <= datetime.now(UTC)


async def test_a_declined_payment_is_canceled_with_its_reason(at: AtYooKassa) -> None:
    number = await at.create(an_order())
    at.simulator.books.cancel(number, party="payment_network", reason="insufficient_funds")
    charge = await at.provider.find(number)
    assert (charge.state, charge.reason) == (ChargeState.CANCELED, "insufficient_funds")


async def test_a_part_that_was_taken_is_what_counts(at: AtYooKassa) -> None:
    number = await at.create(an_order())
    at.simulator.books.capture_part(number, "100.00")
    assert (await at.provider.find(number)).taken == rub("100.00")


async def test_the_notice_of_a_refund_leads_to_its_payment(at: AtYooKassa) -> None:
    number = await at.create(an_order())
    at.simulator.books.pay(number)
    amount = {"value": "50.00", "currency": "RUB"}
    refund = at.simulator.books.refund({"payment_id": number, "amount": amount})
    body = b'{"event":"refund.succeeded","object":{"id":"%s","payment_id":"%s"}}' % (
        refund["id"].encode(),
        number.encode(),
    )
    notice = StoredNotice(refund["id"], "refund.succeeded", body, datetime.now(UTC))
    charge = await at.provider.prove(notice)
    assert (charge.charge_id, charge.taken, charge.refunded) == (number, rub("199.00"), rub("50.00"))
    assert not charge.is_of_notice
    for forged in (replace(notice, event="payout.succeeded"), replace(notice, object_id="no-such-refund")):
        with pytest.raises(NoSuchCharge):
            await at.provider.prove(forged)


def a_refund(number: str, amount: str = "50.00") -> Refund:
    return Refund(
        refund_key=uuid4(),
        charge_id=number,
        payer_id=101,
        amount=rub(amount),
        email="alice@example.com",
        receipt_line="Тест: доступ на 30 дн.",
    )


async def refunded(at: AtYooKassa) -> list[str]:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    return [number async for number in at.provider.refunded(now - hour, now + hour)]


async def test_a_part_is_given_back_once_also_after_yookassa_forgot_the_key(at: AtYooKassa) -> None:
    number = await at.create(an_order())
    at.simulator.books.pay(number)
    refund = a_refund(number)
    request = at.provider.refund_request(refund)
    for _ in range(2):
        assert await at.provider.refund(refund.refund_key, request)
        at.simulator.books._keys.clear()
    assert (await at.provider.find(number)).refunded == rub("50.00")
    assert await refunded(at) == [number]
    other = a_refund(number, "149.00")
    assert await at.provider.refund(other.refund_key, at.provider.refund_request(other))
    assert (await at.provider.find(number)).refunded == rub("199.00")
    more = a_refund(number, "0.01")
    with pytest.raises(ProviderRefused):
        await at.provider.refund(more.refund_key, at.provider.refund_request(more))


@pytest.mark.parametrize("payment_id", [None, 7, "../me"])
async def test_a_refund_that_cannot_be_read_hides_no_other(at: AtYooKassa, payment_id: object) -> None:
    numbers = [await at.create(an_order()) for _ in range(3)]
    for number in numbers:
        at.simulator.books.pay(number)
        refund = a_refund(number)
        await at.provider.refund(refund.refund_key, at.provider.refund_request(refund))
    _, odd, _ = at.simulator.books.refunds.values()
    odd["payment_id"] = payment_id
    assert await refunded(at) == [numbers[2], numbers[0]]
    del odd["payment_id"]
    assert await refunded(at) == [numbers[2], numbers[0]]


async def test_the_receipt_of_a_refund_is_for_what_goes_back(at: AtYooKassa) -> None:
    provider = at.with_settings(receipts=True, vat_code=1)
    number = await at.create(an_order())
    at.simulator.books.pay(number)
    refund = a_refund(number)
    request = provider.refund_request(refund)
    (item,) = request["receipt"]["items"]
    assert (item["amount"]["value"], item["description"]) == ("50.00", "Тест: доступ на 30 дн.")
    assert request["receipt"]["customer"] == {"email": "alice@example.com"}
    assert await provider.refund(refund.refund_key, request)
    await provider.close()


async def test_a_refund_that_yookassa_is_at_is_not_made_again_and_one_that_it_drops_is_refused(
    at: AtYooKassa,
) -> None:
    number = await at.create(an_order())
    at.simulator.books.pay(number)
    refund = a_refund(number)
    request = at.provider.refund_request(refund)
    await at.provider.refund(refund.refund_key, request)
    (made,) = at.simulator.books.refunds.values()
    made["status"] = "pending"
    assert not await at.provider.refund(refund.refund_key, request)
    made |= {
        "status": "canceled",
        "cancellation_details": {"party": "yoo_money", "reason": "insufficient_funds"},
    }
    with pytest.raises(ProviderRefused, match="insufficient_funds"):
        await at.provider.refund(refund.refund_key, request)
    assert len(at.simulator.books.refunds) == 1
    assert await at.provider.refund(uuid4(), request)
    assert len(at.simulator.books.refunds) == 2


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(at: AtYooKassa) -> None:
    order = an_order()
    at.simulator.faults.now.lose_answer_rate = 1
    with pytest.raises(ProviderUnavailable):
        await at.create(order)
    at.simulator.faults.now.lose_answer_rate = 0
    number = await at.create(order)
    assert list(at.simulator.books.payments) == [number]
    assert await at.create(order) == number


async def test_the_same_key_with_another_body_is_refused(at: AtYooKassa) -> None:
    order = an_order()
    await at.create(order)
    with pytest.raises(ProviderRefused, match=str(order.order_key)):
        await at.create(replace(order, asked=rub("1.00")))


@pytest.mark.parametrize("status", [202, 401, 403, 408, 429, 500, 502, 503])
async def test_an_answer_that_leaves_open_what_happened_is_asked_for_again(
    at: AtYooKassa, status: int
) -> None:
    number = await at.create(an_order())
    at.simulator.faults.now.error_rate = 1
    at.simulator.faults.now.error_status = status
    with pytest.raises(ProviderUnavailable, match=str(status)):
        await at.create(an_order())
    with pytest.raises(ProviderUnavailable, match=str(status)):
        await at.provider.find(number)
    with pytest.raises(ProviderUnavailable, match=str(status)):
        await anext(aiter(at.provider.charges(datetime.now(UTC), datetime.now(UTC))))


async def test_a_wrong_secret_key_says_nothing_about_a_payment(at: AtYooKassa) -> None:
    number = await at.create(an_order())
    stranger = at.with_settings(secret_key="wrong")
    with pytest.raises(ProviderUnavailable, match="401"):
        await stranger.find(number)
    await stranger.close()


async def test_no_answer_in_time_leaves_open_what_happened(at: AtYooKassa) -> None:
    hasty = at.with_settings(timeout_seconds=0.1)
    at.simulator.faults.now.slow_seconds = 0.4
    with pytest.raises(ProviderUnavailable):
        await hasty.find("1da5c87d-0984-50e8-a7f3-8de646dd9ec9")
    at.simulator.faults.now.slow_seconds = 0
    at.simulator.faults.now.away = True
    with pytest.raises(ProviderUnavailable):
        await hasty.find("1da5c87d-0984-50e8-a7f3-8de646dd9ec9")
    await hasty.close()


@pytest.mark.parametrize(
    "object_id", ["1da5c87d-0984-50e8-a7f3-8de646dd9ec9", "../me", "..", "a/capture", "a?b", "а", ""]
)
async def test_an_object_that_is_not_there_or_no_id_is_no_charge(at: AtYooKassa, object_id: str) -> None:
    with pytest.raises(NoSuchCharge):
        await at.provider.find(object_id)


async def test_a_payment_that_yookassa_refuses_is_refused_in_its_words(at: AtYooKassa) -> None:
    order = an_order()
    body = at.provider.request(order) | {"amount": {"value": "0.00", "currency": "RUB"}}
    with pytest.raises(ProviderRefused, match="400 Value must be a positive amount"):
        await at.provider.create(order.order_key, body)


async def test_charges_of_a_time_are_read_page_by_page(at: AtYooKassa) -> None:
    books = at.simulator.books
    keys = [uuid4() for _ in range(201)]
    orders = [at.provider.request(an_order(order_key=key)) for key in keys]
    numbers = [books.create_payment(order)["id"] for order in orders]
    for number in numbers:
        books.pay(number)
    await at.create(an_order())  # pending
    books.payments[numbers[-1]]["captured_at"] = "2026-01-01T00:00:00.000Z"  # another day

    async def found(since: datetime, until: datetime) -> list[UUID | None]:
        return [charge.order_key async for charge in at.provider.charges(since, until)]

    now = datetime.now(UTC)
    today = await found(now - timedelta(hours=1), now + timedelta(hours=1))
    assert today == keys[:200][::-1]
    new_year = datetime(2026, 1, 1, tzinfo=UTC)
    assert await found(new_year, new_year + timedelta(seconds=1)) == [keys[200]]
    assert await found(new_year - timedelta(days=1), new_year) == []


async def test_a_receipt_carries_the_customers_address_or_the_shops(at: AtYooKassa) -> None:
    asking = at.with_settings(receipts=True, vat_code=7, tax_system_code=2)
    fallback = at.with_settings(receipts=True, receipt_email="shop@example.com")
    assert (at.provider.needs_email, asking.needs_email, fallback.needs_email) == (False, True, False)
    assert "receipt" not in at.provider.request(an_order())
    order = an_order(description="Я" * 200)
    receipt = asking.request(order)["receipt"]
    assert receipt["customer"] == {"email": "alice@example.com"}
    assert receipt["tax_system_code"] == 2
    assert receipt["items"] == [
        {
            "description": "Я" * 128,
            "quantity": 1.0,
            "amount": {"value": "199.00", "currency": "RUB"},
            "vat_code": 7,
            "payment_mode": "full_payment",
            "payment_subject": "service",
            "measure": "piece",
        }
    ]
    made = await asking.create(order.order_key, asking.request(order))
    assert made.object_id is not None
    assert at.simulator.books.payments[made.object_id]["receipt_registration"] == "pending"
    assert fallback.request(order)["receipt"]["customer"] == {"email": "shop@example.com"}
    await asking.close()


async def test_a_receipt_without_an_address_is_refused_by_yookassa(at: AtYooKassa) -> None:
    asking = at.with_settings(receipts=True)
    order = an_order(email=None)
    with pytest.raises(ProviderRefused, match="email or a phone"):
        await asking.create(order.order_key, asking.request(order))
    await asking.close()


NOTICE = b'{"type":"notification","event":"payment.succeeded","object":{"id":"1da5c87d"}}'


@pytest.mark.parametrize(
    "address",
    ["185.71.76.1", "185.71.77.31", "77.75.153.127", "77.75.156.11", "77.75.156.35", "2a02:5180:0:1509::1"],
)
async def test_a_notice_from_yookassas_networks_is_read(at: AtYooKassa, address: str) -> None:
    knock = Knock(NOTICE, {}, ip_address(address))
    assert at.provider.read(knock) == Notice("1da5c87d", "payment.succeeded")


@pytest.mark.parametrize("address", ["185.71.76.32", "77.75.156.12", "127.0.0.1", "2a02:5181::1", None])
async def test_a_notice_from_elsewhere_is_forged(at: AtYooKassa, address: str | None) -> None:
    with pytest.raises(NoticeRefused) as refused:
        at.provider.read(Knock(NOTICE, {}, ip_address(address) if address else None))
    assert (refused.value.reason, refused.value.status) == ("address", 403)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"event":"payment.succeeded"}',
        b'{"event":5,"object":{"id":"1"}}',
        b'{"event":"payment.succeeded","object":{"id":5}}',
        b'{"event":"payment.succeeded","object":{"id":""}}',
        b'{"event":"payment.succeeded","object":{"id":"%s"}}' % (b"1" * 65),
        b'{"event":"payment.succeeded","object":"1"}',
    ],
)
async def test_a_notice_that_cannot_be_read_is_refused(at: AtYooKassa, body: bytes) -> None:
    with pytest.raises(NoticeRefused) as refused:
        at.provider.read(Knock(body, {}, ip_address("185.71.76.1")))
    assert (refused.value.reason, refused.value.status) == ("form", 400)
