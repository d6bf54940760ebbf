"""A customer's subscription: what a client application downloads, and what the panel tells about it."""

import base64
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from getpro.sandbox.panel.devices import Devices
from getpro.sandbox.panel.errors import PanelProblem
from getpro.sandbox.panel.http import answer
from getpro.sandbox.panel.moments import iso
from getpro.sandbox.panel.state import State, User

_REMARKS: Final = {
    "EXPIRED": "Subscription expired",
    "LIMITED": "Subscription limited",
    "DISABLED": "Subscription disabled",
}
_NOT_SUPPORTED: Final = {"x-hwid-active": "true", "x-hwid-not-supported": "true", "x-hwid-limit": "true"}
_TOO_MANY: Final = {"x-hwid-active": "true", "x-hwid-max-devices-reached": "true", "x-hwid-limit": "true"}


class Subscriptions:
    def __init__(self, state: State, devices: Devices) -> None:
        self._state = state
        self._devices = devices
        self._last_request = 0

    def routes(self) -> list[web.RouteDef]:
        key = self._state.edition.key
        return [
            web.get("/api/sub/{short}/info", self._public_info),
            web.get("/api/sub/{short}", self._download),
            web.get("/api/subscriptions/by-username/{username}", self._by_username),
            web.get("/api/subscriptions/by-short-uuid/{short}", self._by_short_uuid),
            web.get(f"/api/subscriptions/by-{key}/{{user}}", self._by_key),
            web.get("/api/subscriptions/connection-keys/{user}", self._keys),
        ]

    async def _public_info(self, request: web.Request) -> web.Response:
        user = self._asked(request)
        return _no_subscription() if user is None else answer(self._info(user))

    async def _download(self, request: web.Request) -> web.Response:
        """The links, base64 as client applications expect them; a browser gets the facts instead."""
        user = self._asked(request)
        if user is None:
            return _no_subscription()
        if request.headers.get("User-Agent", "").startswith("Mozilla"):
            return web.json_response(self._info(user))
        refused, headers = self._check_device(request, user)
        link = _dummy(refused) if refused else _link(user)
        if not refused and user.status == "ACTIVE":
            self._remember(request, user)
        told = f"upload=0; download={user.traffic['usedTrafficBytes']}; total={user.trafficLimitBytes}"
        return web.Response(
            text=base64.b64encode(link.encode()).decode(),
            headers=headers
            | {
                "content-disposition": f"attachment; filename={user.username}",
                "subscription-userinfo": f"{told}; expire={int(user.expireAt.timestamp())}",
            },
        )

    def _check_device(self, request: web.Request, user: User) -> tuple[str, dict[str, str]]:
        """Why the device gets nothing, empty if it may pass, and the headers that say so.

        A new device that may come is written down; one that is known only shows a new sign of life.
        """
        if self._devices.limit(user) is None:
            return "", {}
        hwid = request.headers.get("x-hwid", "")
        if not hwid:
            return "App not supported", _NOT_SUPPORTED
        details = {
            "platform": request.headers.get("x-device-os"),
            "osVersion": request.headers.get("x-ver-os"),
            "deviceModel": request.headers.get("x-device-model"),
            "userAgent": request.headers.get("User-Agent"),
            "requestIp": request.remote,
        }
        known = next((device for device in user.devices if device["hwid"] == hwid), None)
        if known is not None:
            known.update(details, updatedAt=iso(self._state.clock()))
        else:
            try:
                self._devices.add(user, hwid, details)
            except PanelProblem:
                return "Limit of devices reached", _TOO_MANY
        return "", {"x-hwid-active": "true"}

    def _remember(self, request: web.Request, user: User) -> None:
        self._last_request += 1
        user.requests.insert(
            0,
            {
                "id": self._last_request,
                "userId": user.id,
                "requestAt": iso(self._state.clock()),
                "requestIp": request.remote,
                "userAgent": request.headers.get("User-Agent"),
                "srrRuleName": "Fallback Base64",
                "srrResponseType": "XRAY_BASE64",
            },
        )

    async def _by_username(self, request: web.Request) -> web.Response:
        return answer(self._info(self._state.where("username", request.match_info["username"])))

    async def _by_short_uuid(self, request: web.Request) -> web.Response:
        return answer(self._info(self._state.where("shortUuid", request.match_info["short"])))

    async def _by_key(self, request: web.Request) -> web.Response:
        return answer(self._info(self._named(request)))

    async def _keys(self, request: web.Request) -> web.Response:
        return answer({"enabledKeys": [_link(self._named(request))], "hiddenKeys": [], "disabledKeys": []})

    def _named(self, request: web.Request) -> User:
        return self._state.where(self._state.edition.key, self._state.edition.user_key(request))

    def _asked(self, request: web.Request) -> User | None:
        short = request.match_info["short"]
        return next((user for user in self._state.users.values() if user.shortUuid == short), None)

    def _info(self, user: User) -> dict[str, Any]:
        """The facts of a subscription; its links are withheld while devices are limited, as recorded."""
        used = user.traffic["usedTrafficBytes"]
        return {
            "isFound": True,
            "user": {
                "shortUuid": user.shortUuid,
                "daysLeft": max((user.expireAt - self._state.clock()).days, 0),
                "trafficUsed": _human(used),
                "trafficLimit": _human(user.trafficLimitBytes),
                "lifetimeTrafficUsed": _human(user.traffic["lifetimeUsedTrafficBytes"]),
                "lifetimeTrafficUsedBytes": str(user.traffic["lifetimeUsedTrafficBytes"]),
                "trafficLimitBytes": str(user.trafficLimitBytes),
                "trafficUsedBytes": str(used),
                "username": user.username,
                "expiresAt": iso(user.expireAt),
                "isActive": user.status == "ACTIVE",
                "userStatus": user.status,
                "trafficLimitStrategy": user.trafficLimitStrategy,
            },
            "links": [] if self._devices.limit(user) is not None else [_link(user)],
            "ssConfLinks": {},
            "subscriptionUrl": self._state.json(user)["subscriptionUrl"],
        }


def _no_subscription() -> web.Response:
    body = {"isFound": False, "statusCode": 404, "message": "Resource not found"}
    return web.json_response(body, status=404)


def _link(user: User) -> str:
    if user.status != "ACTIVE":
        return _dummy(_REMARKS[user.status])
    return f"vless://{user.vlessUuid}@node.example:443?security=reality#Sandbox"


def _dummy(remark: str) -> str:
    """A link that leads nowhere and whose name tells the customer why."""
    return f"vless://00000000-0000-0000-0000-000000000000@0.0.0.0:1?security=none#{quote(remark)}"


def _human(size: float) -> str:
    for unit in ("", " KiB", " MiB", " GiB"):
        if size < 1024:
            return f"{size:.4g}{unit}"
        size /= 1024
    return f"{size:.4g} TiB"
