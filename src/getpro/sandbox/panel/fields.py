"""What the panel accepts in a request body: each field's type and limits, each error in its words."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from getpro.sandbox.panel.errors import Invalid
from getpro.sandbox.panel.moments import Clock, parsed

Check = Callable[[str, Any], dict[str, Any] | None]
STRATEGIES: Final = ("NO_RESET", "DAY", "WEEK", "MONTH", "MONTH_ROLLING")


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names.get(type(value), "undefined")


def _wrong_type(name: str, expected: str, value: Any) -> dict[str, Any]:
    message = f"Invalid input: expected {expected}, received {_kind(value)}"
    return {"expected": expected, "code": "invalid_type", "path": [name], "message": message}


def text(*, least: int = 0, most: int = 100_000, pattern: str = "", hint: str = "") -> Check:
    def check(name: str, value: Any) -> dict[str, Any] | None:
        if not isinstance(value, str):
            return _wrong_type(name, "string", value)
        base = {"origin": "string", "path": [name]}
        label = name[:1].upper() + name[1:]
        if len(value) < least:
            message = f"{label} must be at least {least} characters"
            return base | {"code": "too_small", "minimum": least, "inclusive": True, "message": message}
        if len(value) > most:
            message = f"{label} must be less than {most} characters"
            return base | {"code": "too_big", "maximum": most, "inclusive": True, "message": message}
        if pattern and not re.fullmatch(pattern, value):
            shape = {"code": "invalid_format", "format": "regex", "pattern": f"/^{pattern}$/"}
            return base | shape | {"message": hint or f"Invalid string: must match pattern /^{pattern}$/"}
        return None

    return check


def number(*, least: int | None = None) -> Check:
    def check(name: str, value: Any) -> dict[str, Any] | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return _wrong_type(name, "number", value)
        if isinstance(value, float) and not value.is_integer():
            return _wrong_type(name, "int", value) | {"format": "safeint"}
        if least is not None and value < least:
            return {
                "origin": "number",
                "code": "too_small",
                "minimum": least,
                "inclusive": True,
                "path": [name],
                "message": f"Too small: expected number to be >={least}",
            }
        return None

    return check


def choice(*values: str) -> Check:
    def check(name: str, value: Any) -> dict[str, Any] | None:
        if value in values:
            return None
        message = "Invalid option: expected one of " + "|".join(f'"{known}"' for known in values)
        return {"code": "invalid_value", "values": list(values), "path": [name], "message": message}

    return check


def moment(name: str, value: Any) -> dict[str, Any] | None:
    if not isinstance(value, str):
        return _wrong_type(name, "string", value)
    try:
        parsed(value)
    except ValueError:
        return {
            "origin": "string",
            "code": "invalid_format",
            "format": "datetime",
            "pattern": "/datetime/",
            "path": [name],
            "message": "Invalid datetime",
        }
    return None


def future(clock: Clock) -> Check:
    def check(name: str, value: Any) -> dict[str, Any] | None:
        wrong = moment(name, value)
        if wrong is None and parsed(value) <= clock():
            return {"code": "custom", "path": [name], "message": "Expiration date cannot be in the past"}
        return wrong

    return check


def flag(name: str, value: Any) -> dict[str, Any] | None:
    return None if isinstance(value, bool) else _wrong_type(name, "boolean", value)


def anything(name: str, value: Any) -> dict[str, Any] | None:
    return None if isinstance(value, dict) else _wrong_type(name, "record", value)


def uuid(name: str, value: Any) -> dict[str, Any] | None:
    if _is_uuid(value):
        return None
    return {
        "origin": "string",
        "code": "invalid_format",
        "format": "uuid",
        "pattern": "/uuid/",
        "path": [name],
        "message": "Invalid UUID",
    }


def many(check: Check, *, most: int = 500, least: int = 0) -> Check:
    """A list of values that each pass ``check``; the error names the place of the first that does not."""

    def check_all(name: str, value: Any) -> dict[str, Any] | None:
        if not isinstance(value, list):
            return _wrong_type(name, "array", value)
        base = {"origin": "array", "inclusive": True, "path": [name]}
        if len(value) < least:
            message = f"Too small: expected array to have >={least} items"
            return base | {"code": "too_small", "minimum": least, "message": message}
        if len(value) > most:
            message = f"Too big: expected array to have <={most} items"
            return base | {"code": "too_big", "maximum": most, "message": message}
        for index, item in enumerate(value):
            if (wrong := check(name, item)) is not None:
                return wrong | {"path": [name, index]}
        return None

    return check_all


def nullable(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


_USERNAME: Final = text(
    least=3,
    most=36,
    pattern="[a-zA-Z0-9_-]+",
    hint="Username can only contain letters, numbers, underscores and dashes",
)
_SHARED: Final[dict[str, Check]] = {
    "trafficLimitBytes": number(least=0),
    "trafficLimitStrategy": choice(*STRATEGIES),
    "telegramId": nullable(number()),
    "email": nullable(text(pattern=r"[^@\s]+@[^@\s]+\.[^@\s]+", hint="Invalid email address")),
    "description": nullable(text()),
    "tag": nullable(
        text(
            most=16, pattern="[A-Z0-9_]+", hint="Tag can only contain uppercase letters, numbers, underscores"
        )
    ),
    "hwidDeviceLimit": nullable(number(least=0)),
    "activeInternalSquads": many(uuid),
    "username": _USERNAME,
}
CREATE: Final[dict[str, Check]] = _SHARED | {
    "expireAt": moment,
    "status": choice("ACTIVE", "DISABLED", "LIMITED", "EXPIRED"),
    "shortUuid": text(least=1, most=64),
    "trojanPassword": text(least=8, most=32),
    "ssPassword": text(least=8, most=32),
    "vlessUuid": uuid,
    "createdAt": moment,
}


def update_fields(clock: Clock) -> dict[str, Check]:
    """What a change may say; ``clock`` tells which end lies in the past."""
    return _SHARED | {"expireAt": future(clock), "status": choice("ACTIVE", "DISABLED")}


def check_body(body: Any, fields: Mapping[str, Check], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the known fields of ``body``; unknown ones are dropped in silence. Raises Invalid."""
    if not isinstance(body, dict):
        raise Invalid(
            {
                "expected": "object",
                "code": "invalid_type",
                "path": [],
                "message": "Invalid input: expected object, received undefined",
            }
        )
    errors = []
    for name, check in fields.items():
        if name in body:
            wrong = check(name, body[name])
        elif name in required:
            message = "Invalid input: expected string, received undefined"
            wrong = {"expected": "string", "code": "invalid_type", "path": [name], "message": message}
        else:
            continue
        if wrong is not None:
            errors.append(wrong)
    if errors:
        raise Invalid(*errors)
    return {name: value for name, value in body.items() if name in fields}


def _is_uuid(value: Any) -> bool:
    try:
        UUID(value)
    except (ValueError, TypeError, AttributeError):
        return False
    return True
