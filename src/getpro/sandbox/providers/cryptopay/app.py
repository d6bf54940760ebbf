"""Crypto Pay's HTTP, and the page on which a customer pays."""

import contextlib
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from getpro.sandbox.faults import CONTROL_PREFIX, FaultSwitches
from getpro.sandbox.notices import Notices
from getpro.sandbox.pages import render
from getpro.sandbox.providers.cryptopay import currencies
from getpro.sandbox.providers.cryptopay.errors import Problem, error_body
from getpro.sandbox.providers.cryptopay.state import Books, Clock, Item, Parameters, coins, iso, now
from getpro.sandbox.serving import require_loopback_url, serve_alone
from getpro.sandbox.timeline import Timeline

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAUSES_SECONDS = (1, 5, 30, 120, 600, *(3600 * hours for hours in (1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 12)))
"""17 attempts over about three days."""


class CryptoPaySimulator:
    """An app at Crypto Pay. ``app`` serves it; ``books`` is what the judges of a test read."""

    def __init__(
        self,
        token: str,
        *,
        webhook_url: str | None = None,
        retry_scale: float = 1.0,
        clock: Clock = now,
        timeline: Timeline | None = None,
    ) -> None:
        """``retry_scale`` shortens the pauses between notices."""
        if webhook_url is not None:
            require_loopback_url(webhook_url)
        self._token = token
        self._base_url = ""
        self._updates = 0
        self.timeline = timeline or Timeline(clock)
        self.faults = FaultSwitches(error_body)
        self.notices = Notices(
            webhook_url,
            faults=self.faults,
            pauses=PAUSES_SECONDS,
            retry_scale=retry_scale,
            headers=self._signed,
            timeline=self.timeline,
            who="Crypto Pay",
            about=lambda body: f"{body['update_type']} · {_sum(body['payload'])}",
        )
        self.books = Books(on_paid=self._tell, page=lambda code: f"{self._base_url}/pay/{code}", clock=clock)
        self._methods: dict[str, Callable[[Parameters], Any]] = {
            "getMe": lambda _: self._me(),
            "createInvoice": self.books.create_invoice,
            "deleteInvoice": self.books.delete_invoice,
            "getInvoices": self.books.list_invoices,
            "transfer": self.books.transfer,
            "getTransfers": self.books.list_transfers,
            "createCheck": self.books.create_check,
            "deleteCheck": self.books.delete_check,
            "getChecks": self.books.list_checks,
            "getBalance": lambda _: self._balance(),
            "getExchangeRates": lambda _: currencies.exchange_rates(),
            "getCurrencies": lambda _: currencies.currencies(),
            "getStats": lambda _: self._stats(),
        }
        self.app = self._make_app()

    def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.timeline.calls("Crypto Pay", "/api/"), self._guard])
        self.faults.install(app)
        app.router.add_routes(
            [
                web.route("*", "/api/{method}", self._call),
                web.get("/pay/{hash}", self._page),
                web.post("/pay/{hash}/{action}", self._act_on_page),
                web.get(f"{CONTROL_PREFIX}/invoices", self._show),
                web.post(f"{CONTROL_PREFIX}/invoices/{{hash}}/{{action}}", self._act),
                web.post(f"{CONTROL_PREFIX}/notices/forge", self._forge),
            ]
        )
        app.cleanup_ctx.append(self._background)
        return app

    async def _background(self, _: web.Application) -> Any:
        await self.notices.open()
        yield
        await self.notices.close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._base_url = self._base_url or f"http://{request.host}"
        try:
            if request.path.startswith("/api/"):
                given = request.headers.get("Crypto-Pay-API-Token", "")
                if not hmac.compare_digest(given.encode(), self._token.encode()):
                    raise Problem("UNAUTHORIZED", status=401)
            return await handler(request)
        except Problem as problem:
            return problem.answer()

    async def _call(self, request: web.Request) -> web.Response:
        method = self._methods.get(request.match_info["method"])
        if method is None:
            raise Problem("METHOD_NOT_FOUND", status=405)
        return web.json_response({"ok": True, "result": method(await _parameters(request))})

    def _me(self) -> dict[str, Any]:
        number = self._token.partition(":")[0]
        return {
            "app_id": int(number) if number.isdecimal() else 1,
            "name": "2GETPRO sandbox",
            "payment_processing_bot_username": "CryptoTestnetBot",
        }

    def _balance(self) -> list[dict[str, str]]:
        return [
            {"currency_code": code, "available": currencies.plain(amount), "onhold": "0"}
            for code, amount in self.books.balance.items()
        ]

    def _stats(self) -> dict[str, Any]:
        invoices = list(self.books.invoices.values())
        paid = [invoice for invoice in invoices if invoice["status"] == "paid"]
        return {
            "volume": len(paid),
            "conversion": len(paid) / len(invoices) if invoices else 0,
            "unique_users_count": len(paid),
            "created_invoice_count": len(invoices),
            "paid_invoice_count": len(paid),
            "start_at": iso(self.books.now()),
            "end_at": iso(self.books.now()),
        }

    def _tell(self, invoice: Item) -> None:
        self._updates += 1
        self.notices.send(
            json.dumps(
                {
                    "update_id": self._updates,
                    "update_type": "invoice_paid",
                    "request_date": iso(self.books.now()),
                    "payload": invoice,
                }
            ).encode()
        )

    def _signed(self, raw: bytes) -> dict[str, str]:
        key = hashlib.sha256(self._token.encode()).digest()
        return {"crypto-pay-api-signature": hmac.new(key, raw, hashlib.sha256).hexdigest()}

    async def _page(self, request: web.Request) -> web.Response:
        self.books.expire()
        invoice = self.books.by_hash(request.match_info["hash"])
        shown = dict.fromkeys(("description", "fiat", "asset", "paid_amount", "paid_btn_url")) | invoice
        return render("cryptopay.html", invoice=shown, coins=coins(invoice))

    async def _act_on_page(self, request: web.Request) -> web.StreamResponse:
        with contextlib.suppress(Problem):
            await self._do(request)
        raise web.HTTPSeeOther(f"/pay/{request.match_info['hash']}")

    async def _act(self, request: web.Request) -> web.Response:
        await self._do(request)
        return web.json_response(self.books.by_hash(request.match_info["hash"]))

    async def _do(self, request: web.Request) -> None:
        code, action = request.match_info["hash"], request.match_info["action"]
        if action == "pay":
            self.books.pay(code, request.query.get("asset", "USDT"))
        elif action == "expire":
            invoice = self.books.by_hash(code)
            if invoice["status"] == "active":
                invoice["status"] = "expired"
        else:
            raise web.HTTPNotFound

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.books.invoices.values()))

    async def _forge(self, request: web.Request) -> web.Response:
        """Send a body without a true signature, as a stranger would."""
        return web.json_response(
            {"accepted": await self.notices.post(await request.read(), headers={}) == 200}
        )


def _sum(invoice: Item) -> str:
    return f"{invoice['amount']} {invoice.get('fiat') or invoice.get('asset')}"


async def run(port: int, token: str, webhook_url: str | None) -> None:
    """Serve an app alone until SIGTERM."""
    simulator = CryptoPaySimulator(token, webhook_url=webhook_url)
    await serve_alone(simulator.app, port=port, ready="Crypto Pay simulator ready at {url}")


async def _parameters(request: web.Request) -> Parameters:
    """From the query, a form or JSON, as the caller likes."""
    given: Parameters = dict(request.query)
    if request.content_type == "application/json" and request.can_read_body:
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError:
            raise Problem("BODY_INVALID") from None
        if not isinstance(body, dict):
            raise Problem("BODY_INVALID")
        given |= {name: value for name, value in body.items() if value is not None}
    elif request.method == "POST":
        given |= dict(await request.post())
    return given
