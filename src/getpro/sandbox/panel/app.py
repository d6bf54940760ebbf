"""The panel's HTTP: its proxy rule, its guard, the routes of its rooms; and what a person may look at."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from getpro.sandbox.faults import CONTROL_PREFIX, FaultSwitches, drop_connection
from getpro.sandbox.notices import Notices
from getpro.sandbox.pages import render
from getpro.sandbox.panel.access import Access
from getpro.sandbox.panel.devices import Devices
from getpro.sandbox.panel.editions import EDITIONS
from getpro.sandbox.panel.errors import Invalid, PanelProblem, plain
from getpro.sandbox.panel.moments import Clock, iso, now
from getpro.sandbox.panel.squads import Squads
from getpro.sandbox.panel.state import State
from getpro.sandbox.panel.subscription import Subscriptions
from getpro.sandbox.panel.system import System
from getpro.sandbox.panel.users import Users
from getpro.sandbox.panel.webhooks import REFUSED_FROM, TRIES, event_body, event_headers
from getpro.sandbox.serving import require_loopback_url, serve_alone
from getpro.sandbox.timeline import Timeline

VERSION = "3.3.2"
"""What is played unless another of the versions is asked for."""
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
        clock: Clock = now,
        timeline: Timeline | None = None,
    ) -> None:
        """``public_url`` is where subscription links lead; empty: to the address of the first request."""
        if version not in EDITIONS:
            raise ValueError(f"Имитация панели бывает версии {' или '.join(EDITIONS)}, а не {version}.")
        edition = EDITIONS[version]
        if webhook_url is not None:
            require_loopback_url(webhook_url)
        self.public_url = public_url
        self.faults = FaultSwitches(lambda status: {"message": "Simulated trouble", "statusCode": status})
        self._webhook_secret = webhook_secret
        self.timeline = timeline or Timeline(clock)
        self.webhooks = Notices(
            webhook_url,
            faults=self.faults,
            pauses=[webhook_pause_seconds] * (TRIES - 1),
            headers=lambda raw: event_headers(webhook_secret, raw),
            is_taken=lambda status: status < REFUSED_FROM,
            timeline=self.timeline,
            who="панель",
            about=lambda body: f"{body['event']} · {body['data'].get('username', '')}".rstrip(" ·"),
        )
        self.state = State(
            edition,
            clock=clock,
            send=lambda event, data: self.webhooks.send(event_body(event, data, clock())),
            sub_domain=lambda: f"{self.public_url}/api/sub",
        )
        self.access = Access(token, clock, edition)
        self.app = self._make_app()

    def _make_app(self) -> web.Application:
        noted = self.timeline.calls("панель", "/api/", client_prefix="/api/sub/")
        app = web.Application(client_max_size=100 * 1024 * 1024, middlewares=[noted, self._guard])
        self.faults.install(app)
        app.middlewares.append(self._answered)
        devices = Devices(self.state)
        played = [
            *self.access.routes(),
            *System(self.state).routes(),
            *Squads(self.state).routes(),
            *Users(self.state).routes(),
            *devices.routes(),
            *Subscriptions(self.state, devices).routes(),
        ]
        app.router.add_routes(
            [
                web.get("/", self._page),
                web.get(f"{CONTROL_PREFIX}/users", self._show_users),
                web.get(f"{CONTROL_PREFIX}/changes", self._show_changes),
                web.post(f"{CONTROL_PREFIX}/notices/forge", self._forge),
                *(route for route in played if route.path not in self.state.edition.absent),
            ]
        )
        app.cleanup_ctx.append(self._background)
        return app

    async def _background(self, _: web.Application) -> Any:
        await self.webhooks.open()
        jobs = asyncio.create_task(self._run_jobs_for_ever())
        yield
        jobs.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await jobs
        await self.webhooks.close()

    async def _run_jobs_for_ever(self) -> None:
        while True:
            self.state.run_jobs()
            await asyncio.sleep(1)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.public_url:
            self.public_url = f"http://{request.host}"
        if request.path == "/" or request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        if request.path.startswith("/api/sub/"):
            # A subscription link is public. The real one lies behind a proxy that adds the two headers;
            # here a browser opens it directly, so their lack is forgiven.
            return await handler(request)
        forwarded = request.headers.get("X-Forwarded-For"), request.headers.get("X-Forwarded-Proto")
        if not forwarded[0] or forwarded[1] != "https":
            return drop_connection(request)
        refusal = self.access.refusal(request)
        return await handler(request) if refusal is None else refusal

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn what went wrong into an answer, inside the faults: an error can be late or lost as well."""
        try:
            return await handler(request)
        except PanelProblem as problem:
            return problem.answer(request.path, self.state.clock())
        except Invalid as invalid:
            errors = self.state.edition.invalid(invalid.errors)
            body = {"statusCode": 400, "message": str(invalid), "errors": errors}
            return web.json_response(body, status=400)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            return plain(404, f"Cannot {request.method} {request.path_qs}", "Not Found")

    async def _page(self, _: web.Request) -> web.Response:
        return render("panel.html", users=[self.state.json(u) for u in self.state.users.values()])

    async def _show_users(self, _: web.Request) -> web.Response:
        return web.json_response([self.state.json(user) for user in self.state.users.values()])

    async def _show_changes(self, request: web.Request) -> web.Response:
        return web.json_response(self.state.changes[int(request.query.get("since", 0)) :])

    async def _forge(self, request: web.Request) -> web.Response:
        """Send a body signed with a wrong secret, as a stranger would."""
        raw = await request.read()
        forged = event_headers(f"not {self._webhook_secret}", raw, iso(self.state.clock()))
        return web.json_response({"status": await self.webhooks.post(raw, headers=forged)})


async def run(port: int, token: str, version: str, webhook_url: str | None, webhook_secret: str) -> None:
    """Serve a panel alone until SIGTERM."""
    panel = PanelSimulator(token, version=version, webhook_url=webhook_url, webhook_secret=webhook_secret)
    await serve_alone(panel.app, port=port, ready=f"Panel simulator {version} ready at {{url}}")
