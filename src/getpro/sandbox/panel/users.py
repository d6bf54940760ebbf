"""``/api/users``: made, changed, found, acted upon, one by one and in bulk."""

from typing import Any

from aiohttp import web

from getpro.sandbox.panel.errors import PanelProblem
from getpro.sandbox.panel.fields import (
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
from getpro.sandbox.panel.http import answer, custom, integer, query_integer, read_json
from getpro.sandbox.panel.state import State, User


class Users:
    def __init__(self, state: State) -> None:
        self._state = state
        self._edition = state.edition

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
            web.get("/api/users/by-id/{value}", self._by_number),
            web.get("/api/users/by-telegram-id/{value}", self._by_telegram_id),
            web.get("/api/users/by-email/{value}", self._by_email),
            web.get("/api/users/by-tag/{value}", self._by_tag),
            web.get("/api/users/{user}", self._by_key),
            web.delete("/api/users/{user}", self._delete),
            web.get("/api/users/{user}/accessible-nodes", self._nodes),
            web.get("/api/users/{user}/subscription-request-history", self._requests),
            web.post("/api/users/{user}/actions/disable", self._disable),
            web.post("/api/users/{user}/actions/enable", self._enable),
            web.post("/api/users/{user}/actions/extend", self._extend),
            web.post("/api/users/{user}/actions/reset-traffic", self._reset_traffic),
            web.post("/api/users/{user}/actions/revoke", self._revoke),
            web.post("/api/users/bulk/delete", self._delete_many),
            web.post("/api/users/bulk/extend-expiration-date", self._extend_many),
            web.post("/api/users/bulk/reset-traffic", self._reset_traffic_of_many),
            web.post("/api/users/bulk/update", self._update_many),
            web.post("/api/users/bulk/update-squads", self._update_squads_of_many),
            web.get("/api/metadata/user/{user}", self._metadata),
            web.put("/api/metadata/user/{user}", self._keep_metadata),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        fields = self._edition.create_fields
        body = check_body(await read_json(request), fields, required=("username", "expireAt"))
        return answer(self._state.json(self._state.create(body)), status=201)

    async def _update(self, request: web.Request) -> web.Response:
        key = self._edition.key
        fields = update_fields(self._state.clock) | {key: self._edition.key_check}
        body = check_body(await read_json(request), fields)
        name = next((name for name in (key, "username") if name in body), None)
        if name is None:
            raise custom(self._edition.neither)
        user = self._state.existing(body[name], name)
        self._state.update(user, body)
        return answer(self._state.json(user))

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
        heeded = {name: request.query[name] for name in self._edition.filters if name in request.query}
        if "telegramId" in heeded:
            query_integer(request, "telegramId", 0)
        found = [
            user
            for user in sorted(self._state.users.values(), key=lambda user: user.id)
            if user.id > cursor and all(str(getattr(user, name)) == heeded[name] for name in heeded)
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
        checks = {name: number() if name == "id" else text() for name in self._edition.resolved_by}
        body = check_body(await read_json(request), checks)
        if len(body) != 1:
            raise custom("Exactly one of id, shortUuid, or username must be provided")
        ((name, value),) = body.items()
        user = self._state.existing(value, name)
        return answer({name: getattr(user, name) for name in self._edition.resolved_by})

    async def _by_username(self, request: web.Request) -> web.Response:
        return answer(self._state.json(self._state.where("username", request.match_info["username"])))

    async def _by_short_uuid(self, request: web.Request) -> web.Response:
        return answer(self._state.json(self._state.where("shortUuid", request.match_info["short"])))

    async def _by_key(self, request: web.Request) -> web.Response:
        found = self._state.where(self._edition.key, self._edition.user_key(request))
        return answer(self._state.json(found))

    async def _by_number(self, request: web.Request) -> web.Response:
        return answer(self._state.json(self._state.where("id", integer("id", request.match_info["value"]))))

    async def _by_telegram_id(self, request: web.Request) -> web.Response:
        try:
            value = int(request.match_info["value"])
        except ValueError:
            raise PanelProblem(500, "A026", "Get user by error") from None
        return self._all_where("telegramId", value)

    async def _by_email(self, request: web.Request) -> web.Response:
        return self._all_where("email", request.match_info["value"])

    async def _by_tag(self, request: web.Request) -> web.Response:
        return self._all_where("tag", request.match_info["value"])

    async def _delete(self, request: web.Request) -> web.Response:
        self._state.delete(self._existing(request))
        return self._edition.done(204, {"isDeleted": True})

    async def _nodes(self, request: web.Request) -> web.Response:
        key = getattr(self._existing(request), self._edition.key)
        return answer({self._edition.named_by: key, "activeNodes": []})

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
        checks = {"revokeOnlyPasswords": flag, "shortUuid": self._edition.revoke_short_uuid}
        body = check_body(await read_json(request) or {}, checks)
        user = self._existing(request)
        self._state.revoke(
            user,
            short_uuid=body.get("shortUuid"),
            only_passwords=body.get("revokeOnlyPasswords", False),
        )
        return answer(self._state.json(user))

    async def _delete_many(self, request: web.Request) -> web.Response:
        users, _ = await self._bulk(request)
        for user in users:
            self._state.delete(user)
        return self._edition.done(204, {"affectedRows": len(users)})

    async def _extend_many(self, request: web.Request) -> web.Response:
        users, body = await self._bulk(request, extendDays=number(least=1))
        for user in users:
            self._state.extend(user, body["extendDays"])
        return self._edition.done(204, {"affectedRows": len(users)})

    async def _reset_traffic_of_many(self, request: web.Request) -> web.Response:
        users, _ = await self._bulk(request)
        for user in users:
            self._state.reset_traffic(user)
        return self._edition.done(202, {"affectedRows": len(users)})

    async def _update_many(self, request: web.Request) -> web.Response:
        users, body = await self._bulk(request, fields=anything)
        allowed = {k: v for k, v in update_fields(self._state.clock).items() if k != "username"}
        fields = check_body(body["fields"], allowed)
        for user in users:
            self._state.update(user, fields)
        return self._edition.done(202, {"affectedRows": len(users)})

    async def _update_squads_of_many(self, request: web.Request) -> web.Response:
        users, body = await self._bulk(request, activeInternalSquads=many(uuid))
        for user in users:
            self._state.update(user, {"activeInternalSquads": body["activeInternalSquads"]})
        return self._edition.done(204, {"affectedRows": len(users)})

    async def _metadata(self, request: web.Request) -> web.Response:
        user = self._existing(request)
        if user.metadata is None:
            raise PanelProblem(404, "A226", "Metadata not found")
        return answer({"metadata": user.metadata})

    async def _keep_metadata(self, request: web.Request) -> web.Response:
        body = check_body(await read_json(request), {"metadata": anything}, required=("metadata",))
        self._existing(request).metadata = body["metadata"]
        return answer({"metadata": body["metadata"]})

    async def _bulk(self, request: web.Request, **more: Check) -> tuple[list[User], dict[str, Any]]:
        """Those whom a bulk call names, and its body.

        The panel queues the work; here it is done by the time of the answer.
        """
        checks = {self._edition.many_named_by: many(self._edition.key_check, least=1)} | more
        body = check_body(await read_json(request), checks, required=tuple(checks))
        return self._state.named_in(body), body

    def _all_where(self, name: str, value: Any) -> web.Response:
        return answer([self._state.json(user) for user in self._state.all_where(name, value)])

    def _existing(self, request: web.Request) -> User:
        return self._state.existing(self._edition.user_key(request))
