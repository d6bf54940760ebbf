"""``/api/internal-squads``: looked at, and joined by users; making them is the operator's business."""

from typing import Any

from aiohttp import web

from getpro.sandbox.panel.errors import Invalid, PanelProblem
from getpro.sandbox.panel.fields import check_body, many, uuid
from getpro.sandbox.panel.http import answer, read_json
from getpro.sandbox.panel.state import State, User

_NO_PROFILE = "00000000-0000-0000-0000-000000000000"


class Squads:
    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        one = "/api/internal-squads/{uuid}"
        return [
            web.get("/api/internal-squads", self._list),
            web.get(one, self._one),
            web.post(f"{one}/bulk-actions/add-many-users", self._add_users),
            web.delete(f"{one}/bulk-actions/remove-many-users", self._remove_users),
            web.get("/api/external-squads", self._external),
        ]

    async def _list(self, _: web.Request) -> web.Response:
        squads = [self._shown(known) for known in self._state.squads]
        return answer({"total": len(squads), "internalSquads": squads})

    async def _one(self, request: web.Request) -> web.Response:
        return answer(self._shown(self._named(request)))

    async def _add_users(self, request: web.Request) -> web.Response:
        squad = self._named(request)
        for user in await self._users(request):
            if squad not in user.squads:
                user.squads.append(squad)
        return web.Response(status=202)

    async def _remove_users(self, request: web.Request) -> web.Response:
        squad = self._named(request)
        for user in await self._users(request):
            if squad in user.squads:
                user.squads.remove(squad)
        return web.Response(status=202)

    async def _external(self, _: web.Request) -> web.Response:
        return answer({"total": 0, "externalSquads": []})

    async def _users(self, request: web.Request) -> list[User]:
        edition = self._state.edition
        checks = {edition.many_named_by: many(edition.key_check, least=1)}
        body = check_body(await read_json(request), checks, required=tuple(checks))
        return self._state.named_in(body)

    def _named(self, request: web.Request) -> str:
        squad = request.match_info["uuid"]
        if (wrong := uuid("uuid", squad)) is not None:
            raise Invalid(wrong)
        if squad not in self._state.squads:
            raise PanelProblem(404, "A118", "Internal squad not found")
        return squad

    def _shown(self, squad: str) -> dict[str, Any]:
        return {
            "uuid": squad,
            "viewPosition": list(self._state.squads).index(squad) + 1,
            "name": self._state.squads[squad],
            "info": {
                "membersCount": sum(squad in user.squads for user in self._state.users.values()),
                "inboundsCount": 1,
            },
            "inbounds": [_INBOUND],
            "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-01T00:00:00.000Z",
        }


_INBOUND = {
    "uuid": "00000000-0000-4000-8000-000000000001",
    "profileUuid": _NO_PROFILE,
    "tag": "Sandbox",
    "type": "shadowsocks",
    "network": None,
    "security": None,
    "port": 443,
    "rawInbound": {
        "tag": "Sandbox",
        "port": 443,
        "protocol": "shadowsocks",
        "settings": {"method": "none", "clients": [], "network": "tcp"},
        "sniffing": {"enabled": False, "destOverride": ["tls"]},
    },
}
