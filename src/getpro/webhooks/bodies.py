"""Reading what a stranger sends: never more than is allowed, never deeper than can be read."""

import json
from typing import Any

from starlette.requests import Request

LONGEST_BODY = 1024 * 1024
"""Bytes. Telegram's updates and providers' notices stay far below; the panel's node events reach 100 KB."""


class BodyTooLong(ValueError):
    """More bytes than any notice has."""


class BadBody(ValueError):
    """No JSON object, or one nested so deep that only an attacker would send it."""


async def read_body(request: Request, *, longest: int = LONGEST_BODY) -> bytes:
    """The request's bytes; raises BodyTooLong without reading the rest."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > longest:
        raise BodyTooLong(declared)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > longest:
            raise BodyTooLong(len(body))
    return bytes(body)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``; raises BadBody."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadBody("no JSON") from error
    if not isinstance(parsed, dict):
        raise BadBody("no JSON object")
    return parsed
