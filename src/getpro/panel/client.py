"""The Remnawave panel over HTTP: only the calls that we make, each answer mapped to a decision.

Source: the panel's OpenAPI documents and recorded exchanges of 3.3.2 and 2.8.1. What differs between the
versions is in ``dialect``.
"""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

from getpro.panel.dialect import SUPPORTED, Dialect, dialect_of
from getpro.panel.errors import PanelGone, PanelRefused, PanelUnavailable
from getpro.panel.service import Allowance, PanelAccount, PanelUser, Usage, UsernameTaken, WantedAccess
from getpro.platform.http import Answer, Service, ServiceUnavailable
from getpro.platform.settings import PanelSettings, ShopSettings

NOT_FOUND_CODES: Final = frozenset({"A025", "A062", "A063"})
REFUSED_CODES: Final = frozenset({"A018", "A039"})
"""Create and update failed, told with 500: in practice a squad that the panel does not know."""
PASSING_STATUSES: Final = frozenset({301, 302, 307, 308, 408, 425, 429})
"""A proxy in front of the panel that is busy, or being moved."""
USERNAME_TAKEN: Final = "A019"
ALREADY_ENABLED: Final = "A030"
ALREADY_DISABLED: Final = "A029"
_PAGE: Final = 500
_GIGABYTE: Final = 1024**3
_Read = TypeVar("_Read")


class PanelClient:
    """A panel, spoken to in the dialect of the version that it names.

    The two ``X-Forwarded`` headers are its condition for answering at all.
    """

    def __init__(
        self, settings: PanelSettings, shop: ShopSettings, *, owner: str, tag: str | None = None
    ) -> None:
        """``owner`` names this shop in the description of every user that it makes.

        ``tag``: which of the panel's tags they get, up to 16 of A-Z, 0-9 and _.
        """
        headers = {
            "Authorization": f"Bearer {settings.token.get_secret_value()}",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "127.0.0.1",
            "Accept": "application/json",
        }
        if settings.cookie is not None:
            headers["Cookie"] = settings.cookie.get_secret_value()
        if settings.api_key is not None:
            headers["X-Api-Key"] = settings.api_key.get_secret_value()
        self._service = Service(
            "panel",
            settings.url,
            headers=headers,
            proxy=settings.proxy,
            timeout_seconds=settings.timeout_seconds,
        )
        self._owner = owner
        self._tagged = {} if tag is None else {"tag": tag}
        self._squads = settings.squads
        self._spoken: Dialect | None = None
        self._squad_uuids: list[str] | None = None
        self._traffic_bytes = shop.traffic_limit_gb * _GIGABYTE
        self._device_limit = shop.device_limit or None

    async def create(self, wanted: WantedAccess, username: str) -> PanelUser:
        body = {
            "username": username,
            "telegramId": wanted.user_id,
            "description": self._mark(wanted),
            **self._tagged,
            **await self._fields(wanted),
        }
        return await self._ask_user("create_user", "POST", "/api/users", body=body)

    async def change(
        self, panel_user_id: str, wanted: WantedAccess, *, sparing: PanelUser | None = None
    ) -> PanelUser:
        fields = await self._fields(wanted)
        if sparing is not None:
            fields = _raised(fields, sparing, await self.allowance(), wanted)
        body = (await self._dialect()).named(panel_user_id) | fields
        return await self._ask_user("change_user", "PATCH", "/api/users", body=body)

    async def enable(self, panel_user_id: str) -> None:
        try:
            await self._ask_user("enable_user", "POST", f"/api/users/{panel_user_id}/actions/enable")
        except PanelRefused as error:
            if error.code != ALREADY_ENABLED:
                raise

    async def disable(self, panel_user_id: str) -> None:
        try:
            await self._ask_user("disable_user", "POST", f"/api/users/{panel_user_id}/actions/disable")
        except PanelRefused as error:
            if error.code != ALREADY_DISABLED:
                raise

    async def by_username(self, username: str) -> PanelUser | None:
        try:
            return await self._ask_user("find_user", "GET", f"/api/users/by-username/{username}")
        except PanelGone:
            return None

    async def usage(self, panel_user_id: str) -> Usage | None:
        """What the user has used of what they may; None when they are gone."""
        try:
            return await self._ask("read_user", f"/api/users/{panel_user_id}", read=_usage)
        except PanelGone:
            return None

    async def devices(self, panel_user_id: str) -> int:
        """How many devices the user has connected."""
        path = f"/api/hwid/devices/{panel_user_id}"
        return await self._ask("list_devices", path, read=partial(_number, name="total"))

    async def users(self) -> AsyncIterator[PanelUser]:
        """Every user of the panel, page by page."""
        dialect = await self._dialect()

        def read(page: Any) -> tuple[list[PanelUser], dict[str, str] | None]:
            try:
                return [_user(raw, dialect) for raw in page["users"]], dialect.following(page, count)
            except (KeyError, TypeError) as error:
                raise PanelRefused(f"the panel's list of users does not fit: {error!r}") from error

        count = 0
        following: dict[str, str] | None = {}
        while following is not None:
            params = {"size": str(_PAGE)} | following
            users, following = await self._ask("list_users", dialect.list_path, params=params, read=read)
            count += len(users)
            for user in users:
                yield user

    async def version(self) -> str:
        """The panel's version, e.g. ``3.3.2``."""
        read = partial(_part, name="version")
        return str(await self._call("version", "GET", "/api/system/metadata", read=read))

    async def _dialect(self) -> Dialect:
        """How this panel is spoken to: asked once, and again after trouble, for a panel can be upgraded."""
        if self._spoken is None:
            try:
                version = await self.version()
            except PanelRefused as error:
                told = f"Панель не назвала свою версию: {error}. {SUPPORTED}"
                raise PanelRefused(told, code=error.code) from error
            self._spoken = dialect_of(version)
        return self._spoken

    async def raw(self, method: str, path: str) -> Answer:
        """The panel's own answer to a call without a body, for who judges the panel itself.

        Raises PanelUnavailable.
        """
        try:
            return await self._service.call("look", method, path)
        except ServiceUnavailable as error:
            raise PanelUnavailable(str(error)) from error

    def owns(self, user: PanelUser, wanted: WantedAccess) -> bool:
        return user.telegram_id == wanted.user_id and user.description == self._mark(wanted)

    def is_ours(self, user: PanelUser) -> bool:
        """Whether this shop made the user, for whichever subscription."""
        return (user.description or "").startswith(f"{self._owner}:")

    async def close(self) -> None:
        await self._service.close()

    def _mark(self, wanted: WantedAccess) -> str:
        return f"{self._owner}:{wanted.subscription_id}"

    async def _fields(self, wanted: WantedAccess) -> dict[str, Any]:
        """What is ours on a user; everything else there is left as it is."""
        return {
            "expireAt": wanted.end_date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "trafficLimitBytes": self._traffic_bytes,
            "trafficLimitStrategy": "MONTH" if self._traffic_bytes else "NO_RESET",
            "hwidDeviceLimit": self._device_limit,
            "activeInternalSquads": await self._wanted_squads(),
        }

    async def allowance(self) -> Allowance:
        squads = frozenset(await self._wanted_squads())
        return Allowance(squads, self._traffic_bytes, self._device_limit)

    async def _wanted_squads(self) -> list[str]:
        """The uuids of the configured squads; names are looked up once, and again after trouble."""
        if self._squad_uuids is None:
            known = await self._ask("list_squads", "/api/internal-squads", read=_squads)
            missing = [name for name in self._squads if name not in known and name not in known.values()]
            if missing:
                raise PanelRefused(f"на панели нет отряда {', '.join(missing)}: проверьте PANEL_SQUADS")
            self._squad_uuids = [known.get(name, name) for name in self._squads]
        return self._squad_uuids

    async def _ask_user(self, operation: str, method: str, path: str, *, body: Any = None) -> PanelUser:
        """Ask for something whose answer is a user."""
        read = partial(_user, dialect=await self._dialect())
        return await self._call(operation, method, path, body=body, read=read)

    async def _ask(
        self,
        operation: str,
        path: str,
        *,
        read: Callable[[Any], _Read],
        params: dict[str, str] | None = None,
    ) -> _Read:
        """Read something from a panel whose version we know."""
        await self._dialect()
        return await self._call(operation, "GET", path, read=read, params=params)

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        read: Callable[[Any], _Read],
        body: Any = None,
        params: dict[str, str] | None = None,
    ) -> _Read:
        """Ask and ``read`` what stands in the envelope of the answer; raises PanelError.

        After trouble nothing is taken for known any more, neither the dialect nor the squads.
        """
        try:
            answer = await self._service.call(operation, method, path, body=body, params=params)
            if not answer.is_success:
                raise _error_of(answer)
            return read(_response_of(answer))
        except ServiceUnavailable as error:
            self._spoken = self._squad_uuids = None
            raise PanelUnavailable(str(error)) from error
        except (PanelUnavailable, PanelRefused):
            self._spoken = self._squad_uuids = None
            raise


def _raised(fields: dict[str, Any], user: PanelUser, ours: Allowance, wanted: WantedAccess) -> dict[str, Any]:
    """``fields`` without those that would take something from ``user``: what is left out stays as it is."""
    spared: set[str] = set()
    if user.expire_at > wanted.end_date:
        spared.add("expireAt")
    if not ours.is_more_traffic_than(user):
        spared |= {"trafficLimitBytes", "trafficLimitStrategy"}
    if not ours.is_more_devices_than(user):
        spared.add("hwidDeviceLimit")
    raised = {name: value for name, value in fields.items() if name not in spared}
    return raised | {"activeInternalSquads": sorted(user.squads | ours.squads)}


def _response_of(answer: Answer) -> Any:
    """What stands in the envelope of a success; raises PanelUnavailable where a stranger has answered.

    A proxy's page says nothing about the change. Its text is not repeated: it could hold links.
    """
    if not isinstance(answer.body, dict) or "response" not in answer.body:
        raise PanelUnavailable(f"{answer.status}, а ответ не похож на ответ панели")
    return answer.body["response"]


def _error_of(answer: Answer) -> PanelUnavailable | PanelRefused | PanelGone:
    """The decision behind an error answer. Codes repeat in the panel, so the status counts too.

    Only the panel's own message is repeated: a proxy's page could hold links.
    """
    body = answer.body if isinstance(answer.body, dict) else {}
    code, message = str(body.get("errorCode") or ""), str(body.get("message") or "")[:200]
    text = " ".join(part for part in (str(answer.status), code, message) if part)
    if answer.status == HTTPStatus.NOT_FOUND and code in NOT_FOUND_CODES:
        return PanelGone(text, code=code)
    if answer.status == HTTPStatus.BAD_REQUEST and code == USERNAME_TAKEN:
        return UsernameTaken(text, code=code)
    if answer.status in PASSING_STATUSES or (
        answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and code not in REFUSED_CODES
    ):
        return PanelUnavailable(text, code=code)
    return PanelRefused(text, code=code)


def _part(answer: Any, name: str) -> Any:
    """What an answer holds under ``name``; raises PanelRefused where it does not."""
    if not isinstance(answer, dict) or name not in answer:
        raise PanelRefused(f"the panel's answer does not fit: it has no {name}")
    return answer[name]


def _number(answer: Any, name: str) -> int:
    """The whole number that an answer holds under ``name``; raises PanelRefused where it does not."""
    found = _part(answer, name)
    if not isinstance(found, int):
        raise PanelRefused(f"the panel's answer does not fit: {name} is no whole number")
    return found


def _usage(found: Any) -> Usage:
    limit = _part(found, "hwidDeviceLimit")
    return Usage(
        traffic_bytes=_number(_part(found, "userTraffic"), "usedTrafficBytes"),
        traffic_limit_bytes=_number(found, "trafficLimitBytes"),
        device_limit=None if limit is None else _number(found, "hwidDeviceLimit"),
    )


def _squads(listed: Any) -> dict[str, str]:
    """The uuids of the panel's squads by name."""
    return {_part(squad, "name"): _part(squad, "uuid") for squad in _part(listed, "internalSquads")}


def _user(raw: Any, dialect: Dialect) -> PanelUser:
    try:
        return PanelUser(
            account=PanelAccount(
                panel_user_id=dialect.identity(raw),
                username=raw["username"],
                short_uuid=raw["shortUuid"],
                subscription_url=raw["subscriptionUrl"],
            ),
            telegram_id=raw["telegramId"],
            description=raw["description"],
            status=raw["status"],
            expire_at=datetime.fromisoformat(raw["expireAt"]),
            squads=frozenset(squad["uuid"] for squad in raw["activeInternalSquads"]),
            traffic_bytes=raw["trafficLimitBytes"],
            device_limit=raw["hwidDeviceLimit"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PanelRefused(f"the panel's user does not fit: {error!r}") from error
