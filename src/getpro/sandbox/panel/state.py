"""What the simulated panel knows: users, squads, and a record of every change for our judges."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from getpro.sandbox.panel.editions import Edition
from getpro.sandbox.panel.errors import PanelProblem, nobody_with_that, user_not_found
from getpro.sandbox.panel.moments import Clock, iso, parsed

_WRITABLE = {
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
    "uuid",
}


def _short() -> str:
    return secrets.token_urlsafe(12)


def _password() -> str:
    return secrets.token_urlsafe(24)


@dataclass
class User:
    """A user; the names are the panel's own, as they stand in its JSON."""

    id: int
    username: str
    expireAt: datetime  # noqa: N815 -- the panel's name
    createdAt: datetime  # noqa: N815
    updatedAt: datetime  # noqa: N815
    uuid: str = field(default_factory=lambda: str(uuid4()))
    shortUuid: str = field(default_factory=_short)  # noqa: N815
    status: str = "ACTIVE"
    trafficLimitBytes: int = 0  # noqa: N815
    trafficLimitStrategy: str = "NO_RESET"  # noqa: N815
    telegramId: int | None = None  # noqa: N815
    email: str | None = None
    description: str | None = None
    tag: str | None = None
    hwidDeviceLimit: int | None = None  # noqa: N815
    externalSquadUuid: str | None = None  # noqa: N815
    trojanPassword: str = field(default_factory=_password)  # noqa: N815
    vlessUuid: str = field(default_factory=lambda: str(uuid4()))  # noqa: N815
    ssPassword: str = field(default_factory=_password)  # noqa: N815
    lastTriggeredThreshold: int = 0  # noqa: N815
    subRevokedAt: datetime | None = None  # noqa: N815
    lastTrafficResetAt: datetime | None = None  # noqa: N815
    squads: list[str] = field(default_factory=list)
    traffic: dict[str, Any] = field(
        default_factory=lambda: {
            "usedTrafficBytes": 0,
            "lifetimeUsedTrafficBytes": 0,
            "onlineAt": None,
            "firstConnectedAt": None,
            "lastConnectedNodeUuid": None,
        }
    )
    devices: list[dict[str, Any]] = field(default_factory=list)
    """Newest first."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Downloads of the subscription, newest first."""
    metadata: dict[str, Any] | None = None


_HIDDEN = {"squads", "traffic", "devices", "requests", "metadata"}
Send = Callable[[str, dict[str, Any]], None]


class State:
    """Users by id; every write is noted with the expiry before and after."""

    def __init__(self, edition: Edition, *, clock: Clock, send: Send, sub_domain: Callable[[], str]) -> None:
        """``send`` takes an event and its data."""
        self.edition = edition
        self.clock = clock
        self.users: dict[int, User] = {}
        self.squads = {str(uuid4()): "Default-Squad"}
        self.changes: list[dict[str, Any]] = []
        self.device_limit: int | None = None
        """What a user without a limit of his own may have; None while devices are not limited at all."""
        self._node = str(uuid4())
        self._last_id = 0
        self._send = send
        self.sub_domain = sub_domain

    def create(self, body: dict[str, Any]) -> User:
        """Make a user; raises PanelProblem A019, A020, A018. An id is used up even then, as on the panel."""
        self._last_id += 1
        if any(user.username == body["username"] for user in self.users.values()):
            raise PanelProblem(400, "A019", "User username already exists")
        if any(user.shortUuid == body.get("shortUuid") for user in self.users.values()):
            raise PanelProblem(400, "A020", "User short UUID already exists")
        failed = PanelProblem(500, "A018", "Failed to create user")
        if any(user.uuid == body.get("uuid") for user in self.users.values()):
            raise failed
        squads = self._known_squads(body, failed)
        at = self.clock()
        user = User(
            id=self._last_id,
            username=body["username"],
            expireAt=parsed(body["expireAt"]),
            createdAt=parsed(body["createdAt"]) if "createdAt" in body else at,
            updatedAt=at,
            status=body.get("status", "ACTIVE"),
            squads=squads,
        )
        self._set(user, body)
        self.users[user.id] = user
        self._note("create", user, None)
        self.tell("user.created", user)
        return user

    def update(self, user: User, body: dict[str, Any]) -> None:
        """Change what is named; raises PanelProblem A039 and then changes nothing."""
        before = user.expireAt
        if "activeInternalSquads" in body:
            user.squads = self._known_squads(body, PanelProblem(500, "A039", "Update user error"))
        if "trafficLimitBytes" in body:
            grown = body["trafficLimitBytes"]
            if user.status == "LIMITED" and (grown == 0 or grown > user.trafficLimitBytes):
                user.status = "ACTIVE"
            user.lastTriggeredThreshold = 0
        self._set(user, body)
        if "expireAt" in body:
            user.expireAt = parsed(body["expireAt"])
            if user.status == "EXPIRED" and "status" not in body:
                user.status = "ACTIVE"
        user.status = body.get("status", user.status)
        self._note("update", user, before)
        self.tell("user.modified", user)

    def existing(self, key: Any, name: str | None = None) -> User:
        """The user of this key, for a call that does something with him; raises A025."""
        found = self.all_where(name or self.edition.key, key)
        if not found:
            raise user_not_found()
        return found[0]

    def where(self, name: str, value: Any) -> User:
        """The user whose field ``name`` is ``value``, for a call that looks him up; raises A063."""
        found = self.all_where(name, value)
        if not found:
            raise nobody_with_that()
        return found[0]

    def all_where(self, name: str, value: Any) -> list[User]:
        """The users whose field ``name`` is ``value``, newest first."""
        newest_first = sorted(self.users.values(), key=lambda user: -user.id)
        return [user for user in newest_first if getattr(user, name) == value]

    def named_in(self, body: dict[str, Any]) -> list[User]:
        """The users that a bulk call names and who exist: it is silent about the others."""
        wanted = body[self.edition.many_named_by]
        return [user for user in self.users.values() if getattr(user, self.edition.key) in wanted]

    def set_status(self, user: User, status: str, event: str, already: PanelProblem) -> None:
        if user.status == status:
            raise already
        user.status = status
        user.updatedAt = self.clock()
        self._note(event, user, user.expireAt)
        self.tell(event, user)

    def extend(self, user: User, days: int) -> None:
        before = user.expireAt
        user.expireAt = max(before, self.clock()) + timedelta(days=days)
        user.updatedAt = self.clock()
        if user.status == "EXPIRED":
            user.status = "ACTIVE"
        self._note("extend", user, before)
        self.tell("user.modified", user)

    def revoke(self, user: User, *, short_uuid: str | None, only_passwords: bool) -> None:
        """New credentials, so that links given out before work no longer."""
        user.trojanPassword, user.ssPassword, user.vlessUuid = _password(), _password(), str(uuid4())
        if not only_passwords:
            user.shortUuid = short_uuid or _short()
        user.subRevokedAt = user.updatedAt = self.clock()
        self.tell("user.revoked", user)

    def reset_traffic(self, user: User) -> None:
        user.traffic["usedTrafficBytes"] = 0
        user.lastTrafficResetAt = user.updatedAt = self.clock()
        self.tell("user.traffic_reset", user)

    def use_traffic(self, user: User, used: int) -> None:
        """The user sends ``used`` bytes through a node; there is no call for that, nodes count."""
        is_first = user.traffic["firstConnectedAt"] is None
        user.traffic["usedTrafficBytes"] += used
        user.traffic["lifetimeUsedTrafficBytes"] += used
        user.traffic["onlineAt"] = iso(self.clock())
        user.traffic["firstConnectedAt"] = user.traffic["firstConnectedAt"] or iso(self.clock())
        user.traffic["lastConnectedNodeUuid"] = self._node
        if is_first:
            self.tell("user.first_connected", user)

    def delete(self, user: User) -> None:
        del self.users[user.id]
        self._note("delete", user, user.expireAt)
        self.tell("user.deleted", user)

    def run_jobs(self) -> None:
        """What the panel does by itself: time that is over makes EXPIRED, traffic that is used up LIMITED."""
        for user in self.users.values():
            used, limit = user.traffic["usedTrafficBytes"], user.trafficLimitBytes
            if user.status in {"ACTIVE", "LIMITED"} and user.expireAt <= self.clock():
                user.status = "EXPIRED"
                self.tell("user.expired", user)
            elif user.status == "ACTIVE" and 0 < limit <= used:
                user.status = "LIMITED"
                self.tell("user.limited", user)

    def tell(self, event: str, user: User) -> None:
        self._send(event, self.json(user))

    def tell_of_device(self, event: str, user: User, device: dict[str, Any]) -> None:
        self._send(event, {"user": self.json(user), "hwidUserDevice": device})

    def json(self, user: User) -> dict[str, Any]:
        """The user object of this version."""
        hidden = _HIDDEN | self.edition.hidden
        shown = {name: value for name, value in vars(user).items() if name not in hidden}
        shown = {name: iso(v) if isinstance(v, datetime) else v for name, v in shown.items()}
        return shown | {
            "subscriptionUrl": f"{self.sub_domain()}/{user.shortUuid}",
            "activeInternalSquads": [{"uuid": uuid, "name": self.squads[uuid]} for uuid in user.squads],
            "userTraffic": dict(user.traffic),
        }

    def _set(self, user: User, body: dict[str, Any]) -> None:
        for name in _WRITABLE & body.keys():
            setattr(user, name, body[name])
        user.updatedAt = self.clock()

    def _known_squads(self, body: dict[str, Any], otherwise: PanelProblem) -> list[str]:
        wanted: list[str] = body.get("activeInternalSquads", [])
        if any(uuid not in self.squads for uuid in wanted):
            raise otherwise
        return list(dict.fromkeys(wanted))

    def _note(self, what: str, user: User, before: datetime | None) -> None:
        self.changes.append(
            {
                "at": iso(self.clock()),
                "what": what,
                "id": user.id,
                "username": user.username,
                "telegramId": user.telegramId,
                "before": iso(before),
                "after": iso(user.expireAt),
                "status": user.status,
            }
        )
