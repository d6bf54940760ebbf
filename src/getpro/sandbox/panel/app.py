"""The panel's HTTP: its proxy rule, its authorization, its routes; and what a person may look at."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from getpro.sandbox.faults import CONTROL_PREFIX, FaultSwitches, drop_connection
from getpro.sandbox.pages import render
from getpro.sandbox.panel.errors import Invalid, PanelProblem, nobody_with_that, plain, user_not_found
from getpro.sandbox.panel.fields import CREATE, UPDATE, check_body, number
from getpro.sandbox.panel.state import State, User
from getpro.sandbox.panel.subscription import info_object, links_page
from getpro.sandbox.panel.system import metadata, squad_object
from getpro.sandbox.panel.webhooks import Webhooks
from getpro.sandbox.serving import require_loopback_url, serve_alone

VERSION = "3.3.2"
_OPEN = (CONTROL_PREFIX, "/api/sub/")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PanelSimulator:
    """A panel in memory. ``app`` serves it; ``state`` is what the judges of a test read."""

    def __init__(
        self,
        token: str,
        *,
        version: str = VERSION,
        webhook_url: str | None = None,
        webhook_secret: str = "",
        public_url: str = "",
        webhook_pause_seconds: float = 5,
    ) -> None:
        """``public_url`` is where subscription links lead; empty: to the address of the first request."""
        if version != VERSION:
            raise ValueError(f"the simulator plays {VERSION}, not {version}")
        if webhook_url is not None:
            require_loopback_url(webhook_url)
        self._token = token
        self.public_url = public_url
        self.faults = FaultSwitches(lambda status: {"message": "Simulated trouble", "statusCode": status})
        self.webhooks = Webhooks(
            webhook_url, webhook_secret, faults=self.faults, pause_seconds=webhook_pause_seconds
        )
        self.state = State(
            on_event=lambda event, user: self.webhooks.send(event, self.state.json(user)),
            sub_domain=lambda: f"{self.public_url}/api/sub",
        )
        self.app = self._make_app()

    def _make_app(self) -> web.Application:
        app = web.Application(client_max_size=100 * 1024 * 1024, middlewares=[self._guard])
        self.faults.install(app)
        app.router.add_routes(
            [
                web.get("/", self._page),
                web.get(f"{CONTROL_PREFIX}/users", self._show_users),
                web.get(f"{CONTROL_PREFIX}/changes", self._show_changes),
                web.get("/api/system/metadata", self._metadata),
                web.get("/api/system/health", self._health),
                web.get("/api/internal-squads", self._squads),
                web.post("/api/users", self._create),
                web.patch("/api/users", self._update),
                web.get("/api/users", self._list),
                web.get("/api/users/stream", self._stream),
                web.post("/api/users/resolve", self._resolve),
                web.get("/api/users/by-username/{username}", self._by_username),
                web.get("/api/users/by-short-uuid/{short}", self._by_short_uuid),
                web.get("/api/users/{id}", self._by_id),
                web.delete("/api/users/{id}", self._delete),
                web.post("/api/users/{id}/actions/{action}", self._act),
                web.get("/api/hwid/devices/{id}", self._devices),
                web.get("/api/sub/{short}/info", self._sub_info),
                web.get("/api/sub/{short}", self._sub),
            ]
        )
        app.cleanup_ctx.append(self._background)
        return app

    async def _background(self, _: web.Application) -> Any:
        await self.webhooks.open()
        expiring = asyncio.create_task(self._expire_for_ever())
        yield
        expiring.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await expiring
        await self.webhooks.close()

    async def _expire_for_ever(self) -> None:
        while True:
            self.state.expire_due()
            await asyncio.sleep(1)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.public_url:
            self.public_url = f"http://{request.host}"
        if request.path == "/" or request.path.startswith(_OPEN):
            return await handler(request)
        forwarded = request.headers.get("X-Forwarded-For"), request.headers.get("X-Forwarded-Proto")
        if not forwarded[0] or forwarded[1] != "https":
            return drop_connection(request)
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return plain(401, "Unauthorized")
        return await self._answered(request, handler)

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except PanelProblem as problem:
            return problem.answer(request.path)
        except Invalid as invalid:
            return invalid.answer()
        except web.HTTPNotFound:
            return plain(404, f"Cannot {request.method} {request.path}", "Not Found")

    async def _create(self, request: web.Request) -> web.Response:
        body = check_body(await _json(request), CREATE, required=("username", "expireAt"))
        return _answer(self.state.json(self.state.create(body)), status=201)

    async def _update(self, request: web.Request) -> web.Response:
        body = check_body(await _json(request), UPDATE)
        if not {"id", "username"} & body.keys():
            raise _custom("At least one of username, id must be provided")
        return _answer(self.state.json(self.state.update(body)))

    async def _list(self, request: web.Request) -> web.Response:
        start, size = _integer(request, "start", 0), _integer(request, "size", 25)
        users = list(self.state.users.values())
        page = [self.state.json(user) for user in users[start : start + size]]
        return _answer({"users": page, "total": len(users)})

    async def _stream(self, request: web.Request) -> web.Response:
        cursor, size = _integer(request, "cursor", 0), _integer(request, "size", 250)
        telegram_id = _integer(request, "telegramId", 0)
        found = [
            user
            for user in sorted(self.state.users.values(), key=lambda user: user.id)
            if user.id > cursor
            and (not telegram_id or user.telegramId == telegram_id)
            and request.query.get("email") in {None, user.email}
            and request.query.get("tag") in {None, user.tag}
        ]
        page, more = found[:size], len(found) > size
        return _answer(
            {
                "users": [self.state.json(user) for user in page],
                "nextCursor": page[-1].id if more else None,
                "hasMore": more,
            }
        )

    async def _resolve(self, request: web.Request) -> web.Response:
        body = await _json(request)
        keys = {"id", "shortUuid", "username"} & set(body if isinstance(body, dict) else {})
        if len(keys) != 1:
            raise _custom("Exactly one of id, shortUuid, or username must be provided")
        key = keys.pop()
        found = [user for user in self.state.users.values() if getattr(user, key) == body[key]]
        if not found:
            raise user_not_found()
        return _answer({"id": found[0].id, "username": found[0].username, "shortUuid": found[0].shortUuid})

    async def _by_username(self, request: web.Request) -> web.Response:
        return _answer(self.state.json(self._where(username=request.match_info["username"])))

    async def _by_short_uuid(self, request: web.Request) -> web.Response:
        return _answer(self.state.json(self._where(shortUuid=request.match_info["short"])))

    async def _by_id(self, request: web.Request) -> web.Response:
        user = self.state.users.get(_user_id(request))
        if user is None:
            raise nobody_with_that()
        return _answer(self.state.json(user))

    async def _delete(self, request: web.Request) -> web.Response:
        self.state.delete(self._existing(request))
        return web.Response(status=204)

    async def _act(self, request: web.Request) -> web.Response:
        user, action = self._existing(request), request.match_info["action"]
        if action == "disable":
            already = PanelProblem(400, "A029", "User already disabled")
            self.state.set_status(user, "DISABLED", "user.disabled", already)
        elif action == "enable":
            already = PanelProblem(400, "A030", "User already enabled")
            self.state.set_status(user, "ACTIVE", "user.enabled", already)
        elif action == "reset-traffic":
            user.usedTrafficBytes = 0
            self.webhooks.send("user.traffic_reset", self.state.json(user))
        elif action == "extend":
            body = check_body(await _json(request), {"days": number(least=1)}, required=("days",))
            self.state.extend(user, body["days"])
        else:
            raise web.HTTPNotFound
        return _answer(self.state.json(user))

    async def _devices(self, request: web.Request) -> web.Response:
        user = self._existing(request)
        return _answer({"total": len(user.devices), "devices": user.devices})

    async def _metadata(self, _: web.Request) -> web.Response:
        return _answer(metadata(VERSION))

    async def _health(self, _: web.Request) -> web.Response:
        return _answer({"runtimeMetrics": []})

    async def _squads(self, _: web.Request) -> web.Response:
        squads = [
            squad_object(uuid, name, sum(uuid in user.squads for user in self.state.users.values()))
            for uuid, name in self.state.squads.items()
        ]
        return _answer({"total": len(squads), "internalSquads": squads})

    async def _sub_info(self, request: web.Request) -> web.Response:
        user = self._by_short(request)
        if user is None:
            return _no_subscription()
        return _answer(info_object(user, self.state.json(user)["subscriptionUrl"]))

    async def _sub(self, request: web.Request) -> web.Response:
        user = self._by_short(request)
        return _no_subscription() if user is None else links_page(user)

    async def _page(self, _: web.Request) -> web.Response:
        return render("panel.html", users=[self.state.json(u) for u in self.state.users.values()])

    async def _show_users(self, _: web.Request) -> web.Response:
        return web.json_response([self.state.json(user) for user in self.state.users.values()])

    async def _show_changes(self, request: web.Request) -> web.Response:
        return web.json_response(self.state.changes[int(request.query.get("since", 0)) :])

    def _where(self, **wanted: str) -> User:
        for user in self.state.users.values():
            if all(getattr(user, name) == value for name, value in wanted.items()):
                return user
        raise nobody_with_that()

    def _by_short(self, request: web.Request) -> User | None:
        short = request.match_info["short"]
        return next((user for user in self.state.users.values() if user.shortUuid == short), None)

    def _existing(self, request: web.Request) -> User:
        user = self.state.users.get(_user_id(request))
        if user is None:
            raise user_not_found()
        return user


async def run(port: int, token: str, version: str, webhook_url: str | None, webhook_secret: str) -> None:
    """Serve a panel alone until SIGTERM."""
    panel = PanelSimulator(token, version=version, webhook_url=webhook_url, webhook_secret=webhook_secret)
    await serve_alone(panel.app, port=port, ready=f"Panel simulator {version} ready at {{url}}")


def _answer(response: Any, *, status: int = 200) -> web.Response:
    return web.json_response({"response": response}, status=status)


def _no_subscription() -> web.Response:
    body = {"isFound": False, "statusCode": 404, "message": "Resource not found"}
    return web.json_response(body, status=404)


async def _json(request: web.Request) -> Any:
    raw = await request.read()
    if not raw or "json" not in request.headers.get("Content-Type", ""):
        return None
    try:
        return json.loads(raw)
    except ValueError:
        body = {"message": "Unexpected end of JSON input", "error": "Bad Request", "statusCode": 400}
        raise web.HTTPBadRequest(text=json.dumps(body), content_type="application/json") from None


def _custom(message: str) -> Invalid:
    return Invalid({"code": "custom", "path": [], "message": message})


def _not_a_number(name: str) -> Invalid:
    return Invalid(
        {
            "expected": "number",
            "code": "invalid_type",
            "received": "NaN",
            "path": [name],
            "message": "Invalid input: expected number, received NaN",
        }
    )


def _user_id(request: web.Request) -> int:
    try:
        return int(request.match_info["id"])
    except ValueError:
        raise _not_a_number("userId") from None


def _integer(request: web.Request, name: str, default: int) -> int:
    try:
        return int(request.query.get(name, default))
    except ValueError:
        raise _not_a_number(name) from None
