"""What differs between the versions that we play, each as it was recorded; all else is shared."""

import re
from typing import Any, Final

from aiohttp import web

from getpro.sandbox.panel.errors import Invalid
from getpro.sandbox.panel.fields import CREATE, Check, number, text, uuid
from getpro.sandbox.panel.http import answer, integer

_USER: Final = "/api/users"
_LOOKUPS: Final = frozenset(f"{_USER}/by-{name}/{{value}}" for name in ("id", "telegram-id", "email", "tag"))


class Edition:
    """Panel 3.3.2: a user is a number, deletions and bulk calls are answered without a word."""

    version: str = "3.3.2"
    key = "id"
    """What names a user in paths, changes and lookups."""
    named_by = "userId"
    """What holds the key in the bodies of other calls: for one user, and below for several."""
    many_named_by = "userIds"
    key_check: Check = staticmethod(number())
    create_fields: dict[str, Check] = CREATE
    revoke_short_uuid: Check = staticmethod(text(least=16, most=64))
    resolved_by: tuple[str, ...] = ("id", "shortUuid", "username")
    neither = "At least one of username, id must be provided"
    filters: tuple[str, ...] = ("telegramId", "email", "tag", "status")
    """What the stream of users heeds."""
    hidden = frozenset({"uuid"})
    """What a user has and does not show."""
    absent: frozenset[str] = _LOOKUPS
    """Paths that other versions have."""

    def user_key(self, request: web.Request) -> Any:
        """The user that the path names; raises Invalid when it is no number, a uuid of 2.x for example."""
        return integer("userId", request.match_info["user"])

    def done(self, status: int, told: Any) -> web.Response:  # noqa: ARG002 -- told by the other version
        """How a deletion or a bulk call is answered; ``told`` is what became of it."""
        return web.Response(status=status)

    def invalid(self, errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The errors of a validation in this version's words."""
        return errors


class Edition281(Edition):
    """Panel 2.8.1: a user is a uuid, beside a number that a lookup takes."""

    version = "2.8.1"
    key = "uuid"
    named_by = "userUuid"
    many_named_by = "uuids"
    key_check = staticmethod(uuid)
    create_fields = CREATE | {"uuid": uuid}
    revoke_short_uuid = staticmethod(text(least=6, most=48))
    resolved_by = ("uuid", "id", "shortUuid", "username")
    neither = "Either uuid or username must be provided"
    filters = ()
    hidden = frozenset()
    absent = frozenset(
        {
            f"{_USER}/{{user}}/actions/extend",
            "/api/internal-squads/{uuid}/bulk-actions/add-many-users",
            "/api/internal-squads/{uuid}/bulk-actions/remove-many-users",
        }
    )

    def user_key(self, request: web.Request) -> Any:
        key = request.match_info["user"]
        if (wrong := uuid("uuid", key)) is not None:
            raise Invalid(wrong)
        return key

    def done(self, status: int, told: Any) -> web.Response:  # noqa: ARG002 -- always 200
        return answer(told)

    def invalid(self, errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [_in_older_words(error) for error in errors]


def _in_older_words(error: dict[str, Any]) -> dict[str, Any]:
    """The error in the form of the validator's older version; kinds that were not recorded stay."""
    told = {"code": error["code"], "message": error["message"], "path": error["path"]}
    match error["code"]:
        case "invalid_type":
            received = re.search(r"received (\w+)", error["message"])
            assert received is not None
            words = f"Expected {error['expected']}, received {received[1]}"
            return told | {"expected": error["expected"], "received": received[1], "message": words}
        case "too_small":
            bound = {"minimum": error["minimum"], "type": error["origin"]}
            return told | bound | {"inclusive": True, "exact": False}
        case "invalid_format":
            return told | {"code": "invalid_string", "validation": error["format"]}
        case _:
            return error


EDITIONS: Final = {edition.version: edition for edition in (Edition(), Edition281())}
