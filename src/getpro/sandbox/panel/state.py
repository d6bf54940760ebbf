"""What the simulated panel knows: users, squads, and a record of every change for our judges."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from getpro.sandbox.panel.errors import PanelProblem, user_not_found
from getpro.sandbox.panel.moments import iso, now, parsed

_OURS = {
    "trafficLimitBytes",
    "trafficLimitStrategy",
    "telegramId",
    "email",
    "description",
    "tag",
    "hwidDeviceLimit",
    "trojanPassword",
    "ssPassword",
    "vlessUuid",
    "shortUuid",
}


@dataclass
class User:
    """A user; the names are the panel's own, as they stand in its JSON."""

    id: int
    username: str
    expireAt: datetime  # noqa: N815 -- the panel's name
    shortUuid: str = field(default_factory=lambda: secrets.token_urlsafe(12))  # noqa: N815
    status: str = "ACTIVE"
    trafficLimitBytes: int = 0  # noqa: N815
    trafficLimitStrategy: str = "NO_RESET"  # noqa: N815
    telegramId: int | None = None  # noqa: N815
    email: str | None = None
    description: str | None = None
    tag: str | None = None
    hwidDeviceLimit: int | None = None  # noqa: N815
    externalSquadUuid: str | None = None  # noqa: N815
    trojanPassword: str = field(default_factory=lambda: secrets.token_urlsafe(24))  # noqa: N815
    vlessUuid: str = field(default_factory=lambda: str(uuid4()))  # noqa: N815
    ssPassword: str = field(default_factory=lambda: secrets.token_urlsafe(24))  # noqa: N815
    lastTriggeredThreshold: int = 0  # noqa: N815
    subRevokedAt: datetime | None = None  # noqa: N815
    lastTrafficResetAt: datetime | None = None  # noqa: N815
    createdAt: datetime = field(default_factory=now)  # noqa: N815
    updatedAt: datetime = field(default_factory=now)  # noqa: N815
    squads: list[str] = field(default_factory=list)
    usedTrafficBytes: int = 0  # noqa: N815
    devices: list[dict[str, Any]] = field(default_factory=list)


Event = Callable[[str, User], None]


class State:
    """Users by id; every write is noted with the expiry before and after."""

    def __init__(self, *, on_event: Event, sub_domain: Callable[[], str]) -> None:
        self.users: dict[int, User] = {}
        self.squads = {str(uuid4()): "Default-Squad"}
        self.changes: list[dict[str, Any]] = []
        self._next_id = 1
        self._on_event = on_event
        self._sub_domain = sub_domain

    def create(self, body: dict[str, Any]) -> User:
        """Make a user; raises PanelProblem A019, A020, A018."""
        if any(user.username == body["username"] for user in self.users.values()):
            raise PanelProblem(400, "A019", "User username already exists")
        if any(user.shortUuid == body.get("shortUuid") for user in self.users.values()):
            raise PanelProblem(400, "A020", "User short UUID already exists")
        squads = self._known_squads(body, PanelProblem(500, "A018", "Failed to create user"))
        user = User(id=self._next_id, username=body["username"], expireAt=parsed(body["expireAt"]))
        self._next_id += 1
        self._set(user, body)
        user.status = body.get("status", "ACTIVE")
        user.squads = squads
        self.users[user.id] = user
        self._note("create", user, None)
        self._on_event("user.created", user)
        return user

    def update(self, body: dict[str, Any]) -> User:
        """Change what is named; raises PanelProblem A025, A039."""
        user = self.find(body)
        before = user.expireAt
        if "activeInternalSquads" in body:
            user.squads = self._known_squads(body, PanelProblem(500, "A039", "Update user error"))
        grown = body.get("trafficLimitBytes", user.trafficLimitBytes)
        if user.status == "LIMITED" and (grown == 0 or grown > user.trafficLimitBytes):
            user.status = "ACTIVE"
        self._set(user, body)
        if "expireAt" in body:
            user.expireAt = parsed(body["expireAt"])
            if user.status == "EXPIRED" and "status" not in body:
                user.status = "ACTIVE"
        user.status = body.get("status", user.status)
        self._note("update", user, before)
        self._on_event("user.modified", user)
        return user

    def find(self, body: dict[str, Any]) -> User:
        """The user named by id, or else by username; raises A025."""
        if "id" in body:
            found = self.users.get(body["id"])
        else:
            found = next((user for user in self.users.values() if user.username == body["username"]), None)
        if found is None:
            raise user_not_found()
        return found

    def set_status(self, user: User, status: str, event: str, already: PanelProblem) -> User:
        if user.status == status:
            raise already
        user.status = status
        self._note(event, user, user.expireAt)
        self._on_event(event, user)
        return user

    def extend(self, user: User, days: int) -> User:
        before = user.expireAt
        user.expireAt = max(before, now()) + timedelta(days=days)
        if user.status == "EXPIRED":
            user.status = "ACTIVE"
        self._note("extend", user, before)
        self._on_event("user.modified", user)
        return user

    def delete(self, user: User) -> None:
        del self.users[user.id]
        self._note("delete", user, user.expireAt)
        self._on_event("user.deleted", user)

    def expire_due(self) -> None:
        """What the panel's own job does: users whose time is over become EXPIRED."""
        for user in self.users.values():
            if user.status == "ACTIVE" and user.expireAt <= now():
                user.status = "EXPIRED"
                self._on_event("user.expired", user)

    def json(self, user: User) -> dict[str, Any]:
        """The user object of 3.x."""
        hidden = {"squads", "usedTrafficBytes", "devices"}
        shown = {item.name: getattr(user, item.name) for item in fields(user) if item.name not in hidden}
        shown = {name: iso(v) if isinstance(v, datetime) else v for name, v in shown.items()}
        return shown | {
            "subscriptionUrl": f"{self._sub_domain()}/{user.shortUuid}",
            "activeInternalSquads": [{"uuid": uuid, "name": self.squads[uuid]} for uuid in user.squads],
            "userTraffic": {
                "usedTrafficBytes": user.usedTrafficBytes,
                "lifetimeUsedTrafficBytes": user.usedTrafficBytes,
                "onlineAt": None,
                "firstConnectedAt": None,
                "lastConnectedNodeUuid": None,
            },
        }

    def _set(self, user: User, body: dict[str, Any]) -> None:
        for name in _OURS & body.keys():
            setattr(user, name, body[name])
        user.updatedAt = now()

    def _known_squads(self, body: dict[str, Any], otherwise: PanelProblem) -> list[str]:
        wanted: list[str] = body.get("activeInternalSquads", [])
        if any(uuid not in self.squads for uuid in wanted):
            raise otherwise
        return list(dict.fromkeys(wanted))

    def _note(self, what: str, user: User, before: datetime | None) -> None:
        self.changes.append(
            {
                "at": iso(now()),
                "what": what,
                "id": user.id,
                "username": user.username,
                "telegramId": user.telegramId,
                "before": iso(before),
                "after": iso(user.expireAt),
                "status": user.status,
            }
        )
