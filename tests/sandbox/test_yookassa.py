"""The simulated YooKassa, judged by the official package: it makes the calls and reads the answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yookassa import Configuration, Payment, Refund, Settings
from yookassa.domain.exceptions import (
    BadRequestError,
    ForbiddenError,
    InternalServerError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
)
from yookassa.domain.notification import WebhookNotificationFactory

from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving
from waiting import until

SHOP, KEY = "123456", "test_dummySecret"
AMOUNT = {"value": "199.00", "currency": "RUB"}
ORDER: dict[str, Any] = {
    "amount": AMOUNT,
    "capture": True,
    "description": "VPN, 30 days",
    "confirmation": {"type": "redirect", "return_url": "https://shop.example/back"},
    "metadata": {"order_key": "1"},
}
RECEIPT: dict[str, Any] = {
    "customer": {"email": "alice@example.com"},
    "items": [
        {
            "description": "VPN, 30 days",
            "quantity": 1.0,
            "amount": AMOUNT,
            "vat_code": 1,
            "payment_mode": "full_payment",
            "payment_subject": "service",
            "measure": "piece",
        }
    ],
    "internet": True,
}


@dataclass
class Shop:
    """The simulator, the official package that speaks to it, and raw HTTP for what that would not send."""

    simulator: YooKassaSimulator
    http: aiohttp.ClientSession
    url: str

    async def sdk(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """A call of the official package, which is synchronous."""
        return await asyncio.to_thread(call, *arguments)

    async def post(self, path: str, body: Any, key: str | None = "key", **headers: str) -> tuple[int, Any]:
        """A POST as the API wants it; its status and its body."""
        named = headers | ({"Idempotence-Key": key} if key is not None else {})
        auth = aiohttp.encode_basic_auth(SHOP, KEY)
        sending = self.http.post(self.url + path, json=body, headers={"Authorization": auth} | named)
        async with sending as response:
            return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, Any]:
        auth = aiohttp.encode_basic_auth(SHOP, KEY)
        async with self.http.get(self.url + path, headers={"Authorization": auth}) as response:
            return response.status, await response.json()

    async def click(self, payment_id: str, button: str) -> str:
        """Press a button of the payment page; return the page that comes after."""
        async with self.http.post(f"{self.url}/pay/{payment_id}/{button}") as response:
            return await response.text()

    async def control(self, path: str, **body: Any) -> Any:
        async with self.http.post(f"{self.url}/_sandbox/{path}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()


@dataclass
class Door:
    """The shop's address for notices: keeps what came and answers as the test says."""

    answer: Callable[[], int] = lambda: 200
    seen: list[dict[str, Any]] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.moments.append(asyncio.get_running_loop().time())
        self.headers.append(request.headers)
        self.seen.append(await request.json())
        return web.Response(status=self.answer(), headers={"Location": self.url})

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(notice["event"], notice["object"]["status"]) for notice in self.seen]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    here = Door()
    app = web.Application()
    app.router.add_post("/webhook", here.take)
    async with serving(app) as url:
        here.url = f"{url}/webhook"
        yield here


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Shop]:
    simulator = YooKassaSimulator(SHOP, KEY, **({"retry_scale": 0.01} | settings))
    async with serving(simulator.app) as url, aiohttp.ClientSession() as http:
        Configuration.configure(SHOP, KEY, api_url=f"{url}/v3", timeout=10, max_attempts=1)
        yield Shop(simulator, http, url)


@pytest.fixture
async def shop(door: Door) -> AsyncIterator[Shop]:
    async with running(webhook_url=door.url) as here:
        yield here


async def test_the_official_package_makes_pays_and_refunds_a_payment(shop: Shop, door: Door) -> None:
    made = await shop.sdk(Payment.create, ORDER, "order-1")
    assert (made.status, made.paid, made.test, made.refundable) == ("pending", False, True, False)
    assert (made.amount.value, made.amount.currency) == (199, "RUB")
    assert made.recipient.account_id == SHOP
    assert made.metadata["order_key"] == "1"
    assert made.confirmation.confirmation_url == f"{shop.url}/pay/{made.id}"
    assert made.created_at.endswith("Z")

    await shop.click(made.id, "pay")
    paid = await shop.sdk(Payment.find_one, made.id)
    assert (paid.status, paid.paid, paid.refundable) == ("succeeded", True, True)
    assert paid.payment_method.card.last4 == "4444"
    assert not paid.payment_method.saved
    assert paid.captured_at >= paid.created_at

    part = {"value": "50.00", "currency": "RUB"}
    refund = await shop.sdk(
        Refund.create, {"payment_id": made.id, "amount": part, "description": "A part"}, "refund-1"
    )
    assert (refund.status, refund.amount.value, refund.payment_id) == ("succeeded", 50, made.id)
    assert (await shop.sdk(Refund.find_one, refund.id)).description == "A part"
    rest = {"value": "149.00", "currency": "RUB"}
    await shop.sdk(Refund.create, {"payment_id": made.id, "amount": rest}, "refund-2")
    refunds = await shop.sdk(Refund.list, {"payment_id": made.id})
    assert [item.amount.value for item in refunds.items] == [149, 50]
    refunded = await shop.sdk(Payment.find_one, made.id)
    assert (refunded.status, refunded.refunded_amount.value, refunded.refundable) == ("succeeded", 199, False)
    kopek = {"value": "0.01", "currency": "RUB"}
    with pytest.raises(BadRequestError):
        await shop.sdk(Refund.create, {"payment_id": made.id, "amount": kopek}, "refund-3")

    await until(lambda: len(door.seen) == 3)
    parsed = [WebhookNotificationFactory().create(notice) for notice in door.seen]
    kinds = sorted(f"{notice.event} {notice.object.amount.value}" for notice in parsed)
    assert kinds == ["payment.succeeded 199.00", "refund.succeeded 149.00", "refund.succeeded 50.00"]


async def test_the_official_package_captures_a_part_or_cancels_what_waits(shop: Shop, door: Door) -> None:
    two_stages = ORDER | {"capture": False}
    first = await shop.sdk(Payment.create, two_stages)
    second = await shop.sdk(Payment.create, two_stages)
    for payment in (first, second):
        assert "Деньги ждут списания" in await shop.click(payment.id, "pay")
    waiting = await shop.sdk(Payment.find_one, first.id)
    assert (waiting.status, waiting.paid) == ("waiting_for_capture", True)
    assert waiting.expires_at > waiting.created_at
    part = {"amount": {"value": "100.00", "currency": "RUB"}}
    captured = await shop.sdk(Payment.capture, first.id, part, "capture-1")
    assert (captured.status, captured.amount.value) == ("succeeded", 100)
    again = await shop.sdk(Payment.capture, first.id, part, "capture-1")
    assert dict(again) == dict(captured)
    with pytest.raises(BadRequestError):
        await shop.sdk(Payment.capture, first.id, part, "capture-2")

    canceled = await shop.sdk(Payment.cancel, second.id, "cancel-1")
    assert (canceled.status, canceled.paid) == ("canceled", False)
    assert canceled.cancellation_details.reason == "canceled_by_merchant"
    assert (await shop.sdk(Payment.cancel, second.id, "cancel-1")).status == "canceled"
    with pytest.raises(BadRequestError, match="cancel-1"):
        await shop.sdk(Payment.cancel, first.id, "cancel-1")
    with pytest.raises(BadRequestError):
        await shop.sdk(Payment.cancel, first.id)
    await until(lambda: len(door.seen) == 4)
    assert sorted(door.events) == [
        ("payment.canceled", "canceled"),
        ("payment.succeeded", "succeeded"),
        ("payment.waiting_for_capture", "waiting_for_capture"),
        ("payment.waiting_for_capture", "waiting_for_capture"),
    ]


async def test_the_list_is_paged_newest_first_and_a_new_payment_moves_no_page(shop: Shop) -> None:
    made = [(await shop.sdk(Payment.create, ORDER)).id for _ in range(5)]
    first = await shop.sdk(Payment.list, {"limit": 2})
    assert [item.id for item in first.items] == [made[4], made[3]]
    await shop.sdk(Payment.create, ORDER)
    second = await shop.sdk(Payment.list, {"limit": 2, "cursor": first.next_cursor})
    assert [item.id for item in second.items] == [made[2], made[1]]
    last = await shop.sdk(Payment.list, {"limit": 2, "cursor": second.next_cursor})
    assert ([item.id for item in last.items], last.next_cursor) == ([made[0]], None)


async def test_the_list_is_filtered_by_status_and_by_moments(shop: Shop) -> None:
    paid, _ = [(await shop.sdk(Payment.create, ORDER)).id for _ in range(2)]
    await shop.click(paid, "pay")
    moment = (await shop.sdk(Payment.find_one, paid)).captured_at
    for filters, found in (
        ({"status": "succeeded"}, [paid]),
        ({"captured_at.gte": moment}, [paid]),
        ({"captured_at.gt": moment}, []),
        ({"captured_at.lt": moment}, []),
        ({"created_at.lte": moment, "status": "canceled"}, []),
    ):
        listed = await shop.sdk(Payment.list, filters)
        assert [item.id for item in listed.items] == found, filters


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("cursor=nowhere", "cursor"),
        ("created_at.gte=yesterday", "created_at.gte"),
        ("created_at.about=2026-01-01T00:00:00Z", "created_at.about"),
    ],
)
async def test_a_list_that_cannot_be_given_is_refused(shop: Shop, query: str, parameter: str) -> None:
    await shop.sdk(Payment.create, ORDER)
    status, said = await shop.get(f"/v3/payments?{query}")
    assert (status, said["code"], said["parameter"]) == (400, "invalid_request", parameter)


async def test_the_official_package_reads_the_shops_settings(shop: Shop) -> None:
    me = await shop.sdk(Settings.get_account_settings)
    assert (me.account_id, me.status, me.test) == (SHOP, "enabled", True)
    assert me.fiscalization.enabled
    assert "bank_card" in me.payment_methods


async def test_one_key_and_body_make_one_payment_whatever_has_become_of_it(shop: Shop) -> None:
    first = await shop.sdk(Payment.create, ORDER, "one")
    await shop.click(first.id, "pay")
    again = await shop.sdk(Payment.create, ORDER, "one")
    assert dict(again) == dict(first)
    assert len(shop.simulator.books.payments) == 1
    other = await shop.sdk(Payment.create, ORDER, "two")
    assert other.id != first.id


async def test_one_key_with_another_body_or_call_is_refused_and_named(shop: Shop) -> None:
    await shop.post("/v3/payments", ORDER, key="the-key")
    status, said = await shop.post("/v3/payments", ORDER | {"description": "Other"}, key="the-key")
    assert (status, said["type"], said["code"]) == (400, "error", "invalid_request")
    assert said["parameter"] == "Idempotence-Key"
    assert "the-key" in said["description"]
    with pytest.raises(BadRequestError) as refused:
        await shop.sdk(Refund.create, {"payment_id": "1" * 36, "amount": AMOUNT}, "the-key")
    assert refused.value.content["parameter"] == "Idempotence-Key"
    assert len(shop.simulator.books.payments) == 1


async def test_a_key_is_forgotten_after_a_day(shop: Shop) -> None:
    first = await shop.sdk(Payment.create, ORDER, "one")
    moment, request, made = shop.simulator.books._keys["one"]
    shop.simulator.books._keys["one"] = (moment - timedelta(hours=24), request, made)
    assert (await shop.sdk(Payment.create, ORDER, "one")).id != first.id


@pytest.mark.parametrize("key", [None, "", "k" * 65])
async def test_a_post_without_a_key_is_refused(shop: Shop, key: str | None) -> None:
    status, said = await shop.post("/v3/payments", ORDER, key=key)
    assert (status, said["code"], said["parameter"]) == (400, "invalid_request", "Idempotence-Key")


async def test_a_wrong_key_of_the_shop_is_refused(shop: Shop) -> None:
    Configuration.configure(SHOP, "wrong", api_url=f"{shop.url}/v3")
    with pytest.raises(UnauthorizedError) as refused:
        await shop.sdk(Settings.get_account_settings)
    assert refused.value.content["code"] == "invalid_credentials"


async def test_what_is_not_there_is_not_found(shop: Shop) -> None:
    for call, number in ((Payment.find_one, "1da5c87d"), (Refund.find_one, "2"), (Payment.cancel, "3")):
        with pytest.raises(NotFoundError) as refused:
            await shop.sdk(call, number)
        assert refused.value.content["code"] == "not_found"
    assert (await shop.get("/v3/nothing"))[0] == 404


async def test_a_wrong_method_or_kind_of_body_is_refused_without_a_code(shop: Shop) -> None:
    status, said = await shop.post("/v3/me", {})
    assert (status, "code" in said) == (405, False)
    status, said = await shop.post("/v3/payments", ORDER, **{"Content-Type": "text/plain"})
    assert (status, "code" in said) == (415, False)


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"amount": None}, "amount"),
        ({"amount": "199.00"}, "amount"),
        *(
            ({"amount": {"value": value, "currency": "RUB"}}, "amount.value")
            for value in (199, 199.0, "199.001", "0.00", "-1.00", "1e2", "1 000.00", "199,00", "", "NaN", "١")
        ),
        ({"amount": {"value": "1.00", "currency": "XTR"}}, "amount.currency"),
        ({"capture": "yes"}, "capture"),
        ({"description": "x" * 129}, "description"),
        ({"description": 5}, "description"),
        ({"metadata": {"order": 5}}, "metadata"),
        ({"metadata": {"k" * 33: "v"}}, "metadata"),
        ({"metadata": {f"{n}": "v" for n in range(17)}}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"confirmation": {"type": "redirect"}}, "confirmation.return_url"),
        ({"confirmation": {"type": "redirect", "return_url": "x" * 2049}}, "confirmation.return_url"),
        ({"confirmation": {"type": "embedded"}}, "confirmation.type"),
        ({"confirmation": "redirect"}, "confirmation.type"),
    ],
)
async def test_an_ill_formed_payment_is_refused_and_the_field_named(
    shop: Shop, changes: dict[str, Any], parameter: str
) -> None:
    status, said = await shop.post("/v3/payments", ORDER | changes)
    assert (status, said["code"], said["parameter"]) == (400, "invalid_request", parameter)
    assert shop.simulator.books.payments == {}


async def test_saving_a_card_is_forbidden_in_a_shop_without_that_agreement(shop: Shop) -> None:
    with pytest.raises(ForbiddenError):
        await shop.sdk(Payment.create, ORDER | {"save_payment_method": True})


async def test_a_body_that_is_no_object_is_refused(shop: Shop) -> None:
    assert (await shop.post("/v3/payments", [ORDER]))[0] == 400


def item(**changes: Any) -> dict[str, Any]:
    return RECEIPT | {"items": [RECEIPT["items"][0] | changes]}


async def test_a_receipt_that_adds_up_is_taken_and_registered_with_the_payment(shop: Shop) -> None:
    halves = RECEIPT["items"][0] | {"quantity": 2, "amount": {"value": "99.50", "currency": "RUB"}}
    by_phone = RECEIPT | {"customer": {"phone": "79000000000"}, "items": [halves]}
    made = await shop.sdk(Payment.create, ORDER | {"receipt": by_phone})
    assert made.receipt_registration == "pending"
    await shop.click(made.id, "pay")
    assert (await shop.sdk(Payment.find_one, made.id)).receipt_registration == "succeeded"
    declined = await shop.sdk(Payment.create, ORDER | {"receipt": RECEIPT})
    await shop.click(declined.id, "decline")
    assert (await shop.sdk(Payment.find_one, declined.id)).receipt_registration == "canceled"


@pytest.mark.parametrize(
    ("receipt", "parameter"),
    [
        (None, "receipt.customer"),
        (RECEIPT | {"customer": {}}, "receipt.customer"),
        (RECEIPT | {"customer": {"email": "nobody"}}, "receipt.customer.email"),
        (RECEIPT | {"customer": {"phone": "+7 900"}}, "receipt.customer.phone"),
        (RECEIPT | {"items": []}, "receipt.items"),
        (RECEIPT | {"items": RECEIPT["items"] * 81}, "receipt.items"),
        (RECEIPT | {"items": [5]}, "receipt.items"),
        (RECEIPT | {"items": RECEIPT["items"] * 2}, "receipt.items.amount"),
        (item(amount={"value": "198.99", "currency": "RUB"}), "receipt.items.amount"),
        (item(amount={"value": "199.00", "currency": "USD"}), "receipt.items.amount"),
        (item(amount={"value": 199, "currency": "RUB"}), "receipt.items.amount.value"),
        (item(quantity=None), "receipt.items.quantity"),
        (item(quantity=1.0001), "receipt.items.quantity"),
        (item(vat_code="1"), "receipt.items.vat_code"),
        (item(vat_code=13), "receipt.items.vat_code"),
        (item(description=""), "receipt.items.description"),
        (item(measure=None), "receipt.items.measure"),
        (item(payment_mode="later"), "receipt.items.payment_mode"),
    ],
)
async def test_a_receipt_that_the_tax_office_would_refuse_is_refused(
    shop: Shop, receipt: Any, parameter: str
) -> None:
    status, said = await shop.post("/v3/payments", ORDER | {"receipt": receipt})
    assert (status, said["parameter"]) == (400, parameter)


async def test_the_page_shows_the_order_and_pays_declines_or_takes_a_part(shop: Shop) -> None:
    async def made() -> str:
        return str((await shop.sdk(Payment.create, ORDER)).id)

    paid, declined, half = [await made() for _ in range(3)]
    async with shop.http.get(f"{shop.url}/pay/{paid}") as response:
        page = await response.text()
        assert response.status == 200
    assert "VPN, 30 days" in page
    assert "199" in page
    assert "Оплачено" in await shop.click(paid, "pay")
    assert "Платёж отклонён" in await shop.click(declined, "decline")
    assert "Оплачено" in await shop.click(half, "capture-part")
    details = (await shop.sdk(Payment.find_one, declined)).cancellation_details
    assert (details.party, details.reason) == ("payment_network", "insufficient_funds")
    taken = await shop.sdk(Payment.find_one, half)
    assert (taken.status, taken.amount.value) == ("succeeded", 99.5)
    async with shop.http.get(f"{shop.url}/pay/nothing") as response:
        assert response.status == 404
    bare = await shop.sdk(Payment.create, {"amount": AMOUNT})
    assert "Деньги ждут списания" in await shop.click(bare.id, "pay")


async def test_what_is_final_stays_as_it_is_whatever_is_pressed(shop: Shop, door: Door) -> None:
    for first in ("pay", "decline"):
        number = (await shop.sdk(Payment.create, ORDER)).id
        await shop.click(number, first)
        before = dict(shop.simulator.books.payments[number])
        for button in ("pay", "decline", "capture-part"):
            await shop.click(number, button)
        assert shop.simulator.books.payments[number] == before
    await until(lambda: len(door.seen) == 2)
    assert door.events == [("payment.succeeded", "succeeded"), ("payment.canceled", "canceled")]


async def test_paying_late_pays_after_the_pause_and_the_page_says_so(shop: Shop) -> None:
    number = (await shop.sdk(Payment.create, ORDER)).id
    page = await shop.click(number, "pay-late?seconds=0.3")
    assert "Деньги спишутся через 1&nbsp;с" in page
    assert "Оплатить через" not in page
    assert shop.simulator.books.payments[number]["status"] == "pending"
    assert "_pays_at" not in (await shop.get(f"/v3/payments/{number}"))[1]
    await until(lambda: shop.simulator.books.payments[number]["status"] == "succeeded")
    async with shop.http.get(f"{shop.url}/pay/{number}") as response:
        assert "Оплачено" in await response.text()


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "3601", "soon"])
async def test_a_pause_that_is_none_is_refused(shop: Shop, seconds: str) -> None:
    number = (await shop.sdk(Payment.create, ORDER)).id
    address = f"{shop.url}/_sandbox/payments/{number}/pay-late?seconds={seconds}"
    async with shop.http.post(address) as response:
        assert (response.status, (await response.json())["parameter"]) == (400, "seconds")
    assert "Оплатить через 15 секунд" in await shop.click(number, f"pay-late?seconds={seconds}")


async def test_the_page_says_who_ended_the_payment(shop: Shop) -> None:
    number = (await shop.sdk(Payment.create, ORDER | {"capture": False})).id
    await shop.click(number, "pay")
    await shop.sdk(Payment.cancel, number)
    late = (await shop.sdk(Payment.create, ORDER)).id
    shop.simulator.books.expire(timedelta(seconds=-1))
    for payment, said in ((number, "Магазин отменил платёж"), (late, "Время на оплату вышло")):
        async with shop.http.get(f"{shop.url}/pay/{payment}") as response:
            assert said in await response.text()


async def test_what_is_not_paid_or_not_captured_in_time_is_canceled(door: Door) -> None:
    async with running(webhook_url=door.url, pending_for=timedelta(0)) as shop:
        unpaid = (await shop.sdk(Payment.create, ORDER)).id
        await until(lambda: shop.simulator.books.payments[unpaid]["status"] == "canceled")
        assert (
            await shop.sdk(Payment.find_one, unpaid)
        ).cancellation_details.reason == "expired_on_confirmation"
    async with running(webhook_url=door.url) as shop:
        held = (await shop.sdk(Payment.create, ORDER | {"capture": False})).id
        await shop.click(held, "pay")
        shop.simulator.books.payments[held]["expires_at"] = "2026-01-01T00:00:00.000Z"
        await until(lambda: shop.simulator.books.payments[held]["status"] == "canceled")
        assert (await shop.sdk(Payment.find_one, held)).cancellation_details.reason == "expired_on_capture"


async def test_a_notice_is_unsigned_and_the_whole_object_of_its_moment(shop: Shop, door: Door) -> None:
    number = (await shop.sdk(Payment.create, ORDER)).id
    await shop.click(number, "pay")
    await until(lambda: door.seen)
    assert (door.seen[0]["type"], door.seen[0]["event"]) == ("notification", "payment.succeeded")
    assert door.seen[0]["object"] == (await shop.get(f"/v3/payments/{number}"))[1]
    assert door.headers[0]["X-Forwarded-For"] == "185.71.76.1"
    assert {"Authorization", "Signature"}.isdisjoint(door.headers[0])
    notice = WebhookNotificationFactory().create(door.seen[0])
    assert (notice.object.id, notice.object.status) == (number, "succeeded")


async def test_a_notice_is_repeated_with_growing_pauses_until_it_is_answered_200(door: Door) -> None:
    answers = iter([500, 302, 202, 200])
    door.answer = lambda: next(answers)
    async with running(webhook_url=door.url, retry_scale=0.02) as shop:
        await shop.click((await shop.sdk(Payment.create, ORDER)).id, "pay")
        await until(lambda: shop.simulator.notices.accepted)
        assert shop.simulator.notices.sent == len(door.seen) == 4
    pauses = [b - a for a, b in zip(door.moments, door.moments[1:], strict=False)]
    assert pauses[0] >= 0.02  # one, five and thirty seconds on a clock fifty times faster
    assert pauses[1] >= 0.1
    assert pauses[2] >= 0.6


async def test_notices_are_lost_doubled_and_shuffled_on_request(shop: Shop, door: Door) -> None:
    lost, doubled, *others = [(await shop.sdk(Payment.create, ORDER)).id for _ in range(12)]
    await shop.control("faults", notices_lost_rate=1)
    await shop.click(lost, "pay")
    await shop.control("faults", notices_lost_rate=0, notice_copies=3)
    await shop.click(doubled, "pay")
    await until(lambda: len(door.seen) == 3)
    assert [notice["object"]["id"] for notice in door.seen] == [doubled] * 3
    door.seen.clear()
    await shop.control("faults", notice_copies=1, notices_shuffled_seconds=0.5)
    for number in others:
        shop.simulator.books.pay(number)
    await until(lambda: len(door.seen) == len(others))
    came = [notice["object"]["id"] for notice in door.seen]
    assert sorted(came) == sorted(others)
    assert came != others


async def test_a_notice_is_forged_or_repeated_on_request(shop: Shop, door: Door) -> None:
    number = (await shop.sdk(Payment.create, ORDER)).id
    forged = {"type": "notification", "event": "payment.succeeded", "object": {"id": number, "status": "x"}}
    assert await shop.control("notices/forge", **forged) == {"accepted": True}
    assert door.seen == [forged]
    await shop.click(number, "decline")
    async with shop.http.post(f"{shop.url}/_sandbox/notices/{number}/resend?copies=51") as response:
        assert response.status == 400
    async with shop.http.post(f"{shop.url}/_sandbox/notices/{number}/resend?copies=2") as response:
        assert response.status == 200
    await until(lambda: len(door.seen) == 4)
    assert door.events[1:] == [("payment.canceled", "canceled")] * 3


async def test_without_an_address_nothing_is_sent() -> None:
    async with running() as shop:
        await shop.click((await shop.sdk(Payment.create, ORDER)).id, "pay")
        async with shop.http.post(f"{shop.url}/_sandbox/notices/forge", data=b"{}") as response:
            assert response.status == 404
        assert shop.simulator.notices.sent == 0


async def test_trouble_comes_in_yookassas_own_words(shop: Shop) -> None:
    await shop.control("faults", too_many_requests_rate=1)
    with pytest.raises(TooManyRequestsError):
        await shop.sdk(Payment.create, ORDER)
    await shop.control("faults", too_many_requests_rate=0, error_rate=1)
    with pytest.raises(InternalServerError):
        await shop.sdk(Payment.create, ORDER)
    assert shop.simulator.books.payments == {}
    await shop.control("faults", error_rate=0, lose_answer_rate=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await shop.post("/v3/payments", ORDER)
    assert len(shop.simulator.books.payments) == 1
    await shop.control("faults", lose_answer_rate=0, away=True)
    with pytest.raises(aiohttp.ClientConnectionError):
        await shop.post("/v3/payments", ORDER, key="other")
    assert len(shop.simulator.books.payments) == 1
