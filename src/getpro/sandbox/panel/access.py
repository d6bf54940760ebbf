"""Who may ask the panel: its API tokens with their scopes, and the administrator's own token."""

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from aiohttp import web

from getpro.sandbox.panel.editions import Edition
from getpro.sandbox.panel.errors import PanelProblem, plain
from getpro.sandbox.panel.fields import check_body, many, number, text
from getpro.sandbox.panel.http import answer, read_json
from getpro.sandbox.panel.moments import Clock, iso

_TOKENS: Final = "/api/tokens"


@dataclass(frozen=True)
class ApiToken:
    """A token that the administrator has made. Scopes are ``*``, ``users:*``, ``users:read`` and so on."""

    name: str
    scopes: list[str]
    expire_at: datetime
    created_at: datetime
    uuid: str = field(default_factory=lambda: str(uuid4()))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def allows(self, request: web.Request) -> bool:
        """By resource and kind of call; scopes of single endpoints (``users:create``) are not played."""
        resource = request.path.split("/")[2]
        kind = "read" if request.method == "GET" else "write"
        return not {"*", f"{resource}:*", f"{resource}:{kind}"}.isdisjoint(self.scopes)


class Access:
    """The guard's list. ``admin_token`` is what a person gets who signs in to the panel's own page."""

    def __init__(self, token: str, clock: Clock, edition: Edition) -> None:
        """``token`` may do everything but make tokens, as one with the scope ``*``."""
        self.admin_token = secrets.token_urlsafe(32)
        self._clock = clock
        self._edition = edition
        self._tokens = [ApiToken("shop", ["*"], clock() + timedelta(days=36500), clock(), secret=token)]
        self._deleted: set[str] = set()

    def refusal(self, request: web.Request) -> web.Response | None:
        """How the request is turned away before anybody reads it; None when it may pass."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(given.encode(), self.admin_token.encode()):
            if request.headers.get("X-Remnawave-Client-Type") == "browser":
                return None
            message = "For API requests you must create own API-token in the admin dashboard."
            return plain(403, message, "Forbidden")
        token = next((known for known in self._tokens if known.secret == given), None)
        if token is None and given not in self._deleted:
            return plain(401, "Unauthorized")
        if request.path.startswith(_TOKENS):
            return PanelProblem(403, "E000", "Forbidden").answer(request.path, self._clock())
        if token is None or not token.allows(request):
            return plain(403, "Forbidden resource", "Forbidden")
        return None

    def routes(self) -> list[web.RouteDef]:
        return [web.post(_TOKENS, self._create), web.delete(f"{_TOKENS}/{{uuid}}", self._delete)]

    async def _create(self, request: web.Request) -> web.Response:
        checks = {"name": text(least=2, most=30), "expiresInDays": number(least=1), "scopes": many(text())}
        body = check_body(await read_json(request), checks, required=("name", "expiresInDays", "scopes"))
        at = self._clock()
        made = ApiToken(body["name"], body["scopes"], at + timedelta(days=body["expiresInDays"]), at)
        self._tokens.append(made)
        return answer(_shown(made), status=201)

    async def _delete(self, request: web.Request) -> web.Response:
        for token in [known for known in self._tokens if known.uuid == request.match_info["uuid"]]:
            self._tokens.remove(token)
            self._deleted.add(token.secret)
        return self._edition.done(204, told=True)


def _shown(token: ApiToken) -> dict[str, Any]:
    return {
        "uuid": token.uuid,
        "name": token.name,
        "expireAt": iso(token.expire_at),
        "scopes": token.scopes,
        "createdAt": iso(token.created_at),
        "updatedAt": iso(token.created_at),
        "token": token.secret,
    }
