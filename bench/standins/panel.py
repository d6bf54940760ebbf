"""``python -m bench.standins.panel --port P``: a Remnawave panel 3.3.2, as far as the shop asks it."""

import asyncio
import itertools
import secrets
import time
from datetime import UTC, datetime
from typing import Any, Final

from bench.standins.serving import Feed, Reply, Request, serve

SQUAD: Final = {"uuid": "11111111-1111-4111-8111-111111111111", "name": "Default-Squad"}
feed = Feed()
ids = itertools.count(1)
users: dict[str, dict[str, Any]] = {}
"""By number."""
numbers: dict[str, str] = {}
"""The users' numbers by name."""
state = {"latency_seconds": 0.0}


async def handle(request: Request) -> Reply:
    if request.path == "/_latency":
        state["latency_seconds"] = request.parameters()["seconds"]
        return Reply({})
    await asyncio.sleep(state["latency_seconds"] / 2)
    reply = _users(request) if request.path.startswith("/api/users") else _others(request.path)
    await asyncio.sleep(state["latency_seconds"] / 2)
    return reply


def _users(request: Request) -> Reply:
    asked = request.path.removeprefix("/api/users").strip("/").split("/")
    if request.method == "POST" and asked == [""]:
        return Reply({"response": _create(request.parameters())}, 201)
    if request.method == "PATCH":
        fields = request.parameters()
        return Reply({"response": _change(users[str(fields["id"])], fields)})
    if asked[0] == "stream":
        return Reply({"response": {"users": list(users.values()), "nextCursor": None, "hasMore": False}})
    number = numbers.get(asked[1]) if asked[0] == "by-username" else asked[0]
    if number not in users:
        return Reply({"errorCode": "A062", "message": "User not found"}, 404)
    return Reply({"response": users[number]})


def _create(fields: dict[str, Any]) -> dict[str, Any]:
    number = next(ids)
    short = secrets.token_urlsafe(12)
    user = {
        "id": number,
        "shortUuid": short,
        "username": fields["username"],
        "status": "ACTIVE",
        "telegramId": None,
        "description": None,
        "subscriptionUrl": f"https://sub.example.test/{short}",
        "activeInternalSquads": [],
        "hwidDeviceLimit": None,
        "userTraffic": {"usedTrafficBytes": 0},
    }
    users[str(number)] = user
    numbers[fields["username"]] = str(number)
    return _change(user, fields)


def _change(user: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    user |= fields
    user["activeInternalSquads"] = [SQUAD for _ in fields.get("activeInternalSquads", ())]
    feed.add({"at": time.monotonic(), "who": user["telegramId"], "end": user["expireAt"]})
    return user


def _others(path: str) -> Reply:
    if path == "/api/system/metadata":
        return Reply({"response": {"version": "3.3.2"}})
    if path == "/api/internal-squads":
        return Reply({"response": {"internalSquads": [SQUAD]}})
    if path.startswith("/api/hwid/devices"):
        return Reply({"response": {"total": 0, "devices": []}})
    return Reply({"errorCode": "A000", "message": f"{datetime.now(UTC)}: {path} is not played"}, 404)


if __name__ == "__main__":
    serve(handle, feed, "Remnawave")
