"""``/api/users``: made, changed, found, acted upon, one by one and in bulk."""

from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from getpro.sandbox.panel.errors import PanelProblem
from getpro.sandbox.panel.fields import (
    CREATE,
    USER_IDS,
    Check,
    anything,
    check_body,
    flag,
    many,
    number,
    text,
    update_fields,
    uuid,
)
from getpro.sandbox.panel.http import answer, custom, query_integer, read_json, user_id
from getpro.sandbox.panel.state import State, User

_REVOKE: Final[dict[str, Check]] = {"revokeOnlyPasswords": flag, "shortUuid": text(least=16, most=64)}


class Users:
    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/users", self._create),
            web.patch("/api/users", self._update),
            web.get("/api/users", self._list),
            web.get("/api/users/stream", self._stream),
            web.get("/api/users/tags", self._tags),
            web.post("/api/users/resolve", self._resolve),
            web.get("/api/users/by-username/{username}", self._by_username),
            web.get("/api/users/by-short-uuid/{short}", self._by_short_uuid),
            web.get("/api/users/{id}", self._by_id),
            web.delete("/api/users/{id}", self._delete),
            web.get("/api/users/{id}/accessible-nodes", self._nodes),
            web.get("/api/users/{id}/subscription-request-history", self._requests),
            web.post("/api/users/{id}/actions/disable", self._disable),
            web.post("/api/users/{id}/actions/enable", self._enable),
            web.post("/api/users/{id}/actions/extend", self._extend),
            web.post("/api/users/{id}/actions/reset-traffic", self._reset_traffic),
            web.post("/api/users/{id}/actions/revoke", self._revoke),
            web.post("/api/users/bulk/delete", self._delete_many),
            web.post("/api/users/bulk/extend-expiration-date", self._extend_many),
            web.post("/api/users/bulk/reset-traffic", self._reset_traffic_of_many),
            web.post("/api/users/bulk/update", self._update_many),
            web.post("/api/users/bulk/update-squads", self._update_squads_of_many),
            web.get("/api/metadata/user/{id}", self._metadata),
            web.put("/api/metadata/user/{id}", self._keep_metadata),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        body = check_body(await read_json(request), CREATE, required=("username", "expireAt"))
        return answer(self._state.json(self._state.create(body)), status=201)

    async def _update(self, request: web.Request) -> web.Response:
        body = check_body(await read_json(request), update_fields(self._state.clock))
        if not {"id", "username"} & body.keys():
            raise custom("At least one of username, id must be provided")
        return answer(self._state.json(self._state.update(body)))

    async def _list(self, request: web.Request) -> web.Response:
        """Newest first; the stream goes the other way."""
        start, size = (
            query_integer(request, "start", 0),
            query_integer(request, "size", 25, least=1, most=1000),
        )
        users = sorted(self._state.users.values(), key=lambda user: -user.id)
        page = [self._state.json(user) for user in users[start : start + size]]
        return answer({"users": page, "total": len(users)})

    async def _stream(self, request: web.Request) -> web.Response:
        cursor = query_integer(request, "cursor", 0)
        size = query_integer(request, "size", 250, least=1, most=1000)
        telegram_id = query_integer(request, "telegramId", 0)
        found = [
            user
            for user in sorted(self._state.users.values(), key=lambda user: user.id)
            if user.id > cursor
            and (not telegram_id or user.telegramId == telegram_id)
            and request.query.get("email") in {None, user.email}
            and request.query.get("tag") in {None, user.tag}
            and request.query.get("status") in {None, user.status}
        ]
        page, more = found[:size], len(found) > size
        return answer(
            {
                "users": [self._state.json(user) for user in page],
                "nextCursor": str(page[-1].id) if more else None,
                "hasMore": more,
            }
        )

    async def _tags(self, _: web.Request) -> web.Response:
        return answer({"tags": sorted({user.tag for user in self._state.users.values() if user.tag})})

    async def _resolve(self, request: web.Request) -> web.Response:
        body = check_body(await read_json(request), {"id": number(), "shortUuid": text(), "username": text()})
        if len(body) != 1:
            raise custom("Exactly one of id, shortUuid, or username must be provided")
        ((name, value),) = body.items()
        try:
            user = self._state.where(name, value)
        except PanelProblem:
            raise PanelProblem(404, "A025", "User not found") from None
        return answer({"id": user.id, "username": user.username, "shortUuid": user.shortUuid})

    async def _by_username(self, request: web.Request) -> web.Response:
        return answer(self._state.json(self._state.where("username", request.match_info["username"])))

    async def _by_short_uuid(self, request: web.Request) -> web.Response:
        return answer(self._state.json(self._state.where("shortUuid", request.match_info["short"])))

    async def _by_id(self, request: web.Request) -> web.Response:
        return answer(self._state.json(self._state.where("id", user_id(request))))

    async def _delete(self, request: web.Request) -> web.Response:
        self._state.delete(self._existing(request))
        return web.Response(status=204)

    async def _nodes(self, request: web.Request) -> web.Response:
        return answer({"userId": self._existing(request).id, "activeNodes": []})

    async def _requests(self, request: web.Request) -> web.Response:
        user = self._existing(request)
        return answer({"total": len(user.requests), "records": user.requests})

    async def _disable(self, request: web.Request) -> web.Response:
        already = PanelProblem(400, "A029", "User already disabled")
        user = self._existing(request)
        self._state.set_status(user, "DISABLED", "user.disabled", already)
        return answer(self._state.json(user))

    async def _enable(self, request: web.Request) -> web.Response:
        already = PanelProblem(400, "A030", "User already enabled")
        user = self._existing(request)
        self._state.set_status(user, "ACTIVE", "user.enabled", already)
        return answer(self._state.json(user))

    async def _extend(self, request: web.Request) -> web.Response:
        body = check_body(await read_json(request), {"days": number(least=1)}, required=("days",))
        user = self._existing(request)
        self._state.extend(user, body["days"])
        return answer(self._state.json(user))

    async def _reset_traffic(self, request: web.Request) -> web.Response:
        user = self._existing(request)
        self._state.reset_traffic(user)
        return answer(self._state.json(user))

    async def _revoke(self, request: web.Request) -> web.Response:
        body = check_body(await read_json(request) or {}, _REVOKE)
        user = self._existing(request)
        self._state.revoke(
            user,
            short_uuid=body.get("shortUuid"),
            only_passwords=body.get("revokeOnlyPasswords", False),
        )
        return answer(self._state.json(user))

    async def _delete_many(self, request: web.Request) -> web.Response:
        for user in self._named(await self._bulk(request)):
            self._state.delete(user)
        return web.Response(status=204)

    async def _extend_many(self, request: web.Request) -> web.Response:
        body = await self._bulk(request, extendDays=number(least=1))
        for user in self._named(body):
            self._state.extend(user, body["extendDays"])
        return web.Response(status=204)

    async def _reset_traffic_of_many(self, request: web.Request) -> web.Response:
        for user in self._named(await self._bulk(request)):
            self._state.reset_traffic(user)
        return web.Response(status=202)

    async def _update_many(self, request: web.Request) -> web.Response:
        body = await self._bulk(request, fields=anything)
        allowed = {k: v for k, v in update_fields(self._state.clock).items() if k not in {"id", "username"}}
        fields = check_body(body["fields"], allowed)
        for user in self._named(body):
            self._state.update(fields | {"id": user.id})
        return web.Response(status=202)

    async def _update_squads_of_many(self, request: web.Request) -> web.Response:
        body = await self._bulk(request, activeInternalSquads=many(uuid))
        for user in self._named(body):
            self._state.update({"id": user.id, "activeInternalSquads": body["activeInternalSquads"]})
        return web.Response(status=204)

    async def _metadata(self, request: web.Request) -> web.Response:
        user = self._existing(request)
        if user.metadata is None:
            raise PanelProblem(404, "A226", "Metadata not found")
        return answer({"metadata": user.metadata})

    async def _keep_metadata(self, request: web.Request) -> web.Response:
        body = check_body(await read_json(request), {"metadata": anything}, required=("metadata",))
        self._existing(request).metadata = body["metadata"]
        return answer({"metadata": body["metadata"]})

    async def _bulk(self, request: web.Request, **more: Check) -> dict[str, Any]:
        """A bulk call's body. The panel queues the work; here it is done by the time of the answer."""
        checks = {"userIds": USER_IDS} | more
        return check_body(await read_json(request), checks, required=tuple(checks))

    def _named(self, body: dict[str, Any]) -> Iterable[User]:
        """The named users who exist: a bulk call is silent about the others."""
        return [self._state.users[number] for number in body["userIds"] if number in self._state.users]

    def _existing(self, request: web.Request) -> User:
        return self._state.existing(user_id(request))
