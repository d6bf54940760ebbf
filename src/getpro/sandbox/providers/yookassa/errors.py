"""YooKassa's error body."""

from typing import Any
from uuid import uuid4

from aiohttp import web

_CODES = {
    400: "invalid_request",
    401: "invalid_credentials",
    403: "forbidden",
    404: "not_found",
    429: "too_many_requests",
}


class Problem(Exception):
    """An answer of 4xx with the parameter that is wrong."""

    def __init__(self, description: str, *, parameter: str | None = None, status: int = 400) -> None:
        super().__init__(description)
        self.description = description
        self.parameter = parameter
        self.status = status

    def answer(self) -> web.Response:
        body = error_body(self.status, self.description)
        if self.parameter is not None:
            body["parameter"] = self.parameter
        return web.json_response(body, status=self.status)


def error_body(status: int, description: str = "Simulated trouble") -> dict[str, Any]:
    """The body beside a status; 202 leaves open what happened, a wrong method or content has no code."""
    if status == 202:
        return {"type": "processing", "description": description, "retry_after": 1800}
    body = {"type": "error", "id": str(uuid4()), "description": description}
    return body if status in {405, 415} else body | {"code": _CODES.get(status, "internal_server_error")}
