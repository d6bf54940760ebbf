"""What every room of the panel does with a request: its JSON, its numbers, the envelope of an answer."""

import json
from typing import Any

from aiohttp import web

from getpro.sandbox.panel.errors import Invalid


def answer(response: Any, *, status: int = 200) -> web.Response:
    return web.json_response({"response": response}, status=status)


async def read_json(request: web.Request) -> Any:
    """The parsed body; ``{}`` for an empty one, None for one that is not called JSON; 400 for broken JSON."""
    if "json" not in request.headers.get("Content-Type", ""):
        return None
    raw = await request.read()
    try:
        return json.loads(raw or b"{}")
    except ValueError:
        body = {"message": "Unexpected end of JSON input", "error": "Bad Request", "statusCode": 400}
        raise web.HTTPBadRequest(text=json.dumps(body), content_type="application/json") from None


def custom(message: str) -> Invalid:
    return Invalid({"code": "custom", "path": [], "message": message})


def query_integer(
    request: web.Request, name: str, default: int, *, least: int = 0, most: int | None = None
) -> int:
    """The number ``name`` of the query; raises Invalid when it is none, or out of its limits."""
    value = integer(name, request.query.get(name, str(default)))
    if value < least:
        message = f"Too small: expected number to be >={least}"
        bound = {"code": "too_small", "minimum": least}
    elif most is not None and value > most:
        message = f"Too big: expected number to be <={most}"
        bound = {"code": "too_big", "maximum": most}
    else:
        return value
    raise Invalid({"origin": "number", "inclusive": True, "path": [name], "message": message} | bound)


def integer(name: str, text: str) -> int:
    """The number that ``text`` is; raises Invalid when it is none."""
    try:
        return int(text)
    except ValueError:
        raise Invalid(
            {
                "expected": "number",
                "code": "invalid_type",
                "received": "NaN",
                "path": [name],
                "message": "Invalid input: expected number, received NaN",
            }
        ) from None
