"""The Bot API's own description of its methods: every parameter of every call is held against it."""

import json
from functools import cache
from importlib import resources
from typing import Any

from getpro.sandbox.telegram.errors import Refusal, bad

_SIMPLE = {"Integer", "String", "Boolean", "Float", "True"}


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

    Raises Refusal for a missing or ill-typed one, as Telegram does. Form bodies bring everything as
    text: numbers and booleans are read from it, objects are JSON.
    """
    known = {name: (kind, required) for name, kind, required in _schema()["methods"][method]}
    result = {}
    for name, (kind, required) in known.items():
        if name not in given or given[name] is None:
            if required:
                raise bad(f'parameter "{name}" is required')
            continue
        result[name] = _typed(name, kind, given[name])
    return result, sorted(set(given) - set(known) - {"method"})


def _typed(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("Array of "):
        items = _parsed(name, value, list)
        inner = kind.removeprefix("Array of ")
        return [_typed(name, inner, item) for item in items]
    if kind == "Integer or String":
        return int(value) if str(value).lstrip("-").isdigit() else _text(name, value)
    if kind in {"InputFile", "InputFile or String"}:
        return value
    if kind in _SIMPLE:
        return _simple(name, kind, value)
    return _object(name, kind, _parsed(name, value, dict))


def _simple(name: str, kind: str, value: Any) -> Any:
    if kind == "String":
        return _text(name, value)
    if kind in {"Boolean", "True"}:
        if isinstance(value, bool):
            return value
        if str(value).lower() in {"true", "false", "0", "1"}:
            return str(value).lower() in {"true", "1"}
        raise bad(f'parameter "{name}" must be a boolean')
    if isinstance(value, bool):
        raise bad(f'parameter "{name}" must be a number')
    try:
        return int(value) if kind == "Integer" else float(value)
    except (TypeError, ValueError):
        raise bad(f'parameter "{name}" must be a number') from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise bad(f'parameter "{name}" must be a string')
    return value


def _parsed(name: str, value: Any, kind: type) -> Any:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise bad(f"can't parse {name} JSON object") from None
    if not isinstance(value, kind):
        raise bad(f'parameter "{name}" must be {"an array" if kind is list else "an object"}')
    return value


def _object(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """Check the fields of an object whose type is one; a union's members are told apart elsewhere."""
    fields = _schema()["types"].get(
        kind.split(" or ", maxsplit=1)[0] if "InlineKeyboardMarkup" in kind else kind
    )
    if not fields or (" or " in kind and not _has_required(fields, value)):
        return value
    for field, field_kind, required in fields:
        if value.get(field) is None:
            if required:
                raise bad(f'can\'t parse {name}: field "{field}" must be specified')
            continue
        try:
            value[field] = _typed(f"{name}.{field}", field_kind, value[field])
        except Refusal as refusal:
            raise refusal from None
    return value


def _has_required(fields: list[Any], value: dict[str, Any]) -> bool:
    return all(field in value for field, _, required in fields if required)
