"""The simulated Crypto Pay, judged by a public client: it makes the calls and reads the answers."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiocryptopay import AioCryptoPay
from aiocryptopay.exceptions.factory import CodeErrorFactory
from aiocryptopay.models.update import Update
from aiohttp import web

from getpro.sandbox.providers.cryptopay import CryptoPaySimulator
from getpro.sandbox.serving import serving
from waiting import until

TOKEN = "12345:AADUMMYTOKEN"


@dataclass
class Door:
    """The shop's address for notices: keeps what comes, answers as it is told."""

    seen: list[tuple[bytes, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.seen.append((await request.read(), request.headers.get("crypto-pay-api-signature", "")))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@dataclass
class App:
    """The simulator, the public client that speaks to it, and raw HTTP for what that would not send."""

    simulator: CryptoPaySimulator
    client: AioCryptoPay
    http: aiohttp.ClientSession
    url: str
    door: Door

    async def call(self, method: str, **given: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Crypto-Pay-API-Token": TOKEN}
        async with self.http.post(f"{self.url}/api/{method}", json=given, headers=headers) as answer:
            return answer.status, await answer.json()

    async def refusal(self, method: str, **given: Any) -> str:
        status, body = await self.call(method, **given)
        assert (status, body["ok"], body["error"]["code"]) == (400, False, 400)
        return str(body["error"]["name"])


@pytest.fixture
async def app() -> AsyncIterator[App]:
    door, shop = Door(), web.Application()
    shop.router.add_post("/webhook", door.take)
    async with serving(shop) as shop_url:
        simulator = CryptoPaySimulator(TOKEN, webhook_url=f"{shop_url}/webhook", retry_scale=0.001)
        async with serving(simulator.app) as url, aiohttp.ClientSession() as http:
            client = AioCryptoPay(token=TOKEN, network=url)
            yield App(simulator, client, http, url, door)
            await client.close()


async def test_the_client_knows_the_app_its_coins_and_their_rates(app: App) -> None:
    assert (await app.client.get_me()).app_id == 12345
    assert {"USDT", "TON", "BTC"} <= {one.code for one in await app.client.get_currencies()}
    rates = {(one.source, one.target): one.rate for one in await app.client.get_exchange_rates()}
    assert rates["USDT", "RUB"] == 80
    assert {one.currency_code: one.available for one in await app.client.get_balance()}["USDT"] == 0
    assert (await app.client.get_stats()).created_invoice_count == 0


async def test_an_invoice_in_roubles_is_paid_with_a_coin(app: App) -> None:
    made = await app.client.create_invoice(
        currency_type="fiat", fiat="RUB", amount=199, description="VPN", payload="order-1", expires_in=3600
    )
    assert (made.status, made.amount, made.fiat, made.payload) == ("active", 199, "RUB", "order-1")
    assert made.bot_invoice_url == f"{app.url}/pay/{made.hash}"
    app.simulator.books.pay(made.hash, "TON")
    paid = await app.client.get_invoices(invoice_ids=made.invoice_id)
    assert (paid.status, paid.paid_asset, paid.paid_amount, paid.paid_fiat_rate) == (
        "paid",
        "TON",
        0.829166667,
        240,
    )
    assert paid.paid_at is not None
    assert (await app.client.get_stats()).paid_invoice_count == 1


async def test_invoices_are_listed_newest_first_and_by_what_is_asked(app: App) -> None:
    made = [await app.client.create_invoice(asset="USDT", amount=1) for _ in range(3)]
    app.simulator.books.pay(made[0].hash)
    assert [one.invoice_id for one in await app.client.get_invoices()] == [3, 2, 1]
    assert [one.invoice_id for one in await app.client.get_invoices(status="paid")] == [1]
    assert [one.invoice_id for one in await app.client.get_invoices(offset=1, count=1)] == [2]
    assert await app.client.delete_invoice(3)
    assert [one.invoice_id for one in await app.client.get_invoices()] == [2, 1]
    with pytest.raises(CodeErrorFactory, match="INVOICE_NOT_FOUND"):
        await app.client.delete_invoice(1)


async def test_coins_are_sent_once_for_a_spend_id(app: App) -> None:
    made = await app.client.create_invoice(asset="USDT", amount=100)
    app.simulator.books.pay(made.hash)
    sent = await app.client.transfer(user_id=42, asset="USDT", amount=10, spend_id="a", comment="refund")
    assert (sent.status, sent.amount) == ("completed", 10)
    with pytest.raises(CodeErrorFactory, match="SPEND_ID_ALREADY_USED"):
        await app.client.transfer(user_id=42, asset="USDT", amount=10, spend_id="a")
    with pytest.raises(CodeErrorFactory, match="NOT_ENOUGH_COINS"):
        await app.client.transfer(user_id=42, asset="USDT", amount=1000, spend_id="b")
    assert len(await app.client.get_transfers()) == 1
    check = await app.client.create_check(asset="USDT", amount=5)
    assert [one.check_id for one in await app.client.get_checks()] == [check.check_id]
    assert await app.client.delete_check(check.check_id)
    balance = {one.currency_code: one.available for one in await app.client.get_balance()}
    assert balance["USDT"] == 87


async def test_a_wrong_token_and_an_unknown_method_are_refused(app: App) -> None:
    stranger = AioCryptoPay(token="1:x", network=app.url)
    with pytest.raises(CodeErrorFactory, match="UNAUTHORIZED"):
        await stranger.get_me()
    await stranger.close()
    assert await app.call("sendMoney") == (
        405,
        {"ok": False, "error": {"code": 405, "name": "METHOD_NOT_FOUND"}},
    )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "ASSET_REQUIRED"),
        ({"asset": "DOGE2", "amount": "1"}, "ASSET_INVALID"),
        ({"asset": "USDT"}, "AMOUNT_REQUIRED"),
        ({"asset": "USDT", "amount": "0"}, "AMOUNT_INVALID"),
        ({"asset": "USDT", "amount": "NaN"}, "AMOUNT_INVALID"),
        ({"asset": "USDT", "amount": "one"}, "AMOUNT_INVALID"),
        ({"currency_type": "gold", "amount": "1"}, "CURRENCY_TYPE_INVALID"),
        ({"currency_type": "fiat", "amount": "1"}, "FIAT_REQUIRED"),
        ({"currency_type": "fiat", "fiat": "XXX", "amount": "1"}, "FIAT_INVALID"),
        (
            {"currency_type": "fiat", "fiat": "RUB", "accepted_assets": "USDT,X", "amount": "1"},
            "ACCEPTED_ASSETS_INVALID",
        ),
        ({"asset": "USDT", "amount": "1", "description": "x" * 1025}, "DESCRIPTION_TOO_LONG"),
        ({"asset": "USDT", "amount": "1", "payload": "x" * 4097}, "PAYLOAD_TOO_LONG"),
        ({"asset": "USDT", "amount": "1", "expires_in": 0}, "EXPIRES_IN_INVALID"),
        ({"asset": "USDT", "amount": "1", "expires_in": 2678401}, "EXPIRES_IN_INVALID"),
        ({"asset": "USDT", "amount": "1", "paid_btn_name": "openBot"}, "PAID_BTN_URL_REQUIRED"),
        ({"asset": "USDT", "amount": "1", "paid_btn_name": "buy"}, "PAID_BTN_NAME_INVALID"),
    ],
)
async def test_an_invoice_that_is_none_is_refused_by_name(app: App, given: dict[str, Any], name: str) -> None:
    assert await app.refusal("createInvoice", **given) == name


async def test_a_notice_is_signed_and_repeated_until_it_is_taken(app: App) -> None:
    app.door.answers = [500, 503]
    made = await app.client.create_invoice(asset="USDT", amount=5, payload="order-1")
    app.simulator.books.pay(made.hash)
    await until(lambda: len(app.door.seen) == 3)
    await asyncio.sleep(0.05)
    assert len(app.door.seen) == 3
    body, signature = app.door.seen[0]
    assert app.client.check_signature(body.decode(), signature)
    key = hashlib.sha256(TOKEN.encode()).digest()
    assert signature == hmac.new(key, body, hashlib.sha256).hexdigest()
    update = Update(**json.loads(body))
    assert (update.update_type, update.payload.invoice_id, update.payload.payload) == (
        "invoice_paid",
        1,
        "order-1",
    )


async def test_what_is_not_paid_in_time_expires_and_nobody_is_told(app: App) -> None:
    made = await app.client.create_invoice(asset="USDT", amount=5, expires_in=1)
    app.simulator.books.invoices[1]["expiration_date"] = "2026-01-01T00:00:00.000Z"
    assert (await app.client.get_invoices(invoice_ids=1)).status == "expired"
    async with app.http.post(f"{app.url}/_sandbox/invoices/{made.hash}/pay") as answer:
        assert (await answer.json())["error"]["name"] == "INVOICE_NOT_ACTIVE"
    assert app.door.seen == []


async def test_a_customer_pays_on_the_page(app: App) -> None:
    made = await app.client.create_invoice(currency_type="fiat", fiat="RUB", amount=199, description="<b>VPN")
    async with app.http.get(made.bot_invoice_url) as page:
        text = await page.text()
    assert "&lt;b&gt;VPN" in text
    assert "2,4875&nbsp;USDT" in text
    async with app.http.post(f"{made.bot_invoice_url}/pay?asset=USDT") as page:
        assert "✓ Оплачено: 2,4875&nbsp;USDT" in await page.text()


async def test_a_forged_notice_has_no_true_signature(app: App) -> None:
    async with app.http.post(f"{app.url}/_sandbox/notices/forge", data=b'{"update_type":"x"}') as answer:
        assert await answer.json() == {"accepted": True}
    assert app.door.seen == [(b'{"update_type":"x"}', "")]
