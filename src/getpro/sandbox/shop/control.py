"""The control page: the time line, the clock, the faults, the panel's users, the kill buttons.

``GET /``; ``GET /live``, server-sent events: the state whenever it changes, and new lines; ``GET /clock``;
``POST /clock`` {"forward": seconds} or {"to": "next_expiry" | "next_routine"};
``POST /kill`` {"with_database": true | false};
``POST /faults/SERVICE`` and ``DELETE /faults/SERVICE`` as on the service itself.
"""

import asyncio
import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from pydantic import ValidationError

from getpro.sandbox.faults import Faults
from getpro.sandbox.pages import render
from getpro.sandbox.shop.clock import CannotMove
from getpro.sandbox.shop.moments import MOMENTS
from getpro.sandbox.telegram import FIRST_GROUP
from getpro.sandbox.timeline import KEPT, short

if TYPE_CHECKING:
    from getpro.sandbox.shop.world import World

SERVICES: Final = {"telegram": "Telegram", "yookassa": "ЮKassa", "cryptopay": "Crypto Pay", "panel": "Панель"}
_LOOKS_EVERY_SECONDS: Final = 0.25


def control_app(world: "World") -> web.Application:
    """The page of ``world`` and what its buttons call."""
    control = _Control(world)
    app = web.Application()
    app.router.add_routes(
        [
            web.get("/", control.page),
            web.get("/live", control.live),
            web.get("/clock", control.show_clock),
            web.post("/clock", control.move_clock),
            web.post("/kill", control.kill),
            web.post("/faults/{service}", control.change_faults),
            web.delete("/faults/{service}", control.clear_faults),
        ]
    )
    return app


class _Control:
    def __init__(self, world: "World") -> None:
        self._world = world

    async def page(self, _: web.Request) -> web.Response:
        return render(
            "control.html",
            urls=self._world.urls,
            operators=f"{self._world.urls['telegram']}/chat/{FIRST_GROUP}",
            services=SERVICES,
            time_zone=self._world.time_zone,
            is_movable=self._world.clock.is_movable,
            kept=KEPT,
        )

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The stream for one page; a page that comes back is told everything again."""
        stream = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await stream.prepare(request)
        told: dict[str, Any] = {}
        seen = 0
        with contextlib.suppress(ConnectionResetError):
            while True:
                lines, state = self._world.timeline.since(seen), self._state()
                seen = lines[-1].number if lines else seen
                news: dict[str, Any] = {} if state == told else {"state": state}
                if lines or not told:
                    shown = [asdict(line) | {"at": line.at.timestamp()} for line in lines]
                    news["lines"] = shown
                    news["is_all"] = not told
                if news:
                    await stream.write(f"data: {json.dumps(news, ensure_ascii=False)}\n\n".encode())
                told = state
                await asyncio.sleep(_LOOKS_EVERY_SECONDS)
        return stream

    async def show_clock(self, _: web.Request) -> web.Response:
        return web.json_response(self._clock())

    async def move_clock(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
            forward, to = body.get("forward"), body.get("to")
            if (type(forward) is int) == (isinstance(to, str) and to in MOMENTS):
                return _refusal(
                    f"Нужно одно из двух: forward, целое число секунд, или to: {' либо '.join(MOMENTS)}.", 400
                )
            await self._world.move_clock(forward, to=to)
        except CannotMove as error:
            return _refusal(str(error), 409)
        except (ValueError, AttributeError):
            return _refusal("Нужен объект JSON.", 400)
        return web.json_response(self._clock())

    async def kill(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        with_database = isinstance(body, dict) and body.get("with_database") is True
        await self._world.kill(with_database=with_database)
        return web.json_response({"killed": ["product", *(["database"] if with_database else [])]})

    async def change_faults(self, request: web.Request) -> web.Response:
        name = request.match_info["service"]
        if name not in SERVICES:
            raise web.HTTPNotFound
        switches = self._world.faults[name]
        before = switches.now.model_dump()
        try:
            switches.change(await request.json())
        except (ValidationError, ValueError, TypeError) as error:
            return _refusal(str(error), 400)
        after = switches.now.model_dump()
        changed = ", ".join(f"{k} = {json.dumps(v)}" for k, v in after.items() if v != before[k])
        if changed:
            self._world.note(f"{SERVICES[name]}: {changed}")
        return web.json_response(after)

    async def clear_faults(self, request: web.Request) -> web.Response:
        name = request.match_info["service"]
        if name not in SERVICES:
            raise web.HTTPNotFound
        switches = self._world.faults[name]
        if switches.now != Faults():
            switches.clear()
            self._world.note(f"{SERVICES[name]}: всё исправно")
        return web.json_response(switches.now.model_dump())

    def _state(self) -> dict[str, Any]:
        world = self._world
        return {
            "ahead_seconds": world.clock.ahead_seconds,
            "shop": world.product.is_running and world.product.has_answered,
            "users": [self._user(user) for user in world.panel.state.users.values()],
            "faults": {name: switches.now.model_dump() for name, switches in world.faults.items()},
        }

    def _user(self, user: Any) -> dict[str, Any]:
        """What the page shows of a user: nothing that opens anything."""
        person = self._world.telegram.state.people.get(user.telegramId)
        return {
            "id": user.id,
            "name": short(person.first_name if person else user.username),
            "telegram": user.telegramId,
            "status": user.status,
            "expires_at": user.expireAt.timestamp(),
        }

    def _clock(self) -> dict[str, Any]:
        clock = self._world.clock
        return {
            "now": clock().isoformat(),
            "zone": self._world.time_zone,
            "ahead_seconds": clock.ahead_seconds,
            "is_movable": clock.is_movable,
        }


def _refusal(why: str, status: int) -> web.Response:
    return web.Response(
        text=json.dumps({"error": why}, ensure_ascii=False), status=status, content_type="application/json"
    )
