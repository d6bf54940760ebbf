"""YooKassa's HTTP, and the page on which a customer pays."""

import asyncio
import base64
import contextlib
import json
import math
import operator
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from aiohttp import web

from getpro.sandbox.faults import CONTROL_PREFIX, FaultSwitches
from getpro.sandbox.notices import Notices
from getpro.sandbox.pages import render
from getpro.sandbox.providers.yookassa.errors import Problem, error_body
from getpro.sandbox.providers.yookassa.state import Books, Clock, now, shown
from getpro.sandbox.serving import require_loopback_url, serve_alone
from getpro.sandbox.timeline import Timeline

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Number = TypeVar("Number", int, float)
PAUSES_SECONDS = (1, 5, 30, 120, 600, 3600, 6 * 3600, 14 * 3600)
"""Between a notice and its repetitions; they end after a day."""
_REASONS = {
    "canceled_by_merchant": "Магазин отменил платёж",
    "expired_on_confirmation": "Время на оплату вышло",
    "expired_on_capture": "Магазин не списал деньги вовремя",
}
_FILTERS = {"gte": operator.ge, "gt": operator.gt, "lte": operator.le, "lt": operator.lt}


class YooKassaSimulator:
    """A shop at YooKassa. ``app`` serves it; ``books`` is what the judges of a test read."""

    def __init__(
        self,
        shop_id: str,
        secret_key: str,
        *,
        webhook_url: str | None = None,
        retry_scale: float = 1.0,
        forwarded_for: str = "185.71.76.1",
        pending_for: timedelta = timedelta(hours=1),
        clock: Clock = now,
        timeline: Timeline | None = None,
    ) -> None:
        """``retry_scale`` shortens the pauses between notices; ``pending_for`` is how long a page is open."""
        if webhook_url is not None:
            require_loopback_url(webhook_url)
        credentials = base64.b64encode(f"{shop_id}:{secret_key}".encode()).decode()
        self._authorization = f"Basic {credentials}"
        self._shop_id = shop_id
        self._pending_for = pending_for
        self._base_url = ""
        self.status = "enabled"
        """Of the shop; YooKassa can switch one off."""
        self.has_receipts = True
        self._late: set[asyncio.Task[None]] = set()
        self.timeline = timeline or Timeline(clock)
        self.faults = FaultSwitches(error_body)
        self.notices = Notices(
            webhook_url,
            faults=self.faults,
            pauses=PAUSES_SECONDS,
            retry_scale=retry_scale,
            headers=lambda _: {"X-Forwarded-For": forwarded_for},
            timeline=self.timeline,
            who="ЮKassa",
            about=lambda body: f"{body['event']} · {_sum(body['object'])}",
        )
        self.books = Books(
            shop_id,
            on_event=self.tell,
            page=lambda number: f"{self._base_url}/pay/{number}",
            clock=clock,
        )
        self.app = self._make_app()

    def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.timeline.calls("ЮKassa", "/v3/"), self._guard])
        self.faults.install(app)
        app.router.add_routes(
            [
                web.post("/v3/payments", self._create),
                web.get("/v3/payments", self._list),
                web.get("/v3/payments/{id}", self._read),
                web.post("/v3/payments/{id}/capture", self._capture),
                web.post("/v3/payments/{id}/cancel", self._cancel),
                web.post("/v3/refunds", self._refund),
                web.get("/v3/refunds", self._list_refunds),
                web.get("/v3/refunds/{id}", self._read_refund),
                web.get("/v3/me", self._me),
                web.get("/pay/{id}", self._page),
                web.post("/pay/{id}/{action}", self._act_on_page),
                web.get(f"{CONTROL_PREFIX}/payments", self._show),
                web.post(f"{CONTROL_PREFIX}/payments/{{id}}/{{action}}", self._act),
                web.post(f"{CONTROL_PREFIX}/notices/forge", self._forge),
                web.post(f"{CONTROL_PREFIX}/notices/{{id}}/resend", self._resend),
            ]
        )
        app.cleanup_ctx.append(self._background)
        return app

    async def _background(self, _: web.Application) -> Any:
        await self.notices.open()
        expiring = asyncio.create_task(self._expire_for_ever())
        yield
        for task in [expiring, *self._late]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.notices.close()

    async def _expire_for_ever(self) -> None:
        while True:
            self.books.expire(self._pending_for)
            await asyncio.sleep(1)

    def tell(self, event: str, item: dict[str, Any], *, copies: int | None = None) -> None:
        """Start sending the notice of ``event``, unsigned, with the object as it is at this moment."""
        body = {"type": "notification", "event": event, "object": shown(item)}
        self.notices.send(json.dumps(body).encode(), copies=copies)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._base_url = self._base_url or f"http://{request.host}"
        is_api = request.path.startswith("/v3/")
        try:
            if is_api and request.headers.get("Authorization") != self._authorization:
                raise Problem("Error in shopId or secret key. Check their validity.", status=401)
            return await handler(request)
        except Problem as problem:
            return problem.answer()
        except web.HTTPNotFound:
            return Problem("Not found", status=404).answer() if is_api else web.Response(status=404)
        except web.HTTPMethodNotAllowed:
            return Problem("Method not allowed", status=405).answer()

    async def _create(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return self._once(request, body, lambda: self.books.create_payment(body))

    def _once(
        self, request: web.Request, body: dict[str, Any], make: Callable[[], dict[str, Any]]
    ) -> web.Response:
        key = request.headers.get("Idempotence-Key")
        return web.json_response(shown(self.books.once(key, (request.path, body), make)))

    async def _read(self, request: web.Request) -> web.Response:
        return web.json_response(shown(self.books.payment(request.match_info["id"])))

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(_page_of(list(self.books.payments.values()), request.query))

    async def _capture(self, request: web.Request) -> web.Response:
        body, number = await _body(request), request.match_info["id"]
        return self._once(
            request, body, lambda: self.books.capture(number, body.get("amount"), body.get("receipt"))
        )

    async def _cancel(self, request: web.Request) -> web.Response:
        body, number = await _body(request), request.match_info["id"]

        def cancel() -> dict[str, Any]:
            self.books.waiting(number)
            return self.books.cancel(number, party="merchant", reason="canceled_by_merchant")

        return self._once(request, body, cancel)

    async def _refund(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return self._once(request, body, lambda: self.books.refund(body))

    async def _read_refund(self, request: web.Request) -> web.Response:
        refund = self.books.refunds.get(request.match_info["id"])
        if refund is None:
            raise Problem("Refund doesn't exist or access denied", parameter="refund_id", status=404)
        return web.json_response(shown(refund))

    async def _list_refunds(self, request: web.Request) -> web.Response:
        return web.json_response(_page_of(list(self.books.refunds.values()), request.query))

    async def _me(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "account_id": self._shop_id,
                "status": self.status,
                "test": True,
                "fiscalization": {"enabled": self.has_receipts, "provider": "avanpost"},
                "fiscalization_enabled": self.has_receipts,
                "payment_methods": ["bank_card", "sbp"],
            }
        )

    async def _page(self, request: web.Request) -> web.Response:
        payment = self.books.payments.get(request.match_info["id"])
        if payment is None:
            return web.Response(status=404, text="Такого платежа нет")
        why = payment.get("cancellation_details", {}).get("reason")
        left = (payment["_pays_at"] - self.books.now()).total_seconds() if "_pays_at" in payment else None
        return render(
            "yookassa.html",
            payment={"confirmation": None} | payment,
            reason=_REASONS.get(why, "Платёж отклонён"),
            seconds_left=None if left is None else max(math.ceil(left), 0),
        )

    async def _act_on_page(self, request: web.Request) -> web.StreamResponse:
        with contextlib.suppress(Problem):
            await self._do(request)
        raise web.HTTPSeeOther(f"/pay/{request.match_info['id']}")

    async def _act(self, request: web.Request) -> web.Response:
        await self._do(request)
        return web.json_response(shown(self.books.payment(request.match_info["id"])))

    async def _do(self, request: web.Request) -> None:
        number, action = request.match_info["id"], request.match_info["action"]
        if action == "pay":
            self.books.pay(number)
        elif action == "decline":
            self.books.cancel(number, party="payment_network", reason="insufficient_funds")
        elif action == "pay-late":
            seconds = _number(request.query.get("seconds", "10"), "seconds", float, most=3600)
            at = self.books.now() + timedelta(seconds=seconds)
            self.books.pay_later(number, at)
            task = asyncio.create_task(self._pay_later(number, at))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        elif action == "capture-part":
            self.books.capture_part(number, request.query.get("value"))
        else:
            raise web.HTTPNotFound

    async def _pay_later(self, number: str, at: datetime) -> None:
        while (left := (at - self.books.now()).total_seconds()) > 0:  # noqa: ASYNC110 -- clocks have no event
            await asyncio.sleep(min(left, 0.5))  # it may be moved meanwhile
        with contextlib.suppress(Problem):
            self.books.pay(number)

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response([shown(payment) for payment in self.books.payments.values()])

    async def _forge(self, request: web.Request) -> web.Response:
        if self.notices.url is None:
            raise Problem("No address for notices is set", status=404)
        return web.json_response({"accepted": await self.notices.post(await request.read()) == 200})

    async def _resend(self, request: web.Request) -> web.Response:
        payment = self.books.payment(request.match_info["id"])
        if payment["status"] == "pending":
            raise Problem("There are no notices of pending payments", parameter="status")
        copies = _number(request.query.get("copies", "1"), "copies", int, most=50)
        self.tell(f"payment.{payment['status']}", payment, copies=copies)
        return web.json_response({"copies": copies})


def _sum(item: dict[str, Any]) -> str:
    amount = item.get("amount", {})
    return f"{amount.get('value', '?')} {amount.get('currency', '')}"


async def run(port: int, shop_id: str, secret_key: str, webhook_url: str | None) -> None:
    """Serve a shop alone until SIGTERM."""
    simulator = YooKassaSimulator(shop_id, secret_key, webhook_url=webhook_url)
    await serve_alone(simulator.app, port=port, ready="YooKassa simulator ready at {url}")


async def _body(request: web.Request) -> dict[str, Any]:
    if not request.can_read_body:
        return {}
    if request.content_type != "application/json":
        raise Problem("Content type must be application/json", status=415)
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        raise Problem("Body is no JSON") from None
    if not isinstance(body, dict):
        raise Problem("Body is no object")
    return body


def _number(text: str, parameter: str, kind: type[Number], *, least: int = 0, most: int) -> Number:
    """The number in ``text``; raises Problem unless it is one within the bounds."""
    try:
        number = kind(text)
    except ValueError:
        raise Problem("This is no number", parameter=parameter) from None
    if not least <= number <= most:
        raise Problem(f"The number must be from {least} to {most}", parameter=parameter)
    return number


def _page_of(items: list[dict[str, Any]], query: Any) -> dict[str, Any]:
    """A page of a list, newest first; the cursor is the last object of the page before."""
    limit = _number(query.get("limit", "10"), "limit", int, least=1, most=100)
    newest_first = items[::-1]
    if "cursor" in query:
        places = [place for place, item in enumerate(newest_first) if item["id"] == query["cursor"]]
        if not places:
            raise Problem("Unknown cursor", parameter="cursor")
        newest_first = newest_first[places[0] + 1 :]
    found = [item for item in newest_first if _fits(item, query)]
    page: dict[str, Any] = {"type": "list", "items": [shown(item) for item in found[:limit]]}
    if len(found) > limit:
        page["next_cursor"] = found[limit - 1]["id"]
    return page


def _fits(item: dict[str, Any], query: Any) -> bool:
    for name, wanted in query.items():
        field, _, comparison = name.partition(".")
        if comparison:
            if field not in {"created_at", "captured_at"} or comparison not in _FILTERS:
                raise Problem("Unknown filter", parameter=name)
            moment, value = _moment(wanted, name), item.get(field)
            if value is None or not _FILTERS[comparison](_moment(value, name), moment):
                return False
        elif name in {"status", "payment_id"} and item.get(name) != wanted:
            return False
    return True


def _moment(text: str, parameter: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Problem("This is no moment", parameter=parameter) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
