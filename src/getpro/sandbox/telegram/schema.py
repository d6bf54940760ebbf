"""The Bot API's own description of its methods: every parameter of every call is held against it."""

import json
import re
from functools import cache
from importlib import resources
from typing import Any

from getpro.sandbox.telegram.errors import bad

_SIMPLE = {
    "Integer": "Number",
    "Float": "Number",
    "String": "String",
    "Boolean": "Boolean",
    "True": "Boolean",
}
_OPTIONAL = {("setWebhook", "url")}
"""Described as required, but a call without it removes the webhook."""
MISSING = {
    "chat_id": "chat_id is empty",
    "message_id": "message identifier is not specified",
    "photo": "there is no photo in the request",
    "text": "message text is empty",
    "user_id": "invalid user_id specified",
}
_ILL_TYPED = MISSING | {
    "prices": "expected an Array of labeled prices",
    "reply_markup": "object expected as reply markup",
}
_UNPARSED = {"reply_markup": "can't parse reply keyboard markup JSON object"}


class _IllTyped(Exception):
    """A value of another type than the one named."""


class _Unparsed(_IllTyped):
    """Text that should be the JSON of one."""


@cache
def _schema() -> dict[str, Any]:
    source = resources.files("getpro.sandbox.telegram").joinpath("bot-api-schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(source)
    return loaded


@cache
def method_names() -> dict[str, str]:
    """The true name of each method by its name in small letters: Telegram does not mind the case."""
    return {name.lower(): name for name in _schema()["methods"]}


def checked(method: str, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the call's parameters in their types, and the names of those that Telegram does not know.

    Names inside objects come with their path: ``reply_markup.inline_keyboard.colour``. Raises Refusal for
    a missing or ill-typed one, as Telegram does. Form bodies bring everything as text: numbers and
    booleans are read from it, objects are JSON.
    """
    known = {name: (kind, required) for name, kind, required in _schema()["methods"][method]}
    unknown = sorted(set(given) - set(known) - {"method"})
    result = {}
    for name, (kind, required) in known.items():
        if given.get(name) is None or given[name] == "":
            if required and (method, name) not in _OPTIONAL:
                raise bad(MISSING.get(name, f'parameter "{name}" is required'))
            continue
        try:
            result[name] = _typed(name, kind, given[name], unknown)
        except _Unparsed:
            raise bad(_UNPARSED.get(name, f"can't parse {name} JSON object")) from None
        except _IllTyped as expected:
            raise bad(_ILL_TYPED.get(name, f'parameter "{name}" must be of type {expected}')) from None
    return result, unknown


def _typed(path: str, kind: str, value: Any, unknown: list[str]) -> Any:
    if kind.startswith("Array of "):
        inner = kind.removeprefix("Array of ")
        return [_typed(path, inner, item, unknown) for item in _parsed(value, list)]
    if kind == "Integer or String":
        return int(value) if re.fullmatch(r"-?[0-9]+", str(value)) else _simple("String", value)
    if kind in {"InputFile", "InputFile or String"}:
        return value if isinstance(value, bytes) else _simple("String", value)
    if kind in _SIMPLE:
        return _simple(kind, value)
    return _object(path, kind, _parsed(value, dict), unknown)


def _simple(kind: str, value: Any) -> Any:
    if kind == "String" and isinstance(value, str):
        return value
    if _SIMPLE[kind] == "Boolean" and str(value).lower() in {"true", "false", "0", "1"}:
        return str(value).lower() in {"true", "1"}
    if _SIMPLE[kind] == "Number" and not isinstance(value, bool):
        try:
            return int(value) if kind == "Integer" else float(value)
        except (TypeError, ValueError, OverflowError):
            raise _IllTyped(_SIMPLE[kind]) from None
    raise _IllTyped(_SIMPLE[kind])


def _parsed(value: Any, kind: type) -> Any:
    name = "Array" if kind is list else "Object"
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise _Unparsed(name) from None
    if not isinstance(value, kind):
        raise _IllTyped(name)
    return value


def _object(path: str, kind: str, value: dict[str, Any], unknown: list[str]) -> dict[str, Any]:
    """Check the fields of an object whose type is one; a union's members are told apart elsewhere."""
    if "InlineKeyboardMarkup" in kind and "inline_keyboard" in value:
        kind = "InlineKeyboardMarkup"
    fields = _schema()["types"].get(kind)
    if not fields:
        return value
    unknown += sorted(f"{path}.{name}" for name in set(value) - {field for field, _, _ in fields})
    what = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
    for field, field_kind, required in fields:
        if value.get(field) is None:
            if required:
                raise bad(f"can't parse {what}: Can't find field \"{field}\"")
            continue
        try:
            value[field] = _typed(f"{path}.{field}", field_kind, value[field], unknown)
        except _IllTyped as expected:
            raise bad(f'can\'t parse {what}: Field "{field}" must be of type {expected}') from None
    return value
