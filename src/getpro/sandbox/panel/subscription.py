"""A customer's subscription link: what a client application downloads."""

import base64
from typing import Any

from aiohttp import web

from getpro.sandbox.panel.moments import iso, now
from getpro.sandbox.panel.state import User


def info_object(user: User, url: str) -> dict[str, Any]:
    left = max((user.expireAt - now()).days, 0)
    return {
        "isFound": True,
        "user": {
            "shortUuid": user.shortUuid,
            "daysLeft": left,
            "trafficUsed": "0",
            "trafficLimit": "0",
            "lifetimeTrafficUsed": "0",
            "lifetimeTrafficUsedBytes": str(user.usedTrafficBytes),
            "trafficLimitBytes": str(user.trafficLimitBytes),
            "trafficUsedBytes": str(user.usedTrafficBytes),
            "username": user.username,
            "expiresAt": iso(user.expireAt),
            "isActive": user.status == "ACTIVE",
            "userStatus": user.status,
            "trafficLimitStrategy": user.trafficLimitStrategy,
        },
        "links": [_link(user)],
        "ssConfLinks": {},
        "subscriptionUrl": url,
    }


def links_page(user: User) -> web.Response:
    """The links, base64 as clients expect them, with the header that tells traffic and end."""
    told = f"upload=0; download={user.usedTrafficBytes}; total={user.trafficLimitBytes}"
    expire = int(user.expireAt.timestamp())
    return web.Response(
        text=base64.b64encode(_link(user).encode()).decode(),
        headers={"subscription-userinfo": f"{told}; expire={expire}"},
    )


def _link(user: User) -> str:
    if user.status != "ACTIVE":
        return f"vless://00000000-0000-0000-0000-000000000000@0.0.0.0:1#{user.status}"
    return f"vless://{user.vlessUuid}@node.example:443?security=reality#Sandbox"
