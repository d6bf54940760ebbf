"""``/api/hwid/devices``: the devices of a user, and whether one more may come."""

from typing import Any, Final

from aiohttp import web

from getpro.sandbox.panel.errors import PanelProblem
from getpro.sandbox.panel.fields import Check, check_body, nullable, text
from getpro.sandbox.panel.http import answer, query_integer, read_json
from getpro.sandbox.panel.moments import iso
from getpro.sandbox.panel.state import State, User

_HWID: Final = text(pattern="[a-zA-Z0-9=-]{10,64}")
_DETAILS: Final = ("platform", "osVersion", "deviceModel", "userAgent", "requestIp")
_NEW: Final[dict[str, Check]] = {
    "hwid": _HWID,
    **{name: nullable(text()) for name in _DETAILS},
}


class Devices:
    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/hwid/devices", self._list_all),
            web.get("/api/hwid/devices/stats", self._stats),
            web.get("/api/hwid/devices/{user}", self._list),
            web.post("/api/hwid/devices", self._create),
            web.post("/api/hwid/devices/delete", self._delete),
            web.post("/api/hwid/devices/delete-all", self._delete_all),
        ]

    def limit(self, user: User) -> int | None:
        """How many devices the user may have; None for any number."""
        if self._state.device_limit is None or user.hwidDeviceLimit == 0:
            return None
        return user.hwidDeviceLimit or self._state.device_limit

    def add(self, user: User, hwid: str, details: dict[str, Any]) -> None:
        """Add a device; raises PanelProblem A098, A099."""
        if any(device["hwid"] == hwid for device in user.devices):
            raise PanelProblem(400, "A098", "User hwid device already exists")
        limit = self.limit(user)
        if limit is not None and len(user.devices) >= limit:
            raise PanelProblem(400, "A099", "User hwid device limit reached")
        at = iso(self._state.clock())
        device = {"hwid": hwid, "userId": user.id, **{name: details.get(name) for name in _DETAILS}}
        device |= {"createdAt": at, "updatedAt": at}
        user.devices.insert(0, device)
        self._state.tell_of_device("user_hwid_devices.added", user, device)

    async def _stats(self, _: web.Request) -> web.Response:
        users = [user for user in self._state.users.values() if user.devices]
        devices = [device for user in users for device in user.devices]
        platforms = sorted({str(device["platform"]) for device in devices})
        by_platform = [
            {"platform": name, "count": sum(str(device["platform"]) == name for device in devices)}
            for name in platforms
        ]
        stats = {
            "totalUniqueDevices": len({device["hwid"] for device in devices}),
            "totalHwidDevices": len(devices),
            "averageHwidDevicesPerUser": round(len(devices) / len(users), 2) if users else 0,
        }
        return answer({"byPlatform": by_platform, "stats": stats})

    async def _list_all(self, request: web.Request) -> web.Response:
        start = query_integer(request, "start", 0)
        size = query_integer(request, "size", 25, least=1, most=1000)
        devices = [device for user in self._state.users.values() for device in user.devices]
        return answer({"total": len(devices), "devices": devices[start : start + size]})

    async def _list(self, request: web.Request) -> web.Response:
        return _all_of(self._state.existing(self._state.edition.user_key(request)))

    async def _create(self, request: web.Request) -> web.Response:
        user, body = await self._asked(request, _NEW, "hwid")
        self.add(user, body["hwid"], body)
        return _all_of(user)

    async def _delete(self, request: web.Request) -> web.Response:
        user, body = await self._asked(request, {"hwid": text()}, "hwid")
        gone = [device for device in user.devices if device["hwid"] == body["hwid"]]
        if not gone:
            raise PanelProblem(404, "A204", "HWID device not found")
        self._remove(user, gone)
        return _all_of(user)

    async def _delete_all(self, request: web.Request) -> web.Response:
        user, _ = await self._asked(request, {})
        self._remove(user, list(user.devices))
        return _all_of(user)

    async def _asked(
        self, request: web.Request, checks: dict[str, Check], *required: str
    ) -> tuple[User, dict[str, Any]]:
        """The user whom the body names, and the body."""
        edition = self._state.edition
        checks = {edition.named_by: edition.key_check} | checks
        body = check_body(await read_json(request), checks, required=(edition.named_by, *required))
        return self._state.existing(body[edition.named_by]), body

    def _remove(self, user: User, gone: list[dict[str, Any]]) -> None:
        for device in gone:
            user.devices.remove(device)
            self._state.tell_of_device("user_hwid_devices.deleted", user, device)


def _all_of(user: User) -> web.Response:
    return answer({"total": len(user.devices), "devices": user.devices})
