"""The Remnawave panel 3.x over HTTP: only the calls that we make, each answer mapped to a decision.

Source: the panel's OpenAPI document and recorded exchanges of 3.3.2.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

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


class PanelClient:
    """A panel 3.x. The two ``X-Forwarded`` headers are its condition for answering at all."""

    def __init__(self, settings: PanelSettings, shop: ShopSettings, *, owner: str) -> None:
        """``owner`` names this shop in the description of every user that it makes."""
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
        self._squads = settings.squads
        self._squad_uuids: list[str] | None = None
        self._traffic_bytes = shop.traffic_limit_gb * _GIGABYTE
        self._device_limit = shop.device_limit or None

    async def create(self, wanted: WantedAccess, username: str) -> PanelUser:
        body = {
            "username": username,
            "telegramId": wanted.user_id,
            "description": self._mark(wanted),
            **await self._fields(wanted),
        }
        return _user(await self._ask("create_user", "POST", "/api/users", body=body))

    async def change(
        self, panel_user_id: int, wanted: WantedAccess, *, sparing: PanelUser | None = None
    ) -> PanelUser:
        fields = await self._fields(wanted)
        if sparing is not None:
            fields = _raised(fields, sparing, await self.allowance(), wanted)
        body = {"id": panel_user_id, **fields}
        return _user(await self._ask("change_user", "PATCH", "/api/users", body=body))

    async def enable(self, panel_user_id: int) -> None:
        try:
            await self._ask("enable_user", "POST", f"/api/users/{panel_user_id}/actions/enable")
        except PanelRefused as error:
            if error.code != ALREADY_ENABLED:
                raise

    async def disable(self, panel_user_id: int) -> None:
        try:
            await self._ask("disable_user", "POST", f"/api/users/{panel_user_id}/actions/disable")
        except PanelRefused as error:
            if error.code != ALREADY_DISABLED:
                raise

    async def by_username(self, username: str) -> PanelUser | None:
        try:
            return _user(await self._ask("find_user", "GET", f"/api/users/by-username/{username}"))
        except PanelGone:
            return None

    async def usage(self, panel_user_id: int) -> Usage | None:
        """What the user has used of what they may; None when they are gone."""
        try:
            found = await self._ask("read_user", "GET", f"/api/users/{panel_user_id}")
        except PanelGone:
            return None
        limit = _part(found, "hwidDeviceLimit")
        return Usage(
            traffic_bytes=_number(_part(found, "userTraffic"), "usedTrafficBytes"),
            traffic_limit_bytes=_number(found, "trafficLimitBytes"),
            device_limit=None if limit is None else _number(found, "hwidDeviceLimit"),
        )

    async def devices(self, panel_user_id: int) -> int:
        """How many devices the user has connected."""
        listed = await self._ask("list_devices", "GET", f"/api/hwid/devices/{panel_user_id}")
        return _number(listed, "total")

    async def users(self) -> AsyncIterator[PanelUser]:
        """Every user of the panel, page by page."""
        cursor: str | None = None
        while True:
            params = {"size": str(_PAGE)} | ({"cursor": cursor} if cursor else {})
            page = await self._ask("list_users", "GET", "/api/users/stream", params=params)
            for raw in _part(page, "users"):
                yield _user(raw)
            if not _part(page, "hasMore"):
                return
            cursor = str(_part(page, "nextCursor"))

    async def version(self) -> str:
        """The panel's version, e.g. ``3.3.2``."""
        return str(_part(await self._ask("version", "GET", "/api/system/metadata"), "version"))

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
        """The uuids of the configured squads; names are looked up once, and again after a refusal."""
        if self._squad_uuids is None:
            listed = await self._ask("list_squads", "GET", "/api/internal-squads")
            squads = _part(listed, "internalSquads")
            known = {_part(squad, "name"): _part(squad, "uuid") for squad in squads}
            missing = [name for name in self._squads if name not in known and name not in known.values()]
            if missing:
                raise PanelRefused(f"на панели нет отряда {', '.join(missing)}: проверьте PANEL_SQUADS")
            self._squad_uuids = [known.get(name, name) for name in self._squads]
        return self._squad_uuids

    async def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: dict[str, str] | None = None,
    ) -> Any:
        try:
            answer = await self._service.call(operation, method, path, body=body, params=params)
        except ServiceUnavailable as error:
            raise PanelUnavailable(str(error)) from error
        if answer.is_success:
            return _response_of(answer)
        refusal = _error_of(answer)
        if isinstance(refusal, PanelRefused):
            self._squad_uuids = None
        raise refusal


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
        raise PanelUnavailable(f"{answer.status} without the panel's envelope")
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
    """What an answer of 3.x holds under ``name``; raises PanelRefused where it does not."""
    if not isinstance(answer, dict) or name not in answer:
        raise PanelRefused(f"the panel's answer is not one of 3.x: it has no {name}")
    return answer[name]


def _number(answer: Any, name: str) -> int:
    """The whole number that an answer holds under ``name``; raises PanelRefused where it does not."""
    found = _part(answer, name)
    if not isinstance(found, int):
        raise PanelRefused(f"the panel's answer is not one of 3.x: {name} is no whole number")
    return found


def _user(raw: Any) -> PanelUser:
    try:
        return PanelUser(
            account=PanelAccount(
                panel_user_id=raw["id"],
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
        raise PanelRefused(f"the panel's user is not one of 3.x: {error!r}") from error
